"""How far a long run is: one redrawn line on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

_BAR_CELLS = 24
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # terminals obey some, UTF-8 and XML have no others
_REDRAW_S = 0.1
_PLAIN_EVERY_S = 5.0


def progress_line(done: int, total: int, elapsed_s: float) -> str:
    """`[#####.....] 12/60  3.1/s  15 s left`, without a rate before the first photo."""
    filled = _BAR_CELLS * done // total if total else _BAR_CELLS
    line = f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}] {done}/{total}"
    if done and elapsed_s > 0:
        line += f"  {done / elapsed_s:.1f}/s  {span((total - done) * elapsed_s / done)} left"
    return line


def span(seconds: float) -> str:
    """`2 h 05 min`, `3 min 20 s`, `15 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Counts to `total` on a stream, stderr by default; `clock` gives seconds."""

    def __init__(self, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._done, self._clock = total, 0, clock
        self._stream = stream or sys.stderr
        self._is_tty = self._stream.isatty()
        self._started_s = self._drawn_s = clock()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._clock() - self._drawn_s >= (_REDRAW_S if self._is_tty else _PLAIN_EVERY_S):
            self._draw()

    def note(self, text: str) -> None:
        """A line of its own, above the bar."""
        text = printable(text)
        self._stream.write(f"\r\x1b[K{text}\n" if self._is_tty else f"{text}\n")
        if self._is_tty:
            self._draw()
        self._stream.flush()

    def close(self) -> None:
        """The final state; the cursor is on a new line."""
        self._draw()
        if self._is_tty:
            self._stream.write("\n")
        self._stream.flush()

    def _draw(self) -> None:
        self._drawn_s = self._clock()
        line = progress_line(self._done, self._total, self._drawn_s - self._started_s)
        if self._is_tty:
            self._stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()


def printable(text: str) -> str:
    """One line that can be written anywhere: file names may hold control characters, and bytes that are no UTF-8."""
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """A line for scripts, on stdout by default."""
    print(json.dumps(value), file=stream or sys.stdout, flush=True)
