"""The model's answers, one frame after another: looks of one seed are one question, and fields do not flicker."""

from __future__ import annotations

from collections.abc import Sequence

from camera_nano.light import newest_share, smooth
from camera_nano.live.proposals import Asked
from camera_nano.seams import Editor
from camera_nano.values import Assume, Condition, EditField


class Answers:
    """A model, and what it said of the frame before."""

    def __init__(self, editor: Editor, n_steps: int) -> None:
        self._editor, self._n_steps = editor, n_steps
        self._before: tuple[Condition, dict[Asked, EditField]] | None = None
        self._how_before: tuple[Assume, float | None] | None = None

    def of(self, seen: Condition, asked: Sequence[Asked], assume: Assume) -> dict[Asked, EditField]:
        """A field for each look and seed, whatever was answered before; from any thread."""
        made: dict[Asked, EditField] = {}
        for seed in dict.fromkeys(seed for _, seed in asked):
            looks = [look for look, of_seed in asked if of_seed == seed]
            fields = self._editor.propose(seen, looks, seed=seed, n_steps=self._n_steps, assume=assume)
            made |= {(look, seed): field for look, field in zip(looks, fields, strict=True)}
        return {each: made[each] for each in asked}

    def steady(
        self, seen: Condition, asked: Sequence[Asked], assume: Assume, merged_ev: float | None
    ) -> dict[Asked, EditField]:
        """As `of`, each field smoothed with that of the frame before; from one thread.

        A look that was just changed starts afresh; so do all where the frame is assumed to be something else, or is
        merged at another exposure (`Proposal.merged_ev`).
        """
        fields, how = self.of(seen, asked, assume), (assume, merged_ev)
        if self._before is not None and how == self._how_before:
            seen_before, old = self._before
            kept = [each for each in fields if each in old]
            share = newest_share(seen_before, seen)
            fields |= dict(zip(kept, smooth([old[k] for k in kept], [fields[k] for k in kept], share), strict=True))
        self._before, self._how_before = (seen, fields), how
        return fields
