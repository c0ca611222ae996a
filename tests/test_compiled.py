"""Loops in C: there wherever they can be made, and no other library is taken for them."""

import ctypes
import shutil

import pytest

from camera_nano.light.render import kernel as render_kernel
from camera_nano.merge.kernel import kernel as merge_kernel

KERNELS = pytest.mark.parametrize("kernel", [render_kernel, merge_kernel], ids=["render", "merge"])


@KERNELS
def test_the_compiled_loop_is_there_wherever_it_can_be_made(kernel):
    assert kernel() is not None or shutil.which("cc") is None


@KERNELS
def test_a_library_of_another_version_is_not_used(kernel, monkeypatch):
    library = ctypes.CDLL(None)  # this process: it has no such function
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    kernel.cache_clear()
    try:
        assert kernel() is None
    finally:
        kernel.cache_clear()
