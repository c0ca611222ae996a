"""How this machine and this process are doing: memory, load, temperature; and how to use less memory."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import Any

import psutil

# of the Raspberry Pi's firmware; bits 1, 2 and 3: frequency capped, throttled, soft temperature limit reached now
_PI_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_NOW = 0b1110
_PROCESS = psutil.Process()
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # mallopt(3)
_LARGE_BYTES = 256 << 10  # pictures are larger; edit fields and JPEGs of tiles are smaller


def vitals() -> dict[str, Any]:
    """Memory and load of this process, temperature of the processor, throttling; None for what is not known."""
    return {
        "rss_mb": round(_PROCESS.memory_info().rss / 1e6),
        "cpu_percent": _PROCESS.cpu_percent(),  # averaged since the last call; 100 is one core
        "temperature_c": _temperature_c(),
        "throttled": _is_throttled(),
    }


def available_bytes() -> int:
    """Memory that programs can still take without swapping."""
    return int(psutil.virtual_memory().available)


def _temperature_c() -> float | None:
    read = getattr(psutil, "sensors_temperatures", None)  # only on Linux and FreeBSD
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
    """Limit glibc to two heaps for all threads, and keep pictures out of them.

    It would make up to eight for each core, and frames would leave about 40 MB unused in each. It would also move its
    bound for large blocks up to the largest it has seen, so that pictures lie in a heap, with small things between
    them that live longer: then a live server grows for an hour. Call this before threads are started. It does nothing
    with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 2)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def give_back_memory() -> None:
    """Return free memory to the system, malloc_trim(3): glibc keeps what a full-size picture needed, about 80 MB."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
