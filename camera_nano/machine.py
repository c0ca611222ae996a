"""How this machine and this process are doing: memory, load, temperature; and memory that is given back."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import Any

import psutil

# the Raspberry Pi's firmware: bits 1, 2 and 3 are capped, throttled and soft temperature limit, right now
_PI_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_NOW = 0b1110
_PROCESS = psutil.Process()
_M_ARENA_MAX = -8  # mallopt(3)


def vitals() -> dict[str, Any]:
    """Resident memory and load of this process, temperature of the processor; None for what cannot be known."""
    return {
        "rss_mb": round(_PROCESS.memory_info().rss / 1e6),
        "cpu_percent": _PROCESS.cpu_percent(),  # since the last call; 100 is one core
        "temperature_c": _temperature_c(),
        "throttled": _is_throttled(),
    }


def _temperature_c() -> float | None:
    read = getattr(psutil, "sensors_temperatures", None)  # Linux and FreeBSD alone have it
    sensors = read() if read else {}
    for name in ("cpu_thermal", "coretemp", "k10temp"):
        if sensors.get(name):
            return float(max(sensor.current for sensor in sensors[name]))
    return None


def _is_throttled() -> bool | None:
    try:
        return bool(int(_PI_THROTTLED.read_text(), 16) & _NOW)
    except (OSError, ValueError):
        return None


def share_heaps() -> None:
    """Two heaps for all threads; glibc makes eight for each core, and what frames leave in each is 40 MB here.

    To be called before there are threads. Does nothing where the C library is another one.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """Hand free pages back to the system, malloc_trim(3): glibc keeps what a full-size picture needed, 80 MB here."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
