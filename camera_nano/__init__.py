"""camera_nano: the light of a photo, chosen before the shutter is pressed.

    import camera_nano as cn
    for alternative in cn.enhance(image, looks=["natural", "golden"]):
        alternative.image  # (H, W, 3), the depth of the input

Importing the package loads neither OpenCV, ONNX Runtime nor torch: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from camera_nano.version import __version__ as __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from camera_nano.engines import load_editor
    from camera_nano.files import open_image, save
    from camera_nano.light import draw_gain_map
    from camera_nano.live import Session
    from camera_nano.seams import Editor, Source
    from camera_nano.sources import open_source
    from camera_nano.values import Alternative, Assume, Condition, EditField, Exposure, Frame, Look, Pixels

_HOME = {
    "Alternative": "values",
    "Condition": "values",
    "EditField": "values",
    "Editor": "seams",
    "Exposure": "values",
    "Frame": "values",
    "Look": "values",
    "Session": "live",
    "Source": "seams",
    "draw_gain_map": "light",
    "load_editor": "engines",
    "open_image": "files",
    "open_source": "sources",
    "save": "files",
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
    "draw_gain_map",
    "enhance",
    "load_editor",
    "open_image",
    "open_source",
    "save",
]


def enhance(
    image: Pixels,
    looks: Sequence[str] | None = None,
    *,
    strength: float = 1.0,
    n_steps: int = 2,
    seed: int = 0,
    editor: Editor | None = None,
    assume: Assume = "auto",
) -> Iterator[Alternative]:
    """Relight one image with the bundled model.

    Args:
        image: (H, W, 3) RGB, uint8 or uint16, sRGB-encoded; an array, or what `numpy.asarray` can convert, such as
            a Pillow image.
        looks: names, or words such as "warm evening light" (see `looks.words.parse`); all named looks by default.
        strength: 0 returns the image bit for bit, 1 is the full look.
        n_steps: steps of the diffusion, at least 1; 1 is faster.
        seed: the same seed, image and look give the same pixels.
        editor: an engine from `load_editor`, to load the model once for many images.
        assume: "captured" never takes the image for one that is finished and needs nothing, "finished" always does.

    Yields:
        One `Alternative` per look; `.image` has the shape and depth of the input.

    Raises:
        ValueError: the image has another shape or type, or a look is not understood.
    """
    import numpy as np

    from camera_nano.engines import load_editor
    from camera_nano.light import enhance_frame
    from camera_nano.looks import choose
    from camera_nano.values import Frame

    if editor is None:
        editor = load_editor()
    frame = Frame(np.asarray(image))
    chosen = choose(editor.looks, looks)
    return enhance_frame(frame, editor, chosen, strength=strength, n_steps=n_steps, seed=seed, assume=assume)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
