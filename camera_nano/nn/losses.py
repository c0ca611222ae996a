"""What training minimises: the field, and the picture the field makes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.grid import relight

CLIPPED = 0.98  # code value from which a capture may have lost light
_KEEP_WHITE = 2.5


def picture_loss(gain_ev: Tensor, image: Tensor, target: Tensor) -> Tensor:
    """Sliced gains (B, 3, h, w) on the captured image (B, 3, h, w), against the wanted picture.

    Smooth L1 (beta 0.1) over code values stretched to -1..1, plus the same of horizontal and vertical differences.
    Where the capture is clipped, too dark costs 2.5 times as much as too bright: what is behind white is unknown, and
    its average, an even grey, is what nobody wants to see (an expectile; Newey and Powell 1987).
    """
    made = light.oetf(relight(light.eotf(image), gain_ev).clamp(0, 4)) * 2
    target = target * 2
    dull = (image.amin(1, keepdim=True) > CLIPPED) & (made < target)
    loss = (F.smooth_l1_loss(made, target, beta=0.1, reduction="none") * torch.where(dull, _KEEP_WHITE, 1.0)).mean()
    for dim in (2, 3):
        loss = loss + 0.25 * F.smooth_l1_loss(made.diff(dim=dim), target.diff(dim=dim), beta=0.1)
    return loss


def headroom_loss(made: Tensor, headroom: Tensor) -> Tensor:
    """Smooth L1 in EV of sliced headroom against the true one, (B, 1, h, w), where that is known (not NaN)."""
    known = torch.isfinite(headroom)
    error = F.smooth_l1_loss(made, torch.where(known, headroom, made.detach()), beta=0.5, reduction="none")
    return (error * known).sum() / known.sum().clamp_min(1)
