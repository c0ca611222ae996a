"""One picture -> its alternatives: condition, propose, render. What live, batch and the library share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from camera_nano.conditioning import condition
from camera_nano.denoise import denoise
from camera_nano.looks import choose
from camera_nano.render import render
from camera_nano.values import Alternative, EditField, Editor, Frame, Look, Pixels


def relight(pixels: Pixels, field: EditField, *, threads: int = 1) -> Pixels:
    """Pixels (H, W, 3) through a field as a photo is delivered: rendered, and the noise that was lifted calmed."""
    return denoise(render(pixels, field, threads=threads), pixels, field, threads=threads)


def enhance_frame(
    frame: Frame,
    editor: Editor,
    looks: Sequence[Look],
    *,
    strength: float = 1.0,
    n_steps: int = 2,
    seed: int = 0,
    threads: int = 1,
) -> Iterator[Alternative]:
    """Full-size alternatives of a frame, one look after the other so that only one is in memory.

    `strength` 0 is the frame itself, bit for bit; 1 is the look; between them the edit is scaled in EV.
    """
    for look, field in zip(looks, editor.propose(condition(frame), looks, seed=seed, n_steps=n_steps), strict=True):
        scaled = field * strength
        yield Alternative(frame.id, look, scaled, relight(frame.pixels, scaled, threads=threads), frame.t_ns)


def enhance(
    image: Pixels,
    looks: Sequence[str] | None = None,
    *,
    strength: float = 1.0,
    n_steps: int = 2,
    seed: int = 0,
    editor: Editor | None = None,
) -> Iterator[Alternative]:
    """Relight one image with the bundled model.

    Args:
        image: (H, W, 3) RGB, uint8 or uint16, sRGB-encoded; whatever `numpy.asarray` makes such an array of,
            a Pillow image for one.
        looks: names or words ("warm evening light", see `words.parse`); every named look by default.
        strength: 0 returns the image bit for bit, 1 is the full look.
        n_steps: of the diffusion; 1 is faster, 2 the default.
        seed: the same seed, image and look give the same pixels.
        editor: an engine from `load_editor`, to load the model once for many images.

    Yields:
        One `Alternative` per look; `.image` has the shape and depth of the input.

    Raises:
        ValueError: the image is not what it should be, or a look is not understood.
    """
    if editor is None:
        from camera_nano.engines import load_editor

        editor = load_editor()
    frame = Frame(np.asarray(image))
    return enhance_frame(frame, editor, choose(editor.looks, looks), strength=strength, n_steps=n_steps, seed=seed)
