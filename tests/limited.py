"""Programs that run beside a test, as people would start them."""

import fcntl
import subprocess
import threading
from typing import Any

MOST_S = 300  # far beyond what any of them needs on a slow machine


class Process(subprocess.Popen[Any]):
    """Killed when it takes too long, so that a hang fails one test and ends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limit = threading.Timer(MOST_S, self.kill)
        self._limit.daemon = True
        self._limit.start()

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)
        finally:
            self._limit.cancel()


def held_up(process: Process) -> Process:
    """It waits once a page of what it says is not read: so it cannot be over before it is interrupted."""
    assert process.stdout
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    return process
