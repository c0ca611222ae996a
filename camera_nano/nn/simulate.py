"""From true scene light: `capture` makes a camera's picture of it, `develop` the picture that a look should give.

A `Scenes` batch, on any device, holds light with a geometric mean luminance of 0.18, and the statistics that `develop`
needs. `tools/training/make_data.py` prepares scenes once; each training step captures and develops them anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from camera_nano.nn.grid import smoothstep
from camera_nano.nn.light import eotf, luminance, oetf
from camera_nano.nn.tone import MIDDLE_EV, dress, fused_share, hold_range, shoulder

EPS = 2.0**-14


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """B scenes of h x w pixels, prepared for development."""

    light: Tensor  # (B, 3, h, w) linear; panoramas: geometric mean luminance 0.18; photos: display light 0..1
    base_ev: Tensor  # (B, 1, h, w) edge-aware base layer of log2 luminance
    fused: Tensor  # (B, 3, h, w) exposure fusion of a true bracket, sRGB code 0..1
    percentiles_ev: Tensor  # (B, 3) 5th, 50th and 97th percentile of the base layer
    is_photo: Tensor  # (B,) bool: a finished photo
    mood_ev: Tensor  # (B,) how much brighter the scene is than a usual day; 0 for photos, whose light shows it already

    def __getitem__(self, rows: Tensor) -> Self:
        return type(self)(*(getattr(self, name)[rows] for name in self.__slots__))

    def flip(self) -> Self:
        """The scenes, mirrored left to right."""
        return replace(self, light=self.light.flip(-1), base_ev=self.base_ev.flip(-1), fused=self.fused.flip(-1))


def _column(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1)


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=rng, device=rng.device)


def _normal(n: int, mean: float, deviation: float, rng: torch.Generator) -> Tensor:
    return mean + deviation * torch.randn(n, generator=rng, device=rng.device)


def _metered_ev(scenes: Scenes, rng: torch.Generator) -> Tensor:
    """Exposures in EV (B,) as cameras choose them, right or wrong.

    Half of the exposures are anywhere from -5.5 to 2.8 EV. Two of ten are a light meter's, which makes the mean of
    linear light middle grey: things before a bright sky or beside a lamp come out dark, and snow comes out grey. Two of
    nine are surely too bright, and one of twelve is chosen for the brightest light alone.
    """
    n = len(scenes.light)
    y = luminance(scenes.light).flatten(1)
    metered = torch.log2(0.18 / y.clamp_max(8).mean(1).clamp_min(EPS)) + _normal(n, 0, 0.6, rng)
    for_highlights = -torch.log2(y.quantile(0.985, 1).clamp_min(EPS)) + _normal(n, 0, 0.4, rng)
    kind = _uniform(n, 0, 1, rng)
    ev = torch.where(kind < 0.2, metered, _uniform(n, -5.5, 2.8, rng))
    ev = torch.where((kind > 0.7) & (kind < 0.92), _uniform(n, 0.8, 3.6, rng), ev)
    return torch.where(kind > 0.92, for_highlights, ev).clamp(-6, 3.6)


def _sensed(exposed: Tensor, rng: torch.Generator) -> Tensor:
    """Exposed light -> what a sensor measures of it, averaged over a patch of pixels, linear 0..1.

    Two things are added. First the noise of the patch: shot and read noise (Poisson-Gaussian, Foi et al. 2008), as a
    normal with a variance that depends on the signal. Then what noise does in single pixels, which cannot measure less
    than 0: their negative values are cut off, so the mean of a dark patch is too bright. With light x and noise s that
    mean is x P(x / s) + s p(x / s). Red and blue suffer more, since white balance multiplies their noise.
    """
    n = len(exposed)
    iso = _column(torch.exp2(_uniform(n, -3.0, 3.0, rng)))  # of the thumbnail: averaging took 1 EV
    variance = 1e-4 * iso * exposed.clamp(0, 1) + (2e-3) ** 2 * iso
    exposed = exposed + variance.sqrt() * torch.randn(exposed.shape, generator=rng, device=rng.device)
    balance = exposed.new_tensor([1.8, 1.0, 1.6]).view(1, 3, 1, 1)
    pixel = _column(3e-3 * _uniform(n, 0, 1, rng) ** 3) * balance + 1e-6
    z = (exposed / pixel).clamp(-8, 8)
    cut_off = pixel * torch.exp(-0.5 * z * z) / (2 * torch.pi) ** 0.5 - exposed * 0.5 * torch.erfc(z / 2**0.5)
    sensed: Tensor = (exposed + cut_off).clamp(0, 1)
    return sensed


def _drawn_curve(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The response curves of n cameras: s and power, (n, 1, 1, 1) each, of the form in `_response`.

    A third has s ~ N(.6, .1) and power ~ N(.9, .1), which Eilertsen et al. 2017 fitted to the DoRF database. The others
    have a smaller s, from .06 to .6. They press bright light into few codes below white, as cameras of today do, so a
    frame can be far too bright with little clipped in it.
    """
    pressed = torch.exp2(_uniform(n, -4, -0.7, rng))
    s = torch.where(_uniform(n, 0, 1, rng) < 0.67, pressed, _normal(n, 0.6, 0.1, rng).clamp(0.2, 1))
    return _column(s), _column(_normal(n, 0.9, 0.1, rng).clamp(0.6, 1.2))


def _response(linear: Tensor, s: Tensor, power: Tensor) -> Tensor:
    """Linear 0..1 -> code values: (1 + s) x^n / (x^n + s), with n the power (Eilertsen et al. 2017, Eq. 4)."""
    bent = linear.clamp_min(1e-6) ** power
    return (1 + s) * bent / (bent + s)


def _seen_by(code: Tensor, s: Tensor, power: Tensor) -> Tensor:
    """The inverse of `_response`: the light that a camera with this curve has seen where it gave these codes 0..1."""
    return (s * code / (1 + s - code)) ** (1 / power)


def _finished_jpeg(linear: Tensor, curve: tuple[Tensor, Tensor], is_plain: Tensor, rng: torch.Generator) -> Tensor:
    """Linear 0..1 -> code values as a camera finishes them: its response curve, contrast, saturation and black point.

    The curve is that of `_drawn_curve`, or where `is_plain` (n, 1, 1, 1), sRGB with a power. Some get an S-curve.
    """
    n = len(linear)
    plain = oetf(linear) ** _column(torch.exp2(_uniform(n, -0.32, 0.32, rng)))
    code = torch.where(is_plain, plain, _response(linear, *curve))
    bend = _column(_uniform(n, -0.5, 0.7, rng).clamp_min(0))
    code = code + bend * (code * code * (3 - 2 * code) - code)
    black = _column(_uniform(n, -0.03, 0.03, rng).clamp_min(0))
    code = (code - black) / (1 - black)
    grey = (code * code.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return (grey + _column(_uniform(n, 0.75, 1.35, rng)) * (code - grey)).clamp(0, 1)


def _stored(code: Tensor, rng: torch.Generator) -> Tensor:
    """Code values as a thumbnail of an 8-bit JPEG has them: means of blocks, in the steps of the quantised DC.

    At quality 60 to 95 a step is up to 2 codes, and chroma has half as many samples (ITU-T T.81, annex K, with tables
    scaled as libjpeg does). Colour weaker than half a step is lost. Half of the pictures get no steps: in a large
    picture a value of the thumbnail averages many blocks.
    """
    n = len(code)
    to_ycc = code.new_tensor([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    to_rgb = torch.linalg.inv(to_ycc)
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, code * 255)
    quality = _uniform(n, 0, 1, rng)
    steps = torch.stack([0.2 + 1.2 * quality, 0.3 + 1.7 * quality, 0.3 + 1.7 * quality], 1)[:, :, None, None]
    stepped = torch.einsum("ij,bjhw->bihw", to_rgb, (ycc / steps).round() * steps) / 255
    return torch.where(_column(_uniform(n, 0, 1, rng) < 0.5), stepped, code).clamp(0, 1)


@torch.no_grad()
def capture(
    scenes: Scenes, rng: torch.Generator, brightest_ev: float = 3.6, intact_share: float = 0.12
) -> tuple[Tensor, Tensor]:
    """Scenes -> camera pictures (B, 3, h, w), sRGB code values 0..1, and (B,) bool: which are unchanged photos.

    Some camera's curve has developed the photos: three in four are taken back through the curve of this one, which
    would give the photo again at 0 EV. What happens to the light: exposure of -6 to `brightest_ev` EV, an error of
    white balance, noise, clipping of each channel, the camera's finishing, JPEG. A share `intact_share` of the photos
    skips all but the JPEG.
    """
    n, light = len(scenes.light), scenes.light
    curve, is_plain = _drawn_curve(n, rng), _column(_uniform(n, 0, 1, rng) > 0.75)
    seen = _seen_by(oetf(light.clamp(0, 1)), *curve)
    ev = _metered_ev(scenes, rng).clamp_max(brightest_ev)
    near = _normal(n, 0, 0.7, rng)
    ev = torch.where(_uniform(n, 0, 1, rng) < 0.85, ev, near)
    intact = scenes.is_photo & (_uniform(n, 0, 1, rng) < intact_share)
    balance = torch.exp2(0.12 * torch.randn(n, 3, 1, 1, generator=rng, device=rng.device))
    seen = torch.where(_column(scenes.is_photo) & ~is_plain, seen, light)
    dark = luminance(seen).flatten(1).quantile(0.25, 1)  # stays below white, else a frame may hold nothing
    ev = torch.minimum(ev, torch.log2(0.6 / dark.clamp_min(EPS)))
    code = _finished_jpeg(_sensed(seen * _column(torch.exp2(ev)) * balance, rng), curve, is_plain, rng)
    code = torch.where(_column(intact), oetf(light.clamp(0, 1)), code)
    return _stored(code, rng), intact


@torch.no_grad()
def natural_light(scenes: Scenes) -> Tensor:
    """Scene light with its range reduced (`tone.hold_range`), 1 = SDR white, not clipped yet; photos stay unchanged."""
    log_y = torch.log2(luminance(scenes.light) + EPS)
    gain_ev = hold_range(log_y, scenes.base_ev, scenes.percentiles_ev, mood_ev=scenes.mood_ev)
    return torch.where(_column(scenes.is_photo), scenes.light, scenes.light * torch.exp2(gain_ev))


def _fused_light(scenes: Scenes) -> Tensor:
    """The fused bracket in linear light, with a power that makes its median luminance middle grey; white stays white.

    Photos go half of the way: somebody chose how dark they are.
    """
    light = eotf(scenes.fused)
    median = luminance(light).flatten(1).median(1).values.clamp(2.0**-8, 0.8)
    gamma = ((MIDDLE_EV + scenes.mood_ev) / torch.log2(median)).clamp(0.6, 1.8)
    return light ** _column(torch.where(scenes.is_photo, gamma.sqrt(), gamma))


def _levels(code: Tensor) -> Tensor:
    """Codes (B, 3, h, w), stretched by at most a quarter so that there is a black and a white."""
    low, high = (_column(end) for end in code.flatten(1).quantile(code.new_tensor([0.01, 0.992]), 1))
    new_low, new_high = low.clamp_max(0.04), high.clamp_min(0.96)
    slope = (new_high - new_low) / (high - low).clamp_min(0.1)
    share = (0.25 / (slope - 1).clamp_min(1e-3)).clamp_max(1)
    return torch.lerp(code, new_low + slope * (code - low), share).clamp(0, 1)


@torch.no_grad()
def develop(scenes: Scenes, controls: Tensor, intact: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scenes and controls (B, 7) -> the wanted picture (B, 3, h, w), sRGB code values 0..1, and its headroom.

    Scenes get a share of exposure fusion (`tone.fused_share`), then levels. Pictures that
    are `intact` (B,) do not change in `natural`; `hdr` lifts their shadows, darkens none, and keeps their whites.

    Headroom (B, 1, h, w) is the EV by which developed scene light exceeds what an SDR rendering of it shows, 0..4;
    NaN for photos, whose true light is not known.
    """
    intact = torch.zeros_like(scenes.is_photo) if intact is None else intact
    photo, kept = _column(scenes.is_photo), _column(intact)
    open_light = natural_light(scenes)
    closed = torch.where(photo, open_light.clamp(0, 1), shoulder(open_light))
    share = _column(torch.where(intact, controls[:, 1], fused_share(controls)))
    fusion_ev = torch.log2((_fused_light(scenes) + EPS) / (closed + EPS))
    key = torch.log2(luminance(closed) + EPS)
    opened = fusion_ev.clamp_min(0) * smoothstep(-key / 1.5) + fusion_ev.clamp_max(0) * smoothstep((key + 3) / 2)
    fusion_ev = torch.where(kept, opened, fusion_ev)
    rendered = ((closed + EPS) * torch.exp2(share * fusion_ev) - EPS).clamp_min(0)
    rendered = torch.where(kept, rendered, eotf(_levels(oetf(rendered))))
    above = torch.log2(luminance(open_light).clamp_min(EPS) / luminance(closed).clamp_min(EPS)).clamp(0, 4)
    above = torch.where(photo, torch.full_like(above, torch.nan), above)
    return oetf(dress(rendered, controls)), above
