"""What the model has proposed lately: one thread adds proposals, others show them, save them or wait for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from camera_nano.color import to_8_bit
from camera_nano.light.render import render
from camera_nano.values import Assume, EditField, Frame, Look, Pixels

Asked = tuple[Look, int]  # a look, and the seed of the model's answer
_KEPT = 64  # about eight seconds of fields, 32 KiB a look


@dataclass(frozen=True, slots=True, eq=False)
class LazyTiles(Mapping[str, Pixels]):
    """Small pictures of looks, rendered when they are asked for: pages that draw looks themselves never do."""

    small: Pixels
    fields: Mapping[str, EditField]

    def __getitem__(self, look: str) -> Pixels:
        return to_8_bit(render(self.small, self.fields[look]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What the model made of one frame: for each look, by its name, a field and a small picture."""

    id: int
    frame_id: int
    t_ns: int  # start of exposure of that frame
    fields: Mapping[str, EditField]
    tiles: Mapping[str, Pixels]  # (h, w, 3) RGB uint8, at most 400 px wide; empty in all but the newest proposal
    looks: Mapping[str, Look]
    assume: Assume = "auto"  # what the model was told that the frame is
    # the fields are for the frame merged with darker ones, at this exposure in stops against it; None: for the frame
    merged_ev: float | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)  # of the looks' fields, by their names


class Proposals:
    """The last 64 proposals, and what is pinned. Ids count up from 1."""

    def __init__(self) -> None:
        self._kept: list[Proposal] = []
        self._pins = WeakKeyDictionary[object, frozenset[int]]()  # a holder that is gone pins nothing
        self._added = threading.Condition()
        self.n_made = 0

    def add(
        self,
        frame: Frame,
        fields: Mapping[Asked, EditField],
        tiles: Mapping[str, Pixels],
        assume: Assume = "auto",
        merged_ev: float | None = None,
    ) -> None:
        """Add the newest proposal; the oldest falls out."""
        looks = {look.name: look for look, _ in fields}
        seeds = {look.name: seed for look, seed in fields}
        named = {look.name: made for (look, _), made in fields.items()}
        with self._added:
            if self._kept:  # a shot may need older fields; nobody draws older tiles, and a set of them is a megabyte
                self._kept[-1] = replace(self._kept[-1], tiles={})
            pinned = frozenset[int]().union(*self._pins.values())
            self._kept = [kept for kept in self._kept[:-_KEPT] if kept.id in pinned] + self._kept[-_KEPT:]
            self.n_made += 1
            made = Proposal(self.n_made, frame.id, frame.t_ns, named, tiles, looks, assume, merged_ev, seeds)
            self._kept.append(made)
            self._added.notify_all()

    def get(self, proposal_id: int | None = None) -> Proposal | None:
        """The one with this id, without it the newest; None where there is none."""
        with self._added:
            wanted = [kept for kept in self._kept if proposal_id is None or kept.id == proposal_id]
            return wanted[-1] if wanted else None

    def nearest(self, frame_id: int) -> Proposal | None:
        """The one that was made of the frame nearest to this one; None before the first."""
        with self._added:
            return min(self._kept, key=lambda proposal: abs(proposal.frame_id - frame_id), default=None)

    def pin(self, holder: object, proposal_ids: Iterable[int]) -> None:
        """Keep these for a holder, in place of those that it had pinned before; none lets go."""
        with self._added:
            self._pins.pop(holder, None)
            if kept := frozenset(proposal_ids):
                self._pins[holder] = kept

    def wait_newer(self, after_id: int, timeout_s: float, is_over: Callable[[], bool]) -> Proposal | None:
        """The newest once its id is above `after_id`; None on time-out, or when `is_over` says so after a `wake`."""
        with self._added:
            self._added.wait_for(lambda: self._has_newer(after_id) or is_over(), timeout_s)
            return self._kept[-1] if self._has_newer(after_id) else None

    def _has_newer(self, after_id: int) -> bool:
        return bool(self._kept) and self._kept[-1].id > after_id

    def wake(self) -> None:
        """Let every thread that waits ask its `is_over`."""
        with self._added:
            self._added.notify_all()
