"""Scene light as a display with enough headroom shows it: what the tests of gain maps compare."""

import numpy as np

from camera_nano.color import srgb_eotf
from camera_nano.files.gainmap import apply
from camera_nano.values import F32, GainMap, Pixels


def hdr_light(pixels: Pixels, gain: GainMap) -> F32:
    """A base picture (H, W, 3), sRGB-encoded uint8 or uint16, and its map -> scene light (H, W, 3), 1 = SDR white.

    A base that is itself the HDR picture is returned as its own light.
    """
    limit = int(np.iinfo(pixels.dtype).max)
    light = srgb_eotf(np.arange(limit + 1) / limit).astype(np.float32)[pixels]
    return light if gain.base_headroom_ev > gain.headroom_ev else apply(light, gain)
