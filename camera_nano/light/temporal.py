"""Smoothing fields over time: light stays steady while the scene does, and changes at once when the scene does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camera_nano.light.field import mix
from camera_nano.values import Condition, EditField

_STEADY = 0.35  # weight of the newest field while nothing changes
_CUT = 0.12  # mean change of code values (0..1) above which only the newest field counts


def newest_share(before: Condition, now: Condition) -> float:
    """The weight of the newest field, from 0.35 (still scene) to 1 (cut), by how much the thumbnail has changed."""
    change = float(np.abs(now.thumbnail - before.thumbnail).mean())
    return min(1.0, _STEADY + (1 - _STEADY) * change / _CUT)


def smooth(before: Sequence[EditField], now: Sequence[EditField], share: float) -> list[EditField]:
    """Exponential smoothing in EV: for each look, the old field and `share` of the new one."""
    return [mix([old, new], [1 - share, share]) for old, new in zip(before, now, strict=True)]
