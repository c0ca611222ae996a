"""A Pi's frames at another exposure: single requests between the usual ones, told by what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from camera_nano.values import Exposure

FRAME_US = (33_333, 120_000)  # shortest and longest frame: thirty a second, and no fewer than eight in the dark
_BRACKET_EVERY = 8  # frames; a control takes two or three of them to arrive


class Pulses:
    """Single requests at another exposure between the usual ones, each known by its own metadata.

    Controls arrive some requests after they were set, and not always for one request only. So what a request was taken
    with is not counted but read from it, against the last one of the usual exposure.
    """

    def __init__(self) -> None:
        self.offsets_ev: tuple[float, ...] = ()
        self._usual: Exposure | None = None
        self._gain: float | None = None  # of that one; its ISO counts the digital gain, too
        self._n_frames = self._n_pulses = 0
        self._n_marking = 0  # frames for which an exposure that differs is one of ours
        self._is_out = False  # another exposure is set, and the usual one is not set again yet

    def marked(self, exposure: Exposure, gain: float | None) -> Exposure:
        """The exposure of a frame, with its `bracket_ev` if it was taken by a pulse; `gain` is the sensor's."""
        self._n_marking = max(0, self._n_marking - 1)
        if self._usual is not None and self._n_marking:
            ev = float(np.log2(_amount(exposure) / _amount(self._usual)))
            if abs(ev) >= 1:  # nearer to a pulse than to the usual one
                return replace(exposure, bracket_ev=ev)
        self._usual, self._gain = exposure, gain
        return exposure

    def next(self, is_locked: bool, offered: Mapping[str, Sequence[Any]]) -> dict[str, Any] | None:
        """The controls to set now; None for none. Call it once a frame."""
        time_ms, gain = self._usual.time_ms if self._usual else None, self._gain
        if time_ms is None or gain is None:
            return None
        if self._is_out:
            self._is_out = False
            if not is_locked:  # 0 lets go of what was set by hand, in every version of libcamera
                return {"AeEnable": True, "ExposureTime": 0, "AnalogueGain": 0.0}
            return _manual(time_ms, gain, 0.0, offered)
        self._n_frames += 1
        if not self.offsets_ev or self._n_frames % _BRACKET_EVERY:
            return None
        self._is_out, self._n_marking = True, _BRACKET_EVERY
        self._n_pulses += 1
        return _manual(time_ms, gain, self.offsets_ev[self._n_pulses % len(self.offsets_ev)], offered)


def _amount(exposure: Exposure) -> float:
    return max(1e-6, (exposure.time_ms or 1.0) * (exposure.iso or 100.0))


def _manual(time_ms: float, gain: float, ev: float, offered: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Controls for an exposure `ev` stops from the usual one: by time first, which adds no noise, then by gain."""
    wanted_us = time_ms * 1000 * 2**ev
    low, high = offered["ExposureTime"][:2]
    time_us = int(np.clip(wanted_us, low, min(high, FRAME_US[1])))
    return {
        "AeEnable": False,
        "ExposureTime": time_us,
        "AnalogueGain": float(np.clip(gain * wanted_us / time_us, *offered["AnalogueGain"][:2])),
    }
