"""Edit fields and what they do to pixels; knows nothing of files.

This is the door: other rooms take these names from here, and the kernel from `render`.
"""

from camera_nano.light.condition import condition
from camera_nano.light.cut import cut_look
from camera_nano.light.enhance import enhance_frame, relight
from camera_nano.light.headroom import draw_gain_map, map_of
from camera_nano.light.measure import clipped_share, mean_light, noise_level, ratio_ev
from camera_nano.light.resize import shrink
from camera_nano.light.temporal import newest_share, smooth

__all__ = [
    "clipped_share",
    "condition",
    "cut_look",
    "draw_gain_map",
    "enhance_frame",
    "map_of",
    "mean_light",
    "newest_share",
    "noise_level",
    "ratio_ev",
    "relight",
    "shrink",
    "smooth",
]
