"""The first guess: the field that the formulas of `tone` make from what a capture shows.

It takes the capture for the true light. So it is wrong where the capture is clipped, noisy or wrongly exposed; this
error is what the network learns and diffuses.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camera_nano.color import LUMINANCE_709
from camera_nano.nn import light
from camera_nano.nn.grid import GD, GH, GW, blur, guide, guide_luminance, range_weights, slice_field, splat
from camera_nano.nn.tone import HDR_RANGE_EV, dress, fused_share, hold_range, shoulder
from camera_nano.values import GAIN_LIMIT_EV

_EPS = 2.0**-12
LIGHT_FLOOR = 2.0**-11  # added to light before ratios, so that no gain is asked for where there is hardly any light
_PERCENTILES = (0.05, 0.5, 0.97)
N_TONES = len(_PERCENTILES)


def cells_of(thumbnail: Tensor) -> tuple[Tensor, Tensor]:
    """Code values (B, 3, h, w) -> light by cell (B, 32, 16, 16), and tones (B, 3).

    A cell holds, bin major, the base layer of log2 luminance there (edge-aware because the grid is bilateral: Chen,
    Paris, Durand 2007) and its mean colour as light over luminance. Tones are the 5th, 50th and 97th percentile of
    the base layer over the frame, in EV.
    """
    linear = F.avg_pool2d(light.eotf(thumbnail), 2)
    weights = range_weights(guide(linear))
    log_y = torch.log2(light.luminance(linear) + _EPS)
    held = splat(torch.cat([log_y, linear, torch.ones_like(log_y)], 1), weights)
    far = 1e-4 * blur(held, 8.0)  # so that an empty cell takes the mean of the frame
    smooth, near = blur(held, 1.2) + far, held + 0.05 * blur(held, 1.2) + far
    base = smooth[:, :, :1] / smooth[:, :, 4:].clamp_min(1e-9)
    rgb = near[:, :, 1:4]
    r, g, b = LUMINANCE_709
    y = r * rgb[:, :, 0:1] + g * rgb[:, :, 1:2] + b * rgb[:, :, 2:3]
    cells = torch.cat([base, (rgb / y.clamp_min(1e-12)).clamp_max(8)], 2).flatten(1, 2)
    ranked = slice_field(cells, weights)[:, 0].flatten(1).sort(1).values
    n = ranked.shape[1]
    return cells, torch.stack([ranked[:, int(p * (n - 1))] for p in _PERCENTILES], 1)


def first_guess(cells: Tensor, tones: Tensor, finished: Tensor, controls: Tensor) -> Tensor:
    """The field (B, 32, 16, 16) in EV that gives the capture the look.

    Args:
        cells: of `cells_of`.
        tones: of `cells_of`.
        finished: (B, 1), probability that the picture was finished before; the range of a finished one is not changed.
        controls: (B, 7) in the order of `values.CONTROLS`.
    """
    n = cells.shape[0]  # not len(), which would fix the number of looks in an exported graph
    base, colour = cells.reshape(n, GD, 4, GH, GW).transpose(1, 2).split((1, 3), 1)
    shown = guide_luminance().to(cells.device).view(1, 1, GD, 1, 1)
    log_y = torch.log2(shown + _EPS).expand(n, 1, GD, GH, GW)
    capture = colour * shown
    raw = 1 - finished.view(n, 1, 1, 1, 1)
    open_light = capture * torch.exp2(raw * hold_range(log_y, base, tones))
    closed = torch.lerp(open_light.clamp(0, 1), shoulder(open_light), raw)
    fused = shoulder(capture * torch.exp2(raw * hold_range(log_y, base, tones, HDR_RANGE_EV)))
    share = torch.lerp(controls[:, 1], fused_share(controls), raw.flatten()).view(n, 1, 1, 1, 1)
    between = (closed + _EPS) ** (1 - share) * (fused + _EPS) ** share - _EPS
    wanted = dress(between.clamp_min(0), controls)
    gain = torch.log2((wanted + LIGHT_FLOOR) / (capture + LIGHT_FLOOR)).clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)
    above = torch.log2((light.luminance(open_light) + _EPS) / (light.luminance(closed) + _EPS)).clamp(0, 4)
    return torch.cat([gain, raw * above], 1).transpose(1, 2).flatten(1, 2)
