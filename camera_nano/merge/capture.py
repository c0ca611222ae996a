"""The values that go into a merge and come out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camera_nano.values import F32, Pixels

LEAST_MERGED_SHARE = 0.05  # of the picture: below that a merge has nothing to tell


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """One of several pictures of a scene.

    `pixels` is (H, W, 3): uint8 or uint16, or float32 linear light; 1 or the top code is where it clips. `curve` is the
    linear light of each code, (256,) or (65536,) float32, up to 1; None is sRGB's, or what a bracket itself tells.
    `ev` is its exposure in stops: a capture of -2 is two stops darker than one of 0. Only differences between captures
    count, and they may be half a stop wrong, since `merge` measures them. `iso` is None where nobody knows.
    """

    pixels: Pixels | F32
    ev: float = 0.0
    iso: float | None = None
    curve: F32 | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"a capture is (H, W, 3) uint8, uint16 or float32, not {shape} {dtype}")
        if self.curve is not None and self.curve.shape != (self.limit + 1,):
            raise ValueError(f"a curve of {len(self.curve)} codes does not fit {dtype}")

    @property
    def limit(self) -> int:
        """The largest code; of linear light, 1."""
        return {1: 255, 2: 65535}.get(self.pixels.itemsize, 1)

    @property
    def n_bytes(self) -> int:
        """Of memory that its pixels take."""
        return self.pixels.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """What several captures say of the scene, seen from where the reference was taken.

    Attributes:
        light: (H, W, 3) float32, linear, at least 0; 1 = SDR white of the reference. Above 1 only where a darker
            capture held more.
        n_captures: how many went in.
        n_used: how many of them count in at least a twentieth of the picture, with the reference: 1 is no merge.
        merged_share: 0..1 of the picture, where more than the reference counts.
        range_ev: stops above the reference's white that were measured; 0 where it clipped nothing or nobody held more.
        moved_px: the largest median shift of a used capture against the reference, in pixels.
        noise: (a, b) of the reference: variance of linear light = a * light + b.
        curve: the camera's tone curve, linear light by code, by which the light becomes a picture; None is sRGB's.
    """

    light: F32
    n_captures: int
    n_used: int
    merged_share: float
    range_ev: float
    moved_px: float
    noise: tuple[float, float]
    curve: F32 | None = None

    @property
    def is_merged(self) -> bool:
        """Whether more than the reference counts anywhere that matters; else it is the reference alone."""
        return self.n_used > 1 and self.merged_share >= LEAST_MERGED_SHARE
