"""The live loop: a capture thread, an edit thread, and the shutter.

They meet in two places: the frame ring, and the newest proposal. Nothing queues between them - a slow model takes
the newest frame when it is ready for one, and never delays capture.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from camera_nano.conditioning import condition, shrink
from camera_nano.machine import vitals
from camera_nano.palette import Palette
from camera_nano.photo import Labels
from camera_nano.recipe import Recipe
from camera_nano.render import render, warm_up
from camera_nano.ring import FrameRing
from camera_nano.shots import Album, Shot
from camera_nano.temporal import newest_share, smooth
from camera_nano.timing import Pace, Rate, StageTimes
from camera_nano.values import Adjustable, Condition, EditField, Editor, Frame, Look, Pixels, Source, Watched
from camera_nano.words import Understood

log = logging.getLogger(__name__)

TILE_WIDTH_PX = 400
MOMENTS_S = 5.0
_KEPT_MOMENTS = 12
_KEPT_PROPOSALS = 64  # about eight seconds of fields, 32 KiB a look


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What the model made of one frame: a field and a small picture per look."""

    id: int
    frame_id: int
    t_ns: int  # start of exposure of that frame
    fields: Mapping[str, EditField]
    tiles: Mapping[str, Pixels]
    looks: Mapping[str, Look]


class Session:
    """A camera, a model and an output folder, from `start` to `close`."""

    def __init__(
        self,
        source: Source,
        load_editor: Callable[[], Editor],
        out: Path,
        *,
        looks: Sequence[str] | None = None,
        ring_capacity: int = 8,
        n_steps: int = 2,
        seed: int = 0,
        with_dng: bool = False,
        model: str = "unnamed",
        labels: Labels = Labels(),
    ) -> None:
        """`model` is the digest of the weights that files are to name; `labels` what else goes into them."""
        self.source, self.ring = source, FrameRing(ring_capacity)
        self.times, self.camera_rate, self.edit_rate, self._pace = StageTimes(), Rate(), Rate(), Pace()
        self.album = Album(out, self.times, source, with_dng=with_dng, labels=labels)
        self.camera_error: str | None = None
        self.model_error: str | None = None
        self._load_editor, self._look_names, self._n_steps, self._seed = load_editor, looks, n_steps, seed
        self._model = model
        self._palette: Palette | None = None  # None until the model is loaded
        self._palette_lock = threading.Lock()  # of changes: two pages may make one at a time
        self._proposals: deque[Proposal] = deque(maxlen=_KEPT_PROPOSALS)
        self._proposed = threading.Condition()
        self._moments: tuple[float, list[Frame]] = (0.0, [])  # until when, on the monotonic clock
        self._n_frames = self._n_proposals = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._capture, name="capture", daemon=True),
            threading.Thread(target=self._edit, name="edit", daemon=True),
        ]

    def start(self) -> None:
        """Start both threads; the first frame is readable long before the model is."""
        for thread in self._threads:
            thread.start()

    def close(self) -> int:
        """Stop, finish saving what was shot, free the camera; how many shots could not be saved. Safe to call twice."""
        self._stop.set()
        self.source.close()
        self.ring.close()
        with self._proposed:
            self._proposed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)
        return self.album.close()

    def _capture(self) -> None:
        try:
            for frame in self.source.frames():
                self.ring.push(frame)  # also the last one: a closed ring gives its buffers back
                if self._stop.is_set():
                    return
                self.camera_rate.tick()
                self._n_frames += 1
            self.camera_error = f"{self.source.name} has ended; start again, or choose another --source"
        except Exception as error:  # the top of a thread: whatever it is, people must see it
            log.debug("capture stopped", exc_info=True)
            self.camera_error = str(error) or repr(error)
        finally:
            self.ring.close()
            with self._proposed:
                self._proposed.notify_all()

    def _edit(self) -> None:
        try:
            self.ring.wait_newer(-1, timeout_s=2.0)  # loading would hold up the first view
            editor = self._load_editor()
            with self._palette_lock:
                self._palette = Palette.of(editor.looks, self._look_names)
            warm_up()
            self._propose_until_stopped(editor)
        except Exception as error:  # the top of a thread
            log.debug("editing stopped", exc_info=True)
            self.model_error = str(error) or repr(error)
            with self._proposed:
                self._proposed.notify_all()

    def _propose_until_stopped(self, editor: Editor) -> None:
        before: tuple[Condition, dict[Look, EditField]] | None = None
        frame_id = -1
        while not self._stop.is_set() and self.camera_error is None:
            frame = self.ring.wait_newer(frame_id, timeout_s=0.5)
            if frame is None:
                continue
            frame_id, started_s, looks = frame.id, time.monotonic(), self.palette().toned()
            with self.times.stage("condition"):
                seen = condition(frame)
            with self.times.stage("propose"):
                fields = dict(
                    zip(looks, editor.propose(seen, looks, seed=self._seed, n_steps=self._n_steps), strict=True)
                )
            if before is not None:
                fields = _calmed(before, (seen, fields))
            before = seen, fields
            with self.times.stage("tiles"):
                small = shrink(frame.pixels, TILE_WIDTH_PX)
                named = {look.name: field for look, field in fields.items()}
                tiles = {name: render(small, field) for name, field in named.items()}
            with self._proposed:
                if self._proposals:  # a shutter may ask for older fields; nobody draws older tiles, a megabyte a set
                    self._proposals[-1] = replace(self._proposals[-1], tiles={})
                self._n_proposals += 1
                by_name = {look.name: look for look in looks}
                self._proposals.append(Proposal(self._n_proposals, frame.id, frame.t_ns, named, tiles, by_name))
                self._proposed.notify_all()
            self.edit_rate.tick()
            self._stop.wait(self._pace.rest_s(time.monotonic() - started_s, self.camera_rate.per_s()))

    def proposal(self, proposal_id: int | None = None) -> Proposal | None:
        """The newest proposal, or the one with this id if it is still held; None before the first."""
        with self._proposed:
            if not self._proposals or proposal_id is None:
                return self._proposals[-1] if self._proposals else None
            return min(self._proposals, key=lambda p: abs(p.id - proposal_id))

    def wait_proposal(self, after_id: int, timeout_s: float) -> Proposal | None:
        """The newest proposal once its id is above `after_id`; None on time-out, error or end."""

        def there() -> bool:
            return bool(self._proposals) and self._proposals[-1].id > after_id

        with self._proposed:
            self._proposed.wait_for(
                lambda: there() or self._stop.is_set() or bool(self.model_error or self.camera_error),
                timeout_s,
            )
            return self._proposals[-1] if there() else None

    def palette(self) -> Palette:
        """The looks on offer. Raises LookupError until the model is loaded."""
        palette = self._palette
        if palette is None:
            raise LookupError("the model is still loading: try again in a moment")
        return palette

    def set_tone(self, highlights_ev: float, shadows_ev: float) -> None:
        """Lay a tone on every look. Raises as `palette` and `Palette.with_tone`."""
        with self._palette_lock:
            self._palette = self.palette().with_tone(highlights_ev, shadows_ev)

    def add_look(self, text: str) -> Understood:
        """Offer one more look, made of words. Raises as `palette` and `Palette.with_words`."""
        with self._palette_lock:
            self._palette, understood = self.palette().with_words(text)
        return understood

    def forget_look(self, name: str) -> None:
        """Take a look made of words away again. Raises as `palette` and `Palette.without`."""
        with self._palette_lock:
            self._palette = self.palette().without(name)

    def commit(
        self, frame_id: int, proposal_id: int | None, looks: Sequence[str], strength: float = 1.0
    ) -> Future[Shot]:
        """Press the shutter: save that frame's original, then each look from that proposal's fields.

        Frame and fields are taken now, the files are written in the order of the presses. The frames around it stay
        available for a while: `moments` has them, and this call takes one as it takes a frame of the ring.

        Raises:
            LookupError: no frame yet, or a look that has no alternative yet.
            OSError: the disk is full, and as many shots wait in memory as may.
        """
        proposal = self.proposal(proposal_id)
        fields = proposal.fields if proposal else {}
        missing = [name for name in looks if name not in fields]
        if missing:
            raise LookupError(f"no {', '.join(missing)} alternative yet: wait for it, or shoot the original")
        around = {frame.id: frame for frame in (*self.moments(), *self.ring.frames())}
        frame = self.ring.get(frame_id)
        if frame.id != frame_id and frame_id in around:
            if frame.held is not None:
                frame.held.release()
            frame = around[frame_id]
        self._keep(around, frame.id)
        made = proposal.looks if proposal else {}
        how = self._n_steps, "ultrahdr", self._model, self._seed
        recipes = {name: Recipe(made[name], strength, *how, is_live=True) for name in looks}
        saved = self.album.take(frame, {name: fields[name] * strength for name in looks}, recipes)
        saved.add_done_callback(
            lambda _: self._keep(around | {later.id: later for later in self.ring.frames()}, frame.id)
        )
        return saved

    def _keep(self, frames: Mapping[int, Frame], shot_id: int) -> None:
        # the nearest, not the newest: after a slow save those are of another moment
        nearest = sorted(frames, key=lambda frame_id: abs(frame_id - shot_id))[:_KEPT_MOMENTS]
        self._moments = time.monotonic() + MOMENTS_S, [frames[frame_id] for frame_id in sorted(nearest)]

    def moments(self) -> list[Frame]:
        """The frames just before and after the last shot, oldest first, until some seconds after it."""
        until_s, frames = self._moments
        if time.monotonic() > until_s:
            self._moments = 0.0, (frames := [])
        return frames

    @property
    def trouble(self) -> str | None:
        """Why no frames come right now; None while they do."""
        return self.camera_error or (self.source.trouble if isinstance(self.source, Watched) else None)

    def status(self) -> dict[str, Any]:
        """What the page's panel and scripts show: camera, model, looks, rates, stage times, saving, machine."""
        self.moments()  # lets go of those that have passed
        proposal, palette, latest = self.proposal(), self._palette, self.ring.latest()
        model = self.model_error or ("ready" if proposal else "loading")
        controls = self.source.controls() if isinstance(self.source, Adjustable) else ()
        shown = palette.looks if palette else ()
        texts = palette.texts if palette else {}
        return {
            "source": self.source.name,
            "camera": self.trouble or "live",
            "needs_camera": not getattr(self.source, "is_fed", True),
            "model": model,
            "camera_fps": self.camera_rate.per_s(),
            "looks_per_s": self.edit_rate.per_s(),
            "looks_held_back": self._pace.is_held_back,
            "looks": [{"name": look.name, "words": texts.get(look.name)} for look in shown],
            "tone": {
                "highlights": palette.highlights_ev if palette else 0.0,
                "shadows": palette.shadows_ev if palette else 0.0,
            },
            "controls": [asdict(control) for control in controls],
            "exposure": asdict(latest.exposure) if latest else None,
            "out": str(self.album.out),
            "saving": self.album.saving(),
            "dropped": {"frames_not_proposed": self._n_frames - self._n_proposals},
            "machine": vitals(),
            "stages": self.times.summary(),
        }


def _calmed(
    before: tuple[Condition, dict[Look, EditField]], now: tuple[Condition, dict[Look, EditField]]
) -> dict[Look, EditField]:
    """Each look's field smoothed over time; a look that people have just changed is taken as it is."""
    share, (_, old), (_, new) = newest_share(before[0], now[0]), before, now
    kept = [look for look in new if look in old]
    return new | dict(zip(kept, smooth([old[look] for look in kept], [new[look] for look in kept], share), strict=True))
