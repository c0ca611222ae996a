"""Rectified flow with x-prediction, as plain functions (Liu et al. 2022; x-prediction as in Salimans and Ho 2022).

x_t = (1 - t) x_0 + t noise. The network predicts x_0, the end of the path; the velocity is (x_t - x_0) / t.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor


def times(n_steps: int) -> list[float]:
    """Schedule 1 = t_0 > .. > t_n = 0, uniform."""
    return [1 - i / n_steps for i in range(n_steps + 1)]


def sample_times(n: int, rng: torch.Generator) -> Tensor:
    """Training times (n,) in 0.05..1: two fifths are 1, pure noise, so that few steps are enough; others uniform."""
    t = 0.05 + 0.95 * torch.rand(n, generator=rng, device=rng.device)
    pure = torch.rand(n, generator=rng, device=rng.device) < 0.4
    return torch.where(pure, torch.ones_like(t), t)


def noised(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """The point at time t (B,) on the straight path from data (B, ...) to noise."""
    t = t.view(-1, *[1] * (x0.dim() - 1))
    return (1 - t) * x0 + t * noise


def sample_euler(denoise: Callable[[Tensor, Tensor], Tensor], noise: Tensor, schedule: list[float]) -> Tensor:
    """Noise (B, ...) -> data along `schedule`; `denoise(x, t)` predicts x_0. The last step ends at its prediction."""
    x = noise
    for t, t_next in pairwise(schedule):
        x0 = denoise(x, torch.full((len(x),), t, device=x.device))
        x = x0 + (t_next / t) * (x - x0)
    return x
