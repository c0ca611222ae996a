"""The product in a process of its own, as people run it: started, followed line by line, killed, looked for after."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camera_nano.environment import for_child

AS_INSTALLED = (sys.executable, "-P", "-m", "camera_nano")
_POLL_S, _READ_S = 0.01, 2.0
# Ctrl-C while Python ends objects, which no handler can be told of
_INTERRUPTED = re.compile(
    r"Exception ignored in[^\n]*\nTraceback [^\n]*\n(?:[ \t][^\n]*\n|\n)*KeyboardInterrupt[^\n]*\n?"
)
_CHATTER = re.compile(r"Traceback \(most recent call last\)|Segmentation fault|Exception ignored")


@dataclass(frozen=True, slots=True)
class Product:
    """The command that is tried, and a folder for all that it keeps: home, temporary files, what it says."""

    home: Path
    command: tuple[str, ...] = AS_INSTALLED

    @property
    def temporary(self) -> Path:
        """Where its processes put temporary files; by this name in their environment they are found."""
        return self.home / "tmp"

    def start(self, *argv: str | Path, **environment: str) -> Run:
        """Start a command in a session of its own."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        own = {name: str(self.home) for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
        env = for_child(**own, TMPDIR=str(self.temporary), **environment)
        return Run([*self.command, *map(str, argv)], env, self.home / "stderr")

    def alive(self, within_s: float = 0.0) -> list[int]:
        """Processes that are still there after so many seconds, children of any depth too."""
        until_s = time.monotonic() + within_s
        while (found := _with_environment(f"TMPDIR={self.temporary}")) and time.monotonic() < until_s:
            time.sleep(_POLL_S)
        return found


class Run:
    """A process from its start until `end`; its lines of JSON are read as they come."""

    def __init__(self, argv: list[str], env: Mapping[str, str], said: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self._said = said
        with said.open("wb") as err:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, env=env, start_new_session=True
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with contextlib.suppress(ValueError):  # a line that is cut off confirms nothing
                self.lines.append(json.loads(line))

    @property
    def said(self) -> str:
        """What is on stderr so far."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, is_there: Callable[[], object], limit_s: float = 120.0) -> bool:
        """Wait for something, until the process has ended or for so many seconds; whether it came."""
        until_s = time.monotonic() + limit_s
        while not (came := bool(is_there())) and self.process.poll() is None and time.monotonic() < until_s:
            time.sleep(_POLL_S)
        return came or bool(is_there())

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; whether the process was still there."""
        is_there = self.process.poll() is None
        self.process.send_signal(number)
        return is_there

    def end(self, limit_s: float = 120.0) -> int | None:
        """Wait for its end; the exit code, or None where it had to be killed."""
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self._reader.join(_READ_S)
            if self.process.stdout and not self._reader.is_alive():  # else a child that outlived it holds it open
                self.process.stdout.close()
        return self.process.returncode

    def chatter(self) -> list[str]:
        """What people must never see on stderr."""
        said = _INTERRUPTED.sub("", self.said)
        return [f"it printed: {said[found.start() :][-1000:]!r}" for found in [_CHATTER.search(said)] if found]


def _with_environment(entry: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if entry.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]
