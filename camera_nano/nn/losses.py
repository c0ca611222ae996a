"""What training minimises: errors of the picture that a field makes, of the tone head, and of headroom."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camera_nano.nn import light

BETA = 0.1  # of smooth L1, on code values times 2


def picture_loss(made: Tensor, target: Tensor) -> Tensor:
    """Made linear light (B, 3, h, w), which may be above 1, against the wanted picture in code values 0..1.

    Three smooth L1 losses of code values times 2: of the pixels; of the differences between neighbours; and of the mean
    of the whole frame, so that a picture too dark everywhere counts as one large error, not as many small ones.
    """
    made = light.oetf(made.clamp(0, 4)) * 2
    target = target * 2
    loss = F.smooth_l1_loss(made, target, beta=BETA)
    for dim in (2, 3):
        loss = loss + 0.25 * F.smooth_l1_loss(made.diff(dim=dim), target.diff(dim=dim), beta=BETA)
    made_mean, target_mean = (picture.clamp(0, 2).mean((2, 3)) for picture in (made, target))
    return loss + 0.5 * F.smooth_l1_loss(made_mean, target_mean, beta=BETA)


def tone_loss(curve: Tensor, spread: Tensor, wanted: Tensor, mass: Tensor, modes: Tensor) -> tuple[Tensor, Tensor]:
    """The tone head's curve (B, 8) and log deviations (B, 2) against the wanted curve -> loss, error by mode (B, 2).

    The loss has two parts. One is smooth L1 in EV, weighted by each bin's share of the picture. The other is the
    negative log likelihood of the curve's error along the two modes (by weighted least squares) under the predicted
    deviations; only the deviations learn from it.
    """
    weight = mass.sqrt() / mass.sqrt().sum(1, keepdim=True)
    error = (F.smooth_l1_loss(curve, wanted, beta=0.3, reduction="none") * weight).sum(1).mean()
    share = mass / mass.sum(1, keepdim=True)
    gram = torch.einsum("bk,ik,jk->bij", share, modes, modes) + 0.01 * torch.eye(2, device=modes.device)
    lacking = torch.linalg.solve(gram, torch.einsum("bk,ik->bi", share * (wanted - curve.detach()), modes))
    unlikely = (spread + 0.5 * (lacking / spread.exp()).square().clamp_max(20)).mean()
    return error + 0.1 * unlikely, lacking


def headroom_loss(made: Tensor, headroom: Tensor) -> Tensor:
    """Smooth L1 in EV of sliced headroom against the true one, (B, 1, h, w), where that is known (not NaN)."""
    known = torch.isfinite(headroom)
    error = F.smooth_l1_loss(made, torch.where(known, headroom, made.detach()), beta=0.5, reduction="none")
    return (error * known).sum() / known.sum().clamp_min(1)
