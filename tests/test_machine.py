"""What a process does for its memory, in one of its own: it cannot be undone."""

import platform
import subprocess
import sys

import pytest

# prints how many bytes lie outside of the heaps, mallinfo2(3), before there is a frame and while there is one
FRAMES = """
import ctypes
import numpy as np
from camera_nano.machine import share_heaps

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
        ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
share_heaps()
for _ in range(3):
    np.ones((720, 1280, 3), np.uint8)
before = libc.mallinfo2().hblkhd
frame = np.ones((720, 1280, 3), np.uint8)
print(libc.mallinfo2().hblkhd - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps that are told how to be")
def test_frames_stay_out_of_the_heaps_where_they_would_leave_holes():
    done = subprocess.run([sys.executable, "-c", FRAMES], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 720 * 1280 * 3
