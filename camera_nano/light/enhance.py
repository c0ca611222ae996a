"""One picture -> its alternatives: condition, propose, render. What live, batch and the library share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from camera_nano.light.condition import condition
from camera_nano.light.denoise import denoise
from camera_nano.light.render import render
from camera_nano.seams import Editor
from camera_nano.values import Alternative, Assume, EditField, Frame, Look, Pixels


def relight(pixels: Pixels, field: EditField, *, threads: int = 1) -> Pixels:
    """Pixels (H, W, 3) through a field as in a saved photo: rendered, then the brightened noise is smoothed."""
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
    assume: Assume = "auto",
) -> Iterator[Alternative]:
    """Full-size alternatives of a frame, one look after the other so that only one is in memory.

    `strength` 0 is the frame itself, bit for bit; 1 is the look; between them the edit is scaled in EV.
    """
    fields = editor.propose(condition(frame), looks, seed=seed, n_steps=n_steps, assume=assume)
    for look, field in zip(looks, fields, strict=True):
        scaled = field * strength
        yield Alternative(frame.id, look, scaled, relight(frame.pixels, scaled, threads=threads), frame.t_ns)
