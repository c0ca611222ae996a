"""Merged light -> the picture that goes on to the model and the looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camera_nano.color import STRIP_ROWS, srgb_codes_16
from camera_nano.merge.capture import Merged
from camera_nano.merge.curve import drawing
from camera_nano.values import F32, LEAST_HEADROOM_EV, Pixels

_FITS, _EVERY = 99.9, 4  # per cent of the pixels fit below white: suns and lamps do not; every fourth is looked at
_DARKEST_EV = 4.0  # the model is trained on captures up to five stops under


@dataclass(frozen=True, slots=True, eq=False)
class Exposed:
    """A merged picture as a capture of its own, for the model, the looks and a gain map.

    Attributes:
        pixels: (H, W, 3) uint16, sRGB-encoded, with the tones that the camera gave the reference.
        headroom_ev: (H, W) float32, at least 0: by how much the scene was brighter than the reference's white, as
            measured. A look times 2**headroom_ev is what a brighter display shows. None where nothing was brighter.
        ev: its exposure in stops against the reference; below 0 where room was made for highlights.
    """

    pixels: Pixels
    headroom_ev: F32 | None
    ev: float


def expose(merged: Merged, ev: float | None = None) -> Exposed:
    """Linear light -> 16-bit codes at one exposure, and the measured headroom.

    Args:
        merged: of `merge`.
        ev: stops against the reference. 0 keeps its exposure, for a field that was proposed for the reference. By
            default as dark as the highlights need, as in Hasinoff et al. 2016, section 6: the model is trained on dark
            captures and gives shadows back their light, but what is clipped it cannot give back.
    """
    draw = drawing(merged.curve)
    if ev is None:
        bright = np.percentile(_peak(draw(merged.light[::_EVERY, ::_EVERY])), _FITS)
        ev = -float(np.log2(np.clip(bright, 1, 2**_DARKEST_EV)))
    gain, light = np.float32(2**ev), merged.light
    pixels, headroom_ev = np.empty(light.shape, np.uint16), np.empty(light.shape[:2], np.float32)
    for first in range(0, len(light), STRIP_ROWS):
        rows = slice(first, first + STRIP_ROWS)
        headroom_ev[rows] = np.log2(np.maximum(_peak(light[rows]), 1))
        shown = draw(light[rows])
        # divided by its largest channel, a pixel above white keeps its hue
        pixels[rows] = srgb_codes_16(shown * (gain / np.maximum(_peak(shown) * gain, 1))[..., None])
    return Exposed(pixels, headroom_ev if headroom_ev.max() >= LEAST_HEADROOM_EV else None, ev)


def _peak(light: F32) -> F32:
    """The largest channel, (H, W); numpy's `max` over an axis of three takes four times as long."""
    return np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
