"""Figures of one picture against another, and of many pictures together."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2gray, rgb2lab
from skimage.exposure import match_histograms
from skimage.metrics import structural_similarity

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

EQUAL_DB = 100.0  # PSNR of equal pictures
CLIPPED, CRUSHED = 250, 5  # from the first code up, and from the second down, a capture does not know the light
# Mantiuk and Azimi 2021, "PU21: a novel perceptually uniform encoding", the fit "banding and glare"
_PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)


def within_width(picture: U8, width_px: int) -> U8:
    """Picture (H, W, 3) at most so wide, averaged by area: for what is compared at the size of a preview."""
    height, width = picture.shape[:2]
    if width <= width_px:
        return picture
    size_wh = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def psnr(made: U8, reference: U8) -> float:
    """Peak signal-to-noise ratio of two pictures (H, W, 3) uint8, in dB; `EQUAL_DB` at most."""
    error = float(np.square(made.astype(np.float64) - reference).mean())
    return min(EQUAL_DB, float(10 * np.log10(255**2 / error))) if error else EQUAL_DB


def de00(made_lab: F64, reference_lab: F64) -> float:
    """Mean CIE Delta-E 2000 of two pictures (H, W, 3) in CIE Lab, D65."""
    return float(deltaE_ciede2000(made_lab, reference_lab).mean())


def lab(picture: U8) -> F64:
    """Picture (H, W, 3) uint8 sRGB -> CIE Lab, D65."""
    return np.asarray(rgb2lab(picture), np.float64)


def fidelity(made: U8, image: U8) -> float:
    """SSIM of grey pictures after matching the input's histogram to the output's: 1 = only light was changed."""
    grey_made, grey_input = rgb2gray(made), rgb2gray(image)
    return float(structural_similarity(grey_made, match_histograms(grey_input, grey_made), data_range=1.0))


def score(made: U8, reference: U8, image: U8) -> dict[str, float]:
    """PSNR, SSIM and Delta-E against the reference; fidelity against the image that was edited."""
    return {
        "psnr": psnr(made, reference),
        "ssim": float(structural_similarity(made, reference, channel_axis=2)),
        "de00": de00(lab(made), lab(reference)),
        "fidelity": fidelity(made, image),
    }


def pu21(nits: F64) -> F64:
    """Luminance in cd/m2 -> PU21 units: equal steps are about equally visible, 100 cd/m2 is 256."""
    p1, p2, p3, p4, p5, p6, p7 = _PU21
    power = np.clip(nits, 0.005, 10000) ** p4
    return np.asarray(np.maximum(0, p7 * (((p1 + p2 * power) / (1 + p3 * power)) ** p5 - p6)))


def pu21_psnr(nits: F64, reference_nits: F64) -> float:
    """PSNR in dB of PU21-encoded luminances; the peak is 256, so that SDR figures stay comparable (ibid.)."""
    error = float(np.square(pu21(nits) - pu21(reference_nits)).mean())
    return min(EQUAL_DB, float(10 * np.log10(256**2 / error))) if error else EQUAL_DB


def is_clipped(image: U8) -> NDArray[np.bool_]:
    """Pixels (H, W) of a capture (H, W, 3) where a channel has reached the top."""
    return np.asarray(image.max(2) >= CLIPPED)


def ambiguity(image: U8) -> float:
    """Share 0..1 of a capture's pixels that are clipped or crushed: there the light has to be guessed."""
    return float((is_clipped(image) | (image.max(2) <= CRUSHED)).mean())


def mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric."""
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}


def interval95(values: Sequence[float], groups: Sequence[str], n_draws: int = 2000) -> list[float] | None:
    """95 % interval of the mean by the percentile bootstrap (Efron 1979), as [low, high]; None for a single group.

    Whole groups are drawn: pictures of one panorama resemble each other and do not count as independent.
    """
    _, index = np.unique(list(groups), return_inverse=True)
    counts = np.bincount(index)
    if len(counts) < 2:
        return None
    sums = np.bincount(index, np.asarray(values, np.float64))
    drawn = np.random.default_rng(0).integers(0, len(counts), (n_draws, len(counts)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return [round(float(x), 4) for x in np.percentile(means, (2.5, 97.5))]


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's correlation; None where either does not vary."""
    if len(a) < 3 or np.std(a) < 1e-9 or np.std(b) < 1e-9:
        return None
    return round(float(np.corrcoef(a, b)[0, 1]), 3)
