"""Classical methods, which people would use without a model; judged on the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from metrics import U8
from pairs import Pair
from skimage.color import rgb2gray


def clahe(image: U8) -> U8:
    """Contrast-limited adaptive histogram equalisation of L (Zuiderveld 1994), OpenCV's usual setting."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def auto_gamma(image: U8) -> U8:
    """The power of code values that brings their mean to 0.45."""
    unit = image / 255
    gamma = np.log(0.45) / np.log(np.clip(rgb2gray(unit).mean(), 0.01, 0.99))
    return np.asarray(np.rint(255 * unit**gamma), np.uint8)


def auto_levels(image: U8) -> U8:
    """Each channel stretched so that half a percent clips at either end."""
    low, high = np.percentile(image, (0.5, 99.5), axis=(0, 1))
    return np.asarray(np.rint(255 * np.clip((image - low) / np.maximum(high - low, 1), 0, 1)), np.uint8)


def fuse(bracket: Iterable[U8]) -> U8:
    """OpenCV's exposure fusion of a real bracket: it sees light that a single capture has lost."""
    fused = cv2.createMergeMertens().process(list(bracket))
    return np.rint(255 * np.clip(fused, 0, 1)).astype(np.uint8)


BASELINES: dict[str, Callable[[Pair], U8 | None]] = {
    "identity": lambda pair: pair.image,
    "clahe": lambda pair: clahe(pair.image),
    "auto-gamma": lambda pair: auto_gamma(pair.image),
    "auto-levels": lambda pair: auto_levels(pair.image),
    "fusion of bracket": lambda pair: fuse(pair.bracket) if pair.bracket else None,
}
