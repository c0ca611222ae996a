"""What training minimises: the field, and the picture the field makes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.grid import relight, slice_field


def picture_loss(field: Tensor, image: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Field (B, 32, 16, 16) in EV sliced onto the captured image (B, 3, h, w), against the wanted picture.

    Smooth L1 (beta 0.1) over code values stretched to -1..1, plus the same of horizontal and vertical differences.
    """
    made = light.oetf(relight(light.eotf(image), slice_field(field, weights)[:, :3]).clamp(0, 4)) * 2
    target = target * 2
    loss = F.smooth_l1_loss(made, target, beta=0.1)
    for dim in (2, 3):
        loss = loss + 0.25 * F.smooth_l1_loss(made.diff(dim=dim), target.diff(dim=dim), beta=0.1)
    return loss


def headroom_loss(field: Tensor, headroom: Tensor, weights: Tensor) -> Tensor:
    """Smooth L1 in EV of the sliced headroom against the true one (B, 1, h, w), where that is known (not NaN)."""
    made = slice_field(field, weights)[:, 3:]
    known = torch.isfinite(headroom)
    error = F.smooth_l1_loss(made, torch.where(known, headroom, made.detach()), beta=0.5, reduction="none")
    return (error * known).sum() / known.sum().clamp_min(1)
