"""Several captures of one scene -> one linear picture with less noise and more range; knows nothing of files.

    merged = merge([Capture(frame.pixels) for frame in frames], reference=3, threads=2)
    exposed = expose(merged)  # what goes on to the model and the looks

This is the door: other rooms take these names from here.
"""

from camera_nano.merge.capture import Capture, Merged
from camera_nano.merge.expose import Exposed, expose
from camera_nano.merge.filling import Filled, fill
from camera_nano.merge.kernel import kernel
from camera_nano.merge.raw import RawCapture, merge_raw
from camera_nano.merge.stack import merge

__all__ = ["Capture", "Exposed", "Filled", "Merged", "RawCapture", "expose", "fill", "kernel", "merge", "merge_raw"]
