"""camera_nano: the light of a photo, chosen before the shutter.

    import camera_nano as cn
    for alternative in cn.enhance(image, looks=["natural", "golden"]):
        alternative.image  # (H, W, 3), the depth of the input

Importing the package loads neither OpenCV, ONNX Runtime nor torch: names are resolved when first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from camera_nano.version import __version__ as __version__

if TYPE_CHECKING:
    from camera_nano.decode import open_image
    from camera_nano.encode import save
    from camera_nano.engines import load_editor
    from camera_nano.enhance import enhance
    from camera_nano.session import Session
    from camera_nano.sources import open_source
    from camera_nano.values import Alternative, Condition, EditField, Editor, Exposure, Frame, Look, Source

_HOME = {
    "Alternative": "values",
    "Condition": "values",
    "EditField": "values",
    "Editor": "values",
    "Exposure": "values",
    "Frame": "values",
    "Look": "values",
    "Session": "session",
    "Source": "values",
    "enhance": "enhance",
    "load_editor": "engines",
    "open_image": "decode",
    "open_source": "sources",
    "save": "encode",
}

__all__ = [
    "Alternative",
    "Condition",
    "EditField",
    "Editor",
    "Exposure",
    "Frame",
    "Look",
    "Session",
    "Source",
    "enhance",
    "load_editor",
    "open_image",
    "open_source",
    "save",
]


class _Package(ModuleType):
    """Python puts every imported submodule into its package; `enhance` is to stay the function, not the file."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
