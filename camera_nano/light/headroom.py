"""The light above SDR white, estimated by an edit field or measured, drawn as a gain map."""

from __future__ import annotations

import numpy as np

from camera_nano.color import to_8_bit
from camera_nano.light.render import slice_headroom
from camera_nano.opencv import cv2
from camera_nano.values import F32, LEAST_HEADROOM_EV, EditField, GainMap, Pixels

_SMALL_PX = 1 << 20  # below, a pixel shows so much of the scene that a map of half the size is up to 4 % wrong at edges


def draw_gain_map(pixels: Pixels, field: EditField, *, threads: int = 1) -> GainMap | None:
    """The gain map for a picture and its edit field; None where the scene has no light clearly above SDR white.

    Args:
        pixels: (H, W, 3) uint8 or uint16, sRGB-encoded: the picture that the field was made for, before the edit.
        field: of the look that the map belongs to.
        threads: of the kernel.

    Returns:
        A map of half the width and height (all of a picture under a megapixel), with one gain for R, G and B, which
        keeps the hue. It needs no offsets: no ratio of pictures is formed, so that black stays black.
    """
    most_ev = float(field.headroom_ev.max())
    if most_ev < LEAST_HEADROOM_EV:
        return None
    small: Pixels = cv2.resize(pixels, _size_wh(pixels), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if small.dtype == np.uint16:
        small = to_8_bit(small)
    codes = slice_headroom(small, field, most_ev, threads=threads)
    seen_ev = most_ev * int(codes.max()) / 255
    if seen_ev < LEAST_HEADROOM_EV:
        return None
    if codes.max() < 250:  # no pixel uses the brightest cells of the field: spread the codes over the gains that occur
        codes = slice_headroom(small, field, seen_ev, threads=threads)
    return GainMap(np.ascontiguousarray(codes), (seen_ev,), seen_ev)


def map_of(headroom_ev: F32) -> GainMap | None:
    """The gain map of headroom that was measured, (H, W) float32 stops; None where it is not worth one.

    A map of the size that `draw_gain_map` gives one.
    """
    small = cv2.resize(headroom_ev, _size_wh(headroom_ev), interpolation=cv2.INTER_AREA)
    most_ev = float(small.max())
    if most_ev < LEAST_HEADROOM_EV:
        return None
    return GainMap(np.rint(small * np.float32(255 / most_ev)).astype(np.uint8), (most_ev,), most_ev)


def _size_wh(picture: Pixels | F32) -> tuple[int, int]:
    height, width = picture.shape[:2]
    return (width, height) if width * height < _SMALL_PX else (-(-width // 2), -(-height // 2))
