"""The frozen values that flow through the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.unsignedinteger[Any]]  # uint8 or uint16

GRID_HWD = (16, 16, 8)  # cells down, cells across, range bins
GAIN_LIMIT_EV = 6.0  # a capture five stops under still holds a picture; beyond, quantisation steps
# what the model takes a picture for: it judges by itself, or is told that a camera exposed it, or a person finished it
Assume = Literal["auto", "captured", "finished"]
ASSUMED: tuple[Assume, ...] = get_args(Assume)
# what is added to the logits of "finished" and of the gate: more than the network ever says itself
ASSUMED_LOGIT: Mapping[Assume, float] = {"auto": 0.0, "captured": -60.0, "finished": 60.0}
ASSUMED_TONES = slice(3, 5)  # where these two are among the encoder's tones
GUIDE_RANGE_EV = 10  # of the guide's logarithm, below SDR white
# code values 0..1 from and to which a pixel counts as clipped: its largest channel, and its smallest. Both must near
# the top: of a red lamp only one does, and it keeps its hue.
CLIPPED_HIGH, CLIPPED_LOW = (0.91, 0.985), (0.78, 0.965)
# Cameras press the channels of bright light together. Where gains rise with light, this share of the rise goes by each
# channel's own light, which takes them apart again: none at the first guide, all of it from the second on.
OWN_LIGHT_SHARE, OWN_LIGHT_GUIDE = 0.5, (0.5625, 0.8125)
# A channel at white was brighter before it was cut off. From the first light, where a grey is fully clipped, to the
# second, red and blue count as brighter by up to so much of the guide (0.6 EV). Green does not, since in skin, sky and
# daylight it lies between the other two. Otherwise skies would come down as teal, and sunsets greenish.
CUT_OFF_LIGHT, CUT_OFF_GUIDE = (0.967, 1.0), (0.0625, 0.0, 0.0625)
# what the model is told, in order
CONTROLS = ("ev", "hdr", "contrast", "highlights", "shadows", "temperature", "saturation")

LEAST_HEADROOM_EV = 0.25  # a lamp less than a fifth brighter than white is not worth a gain map
_LARGEST_NUMBER = 64  # stops no light has; 2 to it is still a float


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a frame was taken; None where the camera does not say."""

    time_ms: float | None = None
    iso: float | None = None
    ev: float | None = None  # relative to a mid-grey key of 0.18
    lux: float | None = None  # of the scene, as the camera estimates it
    colour_gains: tuple[float, float] | None = None  # red and blue against green
    bracket_ev: float = 0.0  # stops that the camera was told to differ from the frames around; 0 for all others


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """A sensor's own values behind its colour filters: linear, before anything is mended. Lenses shade their corners.

    Attributes:
        mosaic: (H, W) uint16.
        order: the colours of the first two rows, as "RGGB".
        black: the value of no light, for each place of `order`.
        white: the largest value, at which it clips.
        gains: of R, G and B: white balance, and what the camera brightens its picture by.
        matrix: (3, 3) float32, of light with these gains to linear light of BT.709 primaries.
    """

    mosaic: npt.NDArray[np.uint16]
    order: str
    black: tuple[float, ...]
    white: float
    gains: tuple[float, float, float]
    matrix: F32


class Held(Protocol):
    """A camera's own buffers behind a frame: they are few, and the camera stalls when nobody gives them back."""

    @property
    def most_kept(self) -> int:
        """How many frames of this camera may be kept at a time, at least 1."""
        ...

    def acquire(self) -> None:
        """Keep the buffers for one more owner."""
        ...

    def release(self) -> None:
        """One owner is done; the camera has its buffers back when all are."""
        ...

    def full_pixels(self) -> Pixels:
        """The picture at the sensor's size, (H, W, 3) RGB; a copy."""
        ...

    def raw(self) -> Raw:
        """The sensor's own values; a copy. Raises LookupError where the camera gives none that are understood."""
        ...

    def save_dng(self, path: Path) -> None:
        """Write the sensor's own values. Raises LookupError where the camera gives none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture: pixels (H, W, 3) RGB uint8 or uint16, sRGB-encoded, upright.

    Where `held` is set, `pixels` is the camera's small picture of the frame, and `held` has the one to save.
    """

    pixels: Pixels
    id: int = 0
    t_ns: int = 0  # monotonic clock, start of exposure
    exposure: Exposure = field(default_factory=Exposure)
    held: Held | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a frame is (H, W, 3) uint8 or uint16, not {shape} {dtype}")


@dataclass(frozen=True, slots=True)
class Look:
    """A name and continuous controls; all zeros is a well-lit, neutral picture ("natural").

    The direction of light is part of a look but not yet of the model: `light_strength` must stay 0.
    """

    name: str
    ev: float = 0.0  # stops
    hdr: float = 0.0  # 0..1, local range compression up to full exposure fusion
    contrast: float = 0.0  # log2 of the slope around mid grey
    highlights: float = 0.0  # stops, of what is brighter than mid grey
    shadows: float = 0.0  # stops, of what is darker
    temperature: float = 0.0  # hundreds of mired, positive is warmer
    saturation: float = 0.0  # -1 grey .. 0 as it is .. 1 double
    light_azimuth_deg: float = 0.0
    light_elevation_deg: float = 0.0
    light_strength: float = 0.0

    def __post_init__(self) -> None:
        if self.light_strength:
            raise ValueError(f"look {self.name!r}: this model has no light direction; set light_strength to 0")

    def controls(self) -> F32:
        """The model's control vector, (7,) float32 in the order of `CONTROLS`."""
        return np.array([getattr(self, name) for name in CONTROLS], np.float32)

    def named_controls(self) -> dict[str, float]:
        """The model's controls by their names, for JSON."""
        return {name: getattr(self, name) for name in CONTROLS}

    def as_dict(self) -> dict[str, Any]:
        """Every control by name, for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What the model sees of a frame: the whole picture, (64, 64, 3) float32 RGB in 0..1, sRGB-encoded."""

    thumbnail: F32
    frame_id: int = 0
    t_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class EditField:
    """A small picture of light: grid (gh, gw, gd, 4) float32 of log2 values within +-6 (`GAIN_LIMIT_EV`).

    Channels 0-2 are gains of linear R, G, B in EV; channel 3 is headroom, the EV of true scene light
    above SDR white. The grid spans any image size and aspect.

    `white_ev` is what the frame's clipped light becomes, log2 of linear R, G, B, wherever in the frame it is: 0 is
    paper white. Nothing in the frame is brighter. Zeros are the identity.
    """

    grid: F32
    white_ev: tuple[float, float, float] = (0.0, 0.0, 0.0)
    settled: float = 0.0  # 0..1, how far the model left the light as it is because the picture looks finished

    def __post_init__(self) -> None:
        if self.grid.ndim != 4 or self.grid.shape[3] != 4 or self.grid.dtype != np.float32:
            raise ValueError(f"an edit field is (gh, gw, gd, 4) float32, not {self.grid.shape} {self.grid.dtype}")
        if not np.all(np.abs(self.grid) <= GAIN_LIMIT_EV):  # also refuses NaN
            raise ValueError(f"an edit field stays within +-{GAIN_LIMIT_EV} EV")
        if len(self.white_ev) != 3 or not all(-GAIN_LIMIT_EV <= ev <= 0 for ev in self.white_ev):
            raise ValueError(f"the white of an edit field is three values from -{GAIN_LIMIT_EV} to 0 EV")

    @classmethod
    def identity(cls) -> Self:
        """The field that changes nothing."""
        return cls(np.zeros((*GRID_HWD, 4), np.float32))

    @property
    def is_left(self) -> bool:
        """Whether the light surely was left as it is, since the picture looks finished."""
        return self.settled >= 0.5

    @property
    def gain_ev(self) -> F32:
        """Log2 gains per cell, (gh, gw, gd, 3)."""
        return self.grid[..., :3]

    @property
    def headroom_ev(self) -> F32:
        """Log2 scene light above SDR white per cell, (gh, gw, gd)."""
        return self.grid[..., 3]

    def __mul__(self, strength: float) -> EditField:
        """The same edit at another strength; linear in EV, clamped to the limit."""
        scaled = np.clip(self.grid * np.float32(strength), -GAIN_LIMIT_EV, GAIN_LIMIT_EV)
        red, green, blue = (float(np.clip(ev * strength, -GAIN_LIMIT_EV, 0)) for ev in self.white_ev)
        return EditField(scaled, (red, green, blue), self.settled)


@dataclass(frozen=True, slots=True, eq=False)
class GainMap:
    """Codes (h, w) or (h, w, 3) uint8, and what they mean; each tuple holds one number, or one for each of R, G, B.

    Alternate light is (base light + `base_offset`) * 2^gain - `alternate_offset`, where
    gain = `min_ev` + (`max_ev` - `min_ev`) * (code / 255)^(1 / `gamma`). It is meant for displays that show
    `headroom_ev` above SDR white, the base for those that show `base_headroom_ev`.
    """

    codes: Pixels
    max_ev: tuple[float, ...]
    headroom_ev: float
    min_ev: tuple[float, ...] = (0.0,)
    gamma: tuple[float, ...] = (1.0,)
    base_offset: tuple[float, ...] = (0.0,)
    alternate_offset: tuple[float, ...] = (0.0,)
    base_headroom_ev: float = 0.0
    kind: Literal["iso", "hdrgm", "apple"] = "iso"  # whose metadata it was read from

    def __post_init__(self) -> None:
        channels = (self.max_ev, self.min_ev, self.gamma, self.base_offset, self.alternate_offset)
        numbers = [self.headroom_ev, self.base_headroom_ev, *(v for values in channels for v in values)]
        if any(len(values) not in (1, 3) for values in channels) or not np.all(np.abs(numbers) <= _LARGEST_NUMBER):
            raise ValueError("a gain map has one or three sets of finite numbers")
        if min(self.gamma) <= 0 or np.any(np.subtract(self.max_ev, self.min_ev) < 0):
            raise ValueError(f"no gain map has gamma {self.gamma} and goes from {self.min_ev} to {self.max_ev} EV")


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """One proposed picture of a frame. `image` is (H, W, 3) RGB in the frame's own depth."""

    frame_id: int
    look: Look
    field: EditField
    image: Pixels
    t_ns: int = 0  # start of exposure of the frame it was proposed for
