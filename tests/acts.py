"""What no decoder may do, done one act after the other: prints a JSON object that says of each how it ended."""

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def acts(folder: Path, port: int) -> dict[str, Callable[[], object]]:
    """Acts by name; `folder` holds `secret`, and something listens at `port` and at `folder/socket`."""
    limit = resource.RLIMIT_DATA
    return {
        "read a file": (folder / "secret").read_bytes,
        "list a folder": lambda: os.listdir(folder),
        "make a file": lambda: (folder / "made").write_bytes(b"made"),
        "change a file": lambda: os.truncate(folder / "secret", 1),
        "remove a file": (folder / "removed").unlink,
        "rename a file": lambda: (folder / "old").rename(folder / "new"),
        "change rights": lambda: (folder / "secret").chmod(0o777),
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close(),
        "send by UDP": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", port)),
        "connect to a socket": lambda: socket.socket(socket.AF_UNIX).connect(str(folder / "socket")),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": _fork,
        "signal another process": lambda: os.kill(os.getppid(), 0),
        "share memory": lambda: _done(ctypes.CDLL(None, use_errno=True).shmget(0, 4096, 0o1600)),
        "set a limit": lambda: resource.prlimit(0, limit, resource.getrlimit(limit)),
    }


def _fork() -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _done(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    outcomes = {name: _outcome(act) for name, act in acts(folder, port).items()}
    thread = threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGCONT))  # these it needs
    thread.start()
    thread.join()
    os.ftruncate(os.memfd_create("memory"), 4096)
    print(json.dumps(outcomes))
