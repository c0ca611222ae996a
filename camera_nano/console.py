"""What commands print: lines, JSON, and how far a long run is.

Progress is one line that is redrawn on a terminal, and a plain line every few seconds elsewhere. Inside `json_lines`,
all of that is JSON, an object a line.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Level = Literal["info", "warning", "error", "critical"]

_BAR_CELLS = 24
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
)  # terminals obey the control characters; UTF-8 and XML cannot hold the surrogates
_REDRAW_S = 0.1
_PLAIN_EVERY_S = 5.0
_speaks_json = False  # whether stderr is for programs


def progress_line(done: int, total: int, elapsed_s: float) -> str:
    """`[#####.....] 12/60  3.1/s  15 s left`; the rate only once something is done."""
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
        """Count one more as done."""
        self._done += 1
        if self._clock() - self._drawn_s >= (_REDRAW_S if self._is_tty else _PLAIN_EVERY_S):
            self._draw()

    def note(self, text: str) -> None:
        """Print a line of its own above the bar."""
        is_drawn = self._is_tty and not _speaks_json
        self._stream.write(f"\r\x1b[K{printable(text)}\n" if is_drawn else f"{line_of(text)}\n")
        if is_drawn:
            self._draw()
        self._stream.flush()

    def close(self) -> None:
        """Draw the final state, and go to a new line."""
        self._draw()
        if self._is_tty and not _speaks_json:
            self._stream.write("\n")
        self._stream.flush()

    def _draw(self) -> None:
        self._drawn_s = self._clock()
        elapsed_s = self._drawn_s - self._started_s
        line = progress_line(self._done, self._total, elapsed_s)
        if _speaks_json:
            now = line_of(line, "progress", done=self._done, total=self._total, elapsed_s=round(elapsed_s, 1))
            self._stream.write(f"{now}\n")
        elif self._is_tty:
            self._stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()


def printable(text: str) -> str:
    """The text as one line that can be printed anywhere: file names may hold control characters."""
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: str, event: str = "message", level: Level = "info", **fields: object) -> None:
    """Print a line on stderr, as `line_of` makes it."""
    print(line_of(text, event, level, **fields), file=sys.stderr, flush=True)


def line_of(text: str, event: str = "message", level: Level = "info", **fields: object) -> str:
    """A line for people, which is the text; inside `json_lines` for programs, with all that is given, and the time."""
    if not _speaks_json:
        return printable(text)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, "level": level, "event": event, "text": printable(text)} | fields)


def is_json() -> bool:
    """Whether we are inside `json_lines`."""
    return _speaks_json


@contextmanager
def json_lines() -> Iterator[None]:
    """What is said meanwhile is JSON, an object a line on stderr, also what libraries log and what ends in a crash."""
    global _speaks_json
    handler = _JsonHandler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    _speaks_json = True
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        say(repr(error), "crash", "critical", trace=traceback.format_exc())
        sys.exit(1)
    finally:
        logging.getLogger().removeHandler(handler)
        _speaks_json = False


class _JsonHandler(logging.Handler):
    """Says what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "warning" if record.levelno < logging.ERROR else "error"
        trace = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else None
        say(record.getMessage(), "log", level, logger=record.name, trace=trace)


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Print a value as a line of JSON for scripts, on stdout by default."""
    print(json.dumps(value), file=stream or sys.stdout, flush=True)
