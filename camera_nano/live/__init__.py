"""The live camera: a session proposes looks of what the camera sees now, and its shutter saves them.

This is the door: other rooms take these names from here, and `button` and `loopback` from their modules.
"""

from camera_nano.live.album import Album
from camera_nano.live.brackets import filled_view, merged_view
from camera_nano.live.companions import N_FRAMES, Progress, gain_map, most_frames
from camera_nano.live.headless import Presses, shoot
from camera_nano.live.proposals import Proposal
from camera_nano.live.ring import FrameRing
from camera_nano.live.session import TILE_WIDTH_PX, Session
from camera_nano.live.shot import Shot
from camera_nano.live.takes import Take

__all__ = [
    "N_FRAMES",
    "TILE_WIDTH_PX",
    "Album",
    "FrameRing",
    "Presses",
    "Progress",
    "Proposal",
    "Session",
    "Shot",
    "Take",
    "filled_view",
    "gain_map",
    "merged_view",
    "most_frames",
    "shoot",
]
