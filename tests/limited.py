"""Programs that run beside a test, as people would start them."""

import subprocess
import threading

MOST_S = 300  # far beyond what any of them needs on a slow machine


class Process(subprocess.Popen):
    """Killed when it takes too long, so that a hang fails one test and ends."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._limit = threading.Timer(MOST_S, self.kill)
        self._limit.daemon = True
        self._limit.start()

    def __exit__(self, *what):
        try:
            super().__exit__(*what)
        finally:
            self._limit.cancel()
