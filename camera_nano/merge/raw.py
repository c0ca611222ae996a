"""Raw frames of a sensor -> one picture with the tones and colours of the frame that the camera itself finished.

Raw values are linear, keep what noise takes below black, and have no steps of 8 bits, so their mean is nearer to the
light. But a camera also mends its lens's shading and draws by a tone curve of its own, and says neither. Both are
measured on its finished frame of the same exposure, of which the looks were proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from camera_nano.color import STRIP_ROWS, srgb_eotf, srgb_oetf
from camera_nano.merge.average import clearness
from camera_nano.merge.capture import Capture, Merged
from camera_nano.merge.curve import fit_drawn
from camera_nano.merge.stack import merge
from camera_nano.opencv import cv2
from camera_nano.values import F32, Pixels, Raw

_PEDESTAL, _LIMIT = 2048, 65535  # codes of no light, and of white: noise goes below no light
_CURVE = ((np.arange(_LIMIT + 1) - _PEDESTAL) / (_LIMIT - _PEDESTAL)).astype(np.float32)
_COMPARED_PX = 64  # longer side of the copies by which both are matched: their noise is small
_MOST_APART_EV = 0.3  # a camera whose raw values differ more from its picture was not understood
_DEMOSAIC = {order: getattr(cv2, f"COLOR_Bayer{order}2RGB_EA") for order in ("RGGB", "BGGR", "GRBG", "GBRG")}


@dataclass(frozen=True, slots=True, eq=False)
class RawCapture:
    """One of several raw frames of a scene; `ev` and `iso` as those of a `Capture`."""

    raw: Raw
    ev: float = 0.0
    iso: float | None = None

    @property
    def n_bytes(self) -> int:
        """Of memory that its values take."""
        return self.raw.mosaic.nbytes

    def developed(self) -> Capture:
        """Balanced for white and demosaiced along edges, in 16 bits of linear light."""
        raw, codes = self.raw, np.empty(self.raw.mosaic.shape, np.uint16)
        for place, colour in enumerate(raw.order):
            values = np.arange(int(raw.white) + 1, dtype=np.float32)
            light = (values - raw.black[place]) / (raw.white - raw.black[place]) * raw.gains["RGB".index(colour)]
            table = np.rint(np.clip(light * (_LIMIT - _PEDESTAL) + _PEDESTAL, 0, _LIMIT)).astype(np.uint16)
            y, x = divmod(place, 2)
            codes[y::2, x::2] = table[np.minimum(raw.mosaic[y::2, x::2], len(table) - 1)]
        return Capture(cv2.demosaicing(codes, _DEMOSAIC[raw.order]), self.ev, self.iso, _CURVE)  # type: ignore[arg-type]


def merge_raw(captures: Sequence[RawCapture], shown: Pixels, *, threads: int = 1) -> Merged:
    """Merge raw frames, the first of which the camera finished as `shown`, (H, W, 3) sRGB-encoded.

    Raises:
        ValueError: as `merge`, or the raw values are not those of that picture.
    """
    merged = merge([each.developed() for each in captures], threads=threads)
    light, matrix = merged.light, captures[0].raw.matrix.T
    if light.shape != shown.shape:
        raise ValueError(
            f"raw values of {light.shape[1]}x{light.shape[0]} are not of {shown.shape[1]}x{shown.shape[0]}"
        )
    limit, (height, width) = np.iinfo(shown.dtype).max, light.shape[:2]
    small, wanted = _smaller(light) @ matrix, srgb_oetf(_smaller(_linear(shown, limit)))
    places = [_centred(side) for side in small.shape[:2]]
    fitted = fit_drawn(small, wanted, _shading(*places))
    if fitted is None or fitted.apart_ev > _MOST_APART_EV:
        raise ValueError("the camera's raw values do not match its picture")
    most, y, x = np.float32(2**merged.range_ev), _centred(height), _centred(width)
    for first in range(0, height, STRIP_ROWS):
        rows = slice(first, first + STRIP_ROWS)
        mended = light[rows] @ matrix * np.exp2(_shading(y[rows], x) @ fitted.smooth_ev)
        # what is clipped is white, however bright the lens and the camera's own gains make it
        clipped = 1 - clearness(light[rows].min(-1, keepdims=True))
        light[rows] = np.clip(mended + clipped * np.maximum(1 - mended, 0), 0, most)
    return replace(merged, light=light, curve=fitted.curve)


def _smaller(light: F32) -> F32:
    scale = _COMPARED_PX / max(light.shape[:2])
    size_wh = max(1, round(light.shape[1] * scale)), max(1, round(light.shape[0] * scale))
    return np.asarray(cv2.resize(light, size_wh, interpolation=cv2.INTER_AREA), np.float32)


def _linear(codes: Pixels, limit: int) -> F32:
    return np.asarray(srgb_eotf(np.arange(limit + 1) / limit).astype(np.float32)[codes])


def _centred(n: int) -> F32:
    """Places of `n` pixels along a side, -1..1."""
    return ((np.arange(n, dtype=np.float32) + 0.5) * 2 / n - 1).astype(np.float32)


def _shading(y: F32, x: F32) -> F32:
    """What a lens's shading is made of at these rows and columns, (h, w, 7): it falls off towards the corners."""
    down, across = np.meshgrid(y, x, indexing="ij")
    terms = [np.ones_like(down), down, across, down**2, down * across, across**2, (down**2 + across**2) ** 2]
    return np.stack(terms, -1)
