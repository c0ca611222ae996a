"""Fields over time: steady light on a steady scene, and no trail of the old scene after a cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camera_nano.field import mix
from camera_nano.values import Condition, EditField

_STEADY = 0.35  # share of the newest field while nothing changes
_CUT = 0.12  # mean change of code value (0..1) from which the old field is worth nothing


def newest_share(before: Condition, now: Condition) -> float:
    """How much of the newest field to take, 0.35 (still scene) .. 1 (cut), from the change of the thumbnail."""
    change = float(np.abs(now.thumbnail - before.thumbnail).mean())
    return min(1.0, _STEADY + (1 - _STEADY) * change / _CUT)


def smooth(before: Sequence[EditField], now: Sequence[EditField], share: float) -> list[EditField]:
    """Exponential smoothing of fields in EV, look by look."""
    return [mix([old, new], [1 - share, share]) for old, new in zip(before, now, strict=True)]
