"""The live loop: a thread that captures frames, a thread that edits them, and the shutter.

They meet in the ring of frames and in the proposals, and nothing queues between them: when the model is ready it takes
the newest frame, so a slow model never delays capture.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from camera_nano.light import condition, newest_share, shrink, smooth
from camera_nano.light.render import warm_up
from camera_nano.live.album import Album
from camera_nano.live.brackets import Brackets, merged_view
from camera_nano.live.merging import N_FRAMES, Companions, Progress, is_dark
from camera_nano.live.moments import Moments
from camera_nano.live.proposals import Asked, LazyTiles, Proposal, Proposals
from camera_nano.live.ring import FrameRing, release
from camera_nano.live.shot import Shot
from camera_nano.live.takes import SEEDS_A_TURN, Take, make_takes
from camera_nano.live.timing import Rate, StageTimes, Throttle
from camera_nano.looks import Palette, Understood, keep_words, with_kept
from camera_nano.machine import vitals
from camera_nano.merge import expose
from camera_nano.recipe import Labels, Recipe
from camera_nano.values import (
    LEAST_HEADROOM_EV,
    Adjustable,
    Assume,
    Condition,
    EditField,
    Editor,
    Frame,
    Recovering,
    Source,
)

log = logging.getLogger(__name__)

TILE_WIDTH_PX = 400
_SAME_EV = 0.5  # a merged view keeps its exposure while the best one is as near as that: else light would flicker


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
        night: bool = False,
        bracket: bool = False,
        words: Path | None = None,
    ) -> None:
        """Nothing runs before `start`. The session closes `source`; the edit thread calls `load_editor`.

        `looks` are the names to offer, by default all; `ring_capacity` is how many frames the shutter can reach back.
        Files name the weights by `model`; `labels` say what else is written into them.
        With `night` a shot in the dark is merged from several frames; with `bracket` the camera takes darker frames
        between the others while the scene does not fit its sensor. Looks made of words are kept in the file `words`,
        from one session to the next.
        """
        self.source, self.ring = source, FrameRing(ring_capacity)
        self.times, self.camera_rate, self.edit_rate, self._throttle = StageTimes(), Rate(), Rate(), Throttle()
        self.album = Album(out, self.times, source, with_dng=with_dng, labels=labels)
        self.camera_error: str | None = None
        self.model_error: str | None = None
        self.assumed: Assume = "auto"  # what pages say that the frames are; any thread may set it
        self._load_editor, self._look_names, self._n_steps, self._seed = load_editor, looks, n_steps, seed
        self._model, self._night, self._words = model, night, words
        self._brackets = Brackets(source) if bracket else None
        self._palette: Palette | None = None  # None until the model is loaded
        self._palette_lock = threading.Lock()  # two pages may change it at the same time
        self._editor: Editor | None = None  # None until it is loaded
        self._takes_lock = threading.Lock()  # they are work, so for one page after the other
        self._proposals, self._moments, self._n_frames = Proposals(), Moments(), 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._capture, name="capture", daemon=True),
            threading.Thread(target=self._edit, name="edit", daemon=True),
        ]

    def start(self) -> None:
        """Start both threads. Frames come long before the model is loaded."""
        for thread in self._threads:
            thread.start()

    def close(self) -> int:
        """Free the camera and finish saving; returns how many shots could not be saved. Safe to call twice."""
        self._stop.set()
        self.source.close()
        self.ring.close()
        self._proposals.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)
        return self.album.close()

    def _capture(self) -> None:
        try:
            for frame in self.source.frames():
                if self._brackets and not self._brackets.follows(frame, self.ring.latest()):
                    release([frame])
                    continue
                self.ring.push(frame)  # also the last one: a closed ring gives its buffers back
                if self._stop.is_set():
                    return
                self.camera_rate.tick()
                self._n_frames += not frame.exposure.bracket_ev
            self.camera_error = f"{self.source.name} has ended; start again, or choose another --source"
        except Exception as error:  # the top of a thread: people must see any error
            log.debug("capture stopped", exc_info=True)
            self.camera_error = str(error) or repr(error)
        finally:
            self.ring.close()
            self._proposals.wake()

    def _edit(self) -> None:
        try:
            self.ring.wait_newer(-1, timeout_s=2.0)  # loading at once would delay the first view
            self._editor = editor = self._load_editor()
            with self._palette_lock:
                self._palette = with_kept(Palette.of(editor.looks, self._look_names), self._words)
            warm_up()
            self._propose_until_stopped(editor)
        except Exception as error:  # the top of a thread
            log.debug("editing stopped", exc_info=True)
            self.model_error = str(error) or repr(error)
            self._proposals.wake()

    def _ask(self, editor: Editor, seen: Condition, asked: Sequence[Asked], assume: Assume) -> dict[Asked, EditField]:
        """All looks of one seed are one question."""
        made: dict[Asked, EditField] = {}
        for seed in dict.fromkeys(seed for _, seed in asked):
            looks = [look for look, of_seed in asked if of_seed == seed]
            fields = editor.propose(seen, looks, seed=seed, n_steps=self._n_steps, assume=assume)
            made |= {(look, seed): field for look, field in zip(looks, fields, strict=True)}
        return {each: made[each] for each in asked}

    @property
    def _assume(self) -> Assume:
        """As told; else what a camera exposed, the demo too, is no finished picture; what a file shows may be one."""
        if self.assumed != "auto":
            return self.assumed
        return "auto" if getattr(self.source, "may_be_finished", False) else "captured"

    def _propose_until_stopped(self, editor: Editor) -> None:
        before: tuple[Condition, dict[Asked, EditField]] | None = None
        made_before: tuple[Assume, float | None] = self._assume, None
        frame_id = -1
        while not self._stop.is_set() and self.camera_error is None:
            frame = self.ring.wait_newer(frame_id, timeout_s=0.5)
            if frame is None:
                continue
            frame_id, started_s, palette = frame.id, time.monotonic(), self.palette()
            asked = [(look, palette.seeds.get(look.name, self._seed)) for look in palette.toned()]
            scene, merged_ev = self._scene(frame, made_before[1])
            made = assume, _ = self._assume, merged_ev
            with self.times.stage("condition"):
                seen = condition(scene)
            with self.times.stage("propose"):
                fields = self._ask(editor, seen, asked, assume)
            if before is not None and made == made_before:
                fields = _calmed(before, (seen, fields))
            before, made_before = (seen, fields), made
            with self.times.stage("tiles"):
                named = {look.name: field for (look, _), field in fields.items()}
                small = scene.pixels if merged_ev is not None else shrink(frame.pixels, TILE_WIDTH_PX)
            self._proposals.add(frame, fields, LazyTiles(small, named), assume, merged_ev)
            self.edit_rate.tick()
            self._stop.wait(self._throttle.rest_s(time.monotonic() - started_s, self.camera_rate.per_s()))

    def _scene(self, frame: Frame, ev_before: float | None) -> tuple[Frame, float | None]:
        """What the model sees: the frame, or it merged with darker ones, and then its exposure in stops against it."""
        if self._brackets is None:
            return frame, None
        self._brackets.consider(frame, is_dark(frame))
        if not self._brackets.is_on:
            return frame, None
        with self.times.stage("merge view"):
            merged = merged_view(self.ring, frame, TILE_WIDTH_PX)
            if merged.range_ev < LEAST_HEADROOM_EV:
                return frame, None
            exposed = expose(merged)
            if ev_before is not None and abs(exposed.ev - ev_before) < _SAME_EV:
                exposed = expose(merged, ev_before)
        return replace(frame, pixels=exposed.pixels), exposed.ev

    def proposal(self, proposal_id: int | None = None) -> Proposal | None:
        """The newest proposal, or the one with this id; None where there is none."""
        return self._proposals.get(proposal_id)

    def wait_proposal(self, after_id: int, timeout_s: float) -> Proposal | None:
        """The newest proposal once its id is above `after_id`; None on time-out, error or end."""
        return self._proposals.wait_newer(
            after_id, timeout_s, lambda: self._stop.is_set() or bool(self.model_error or self.camera_error)
        )

    def pin(self, page: object, shown: Sequence[tuple[int, int]]) -> None:
        """Keep frames and proposals, by their ids, for as long as a page may show them; an empty list lets them go."""
        self.ring.pin(page, [frame_id for frame_id, _ in shown])
        self._proposals.pin(page, [proposal_id for _, proposal_id in shown])

    def palette(self) -> Palette:
        """The looks on offer. Raises LookupError until the model is loaded."""
        palette = self._palette
        if palette is None:
            raise LookupError("the model is still loading: try again in a moment")
        return palette

    def set_tone(self, highlights_ev: float, shadows_ev: float) -> None:
        """Change bright and dark parts, in stops, in every look. Raises as `palette` and `Palette.with_tone`."""
        with self._palette_lock:
            self._palette = self.palette().with_tone(highlights_ev, shadows_ev)

    def add_look(self, text: str) -> Understood:
        """Make a look of words and offer it, too. Raises as `palette` and `Palette.with_words`."""
        with self._palette_lock:
            self._palette, understood = self.palette().with_words(text)
            self._keep_words()
        return understood

    def forget_look(self, name: str) -> None:
        """No longer offer a look made of words. Raises as `palette` and `Palette.without`."""
        with self._palette_lock:
            self._palette = self.palette().without(name)
            self._keep_words()

    def _keep_words(self) -> None:
        try:
            keep_words(self.palette().texts, self._words)
        except OSError as error:  # they are there as long as the session
            log.warning("looks made of words are not kept: %s", error)

    def takes(self, frame_id: int, look: str, strength: float = 1.0, turn: int = 0) -> list[Take]:
        """Four different answers for one look of a frame, or of that nearest to it; other ones at every turn.

        Raises:
            LookupError: the model is loading, no frame has come yet, or there is no look of this name.
        """
        palette, editor = self.palette(), self._editor
        wanted = next((toned for toned in palette.toned() if toned.name == look), None)
        if wanted is None or editor is None:
            raise LookupError(f"there is no look named {look!r}")
        frame = self.ring.get(frame_id)
        if frame.held is not None:
            frame.held.release()
        seen, assume, now = condition(frame), self._assume, palette.seeds.get(look, self._seed)

        def answer(seed: int) -> EditField:
            return self._ask(editor, seen, [(wanted, seed)], assume)[wanted, seed]

        with self._takes_lock:
            return make_takes(frame.pixels, answer, now, self._seed + SEEDS_A_TURN * turn, strength)

    def pick_take(self, look: str, seed: int | None) -> None:
        """Let a look have the answers of this seed; None lets go. Raises as `palette` and `Palette.with_seed`."""
        with self._palette_lock:
            self._palette = self.palette().with_seed(look, seed)

    def commit(
        self,
        frame_id: int,
        proposal_id: int | None,
        looks: Sequence[str],
        strength: float = 1.0,
        aspect: str = "",
        progress: Progress = lambda n, n_wanted: None,
    ) -> Future[Shot]:
        """Press the shutter: save the original of a frame, and looks of it made by a proposal's fields.

        Frame and fields are taken at once; the files are written in the order of the presses. The frames around the
        shot stay in `moments` for some seconds, and `frame_id` may name one of those. Where the frame is gone it is the
        nearest one; where either is gone, or without `proposal_id`, the fields are those nearest to the frame: fields
        of another time would clip it. Looks are cut to `aspect`, one of `recipe.ASPECTS`; the original stays whole.

        Where it is dark the looks are made of several frames, some of which may still have to come; `progress` is told
        of them, from another thread.

        Raises:
            LookupError: no frame has come yet, or the proposal has no field for a look.
            OSError: the disk is full, and no more shots may wait in memory.
        """
        around = {frame.id: frame for frame in (*self.moments(), *self.ring.frames())}
        frame = self._frame(frame_id, around)
        is_exact = frame.id == frame_id and proposal_id is not None
        proposal = (self.proposal(proposal_id) if is_exact else None) or self._proposals.nearest(frame.id)
        fields = proposal.fields if proposal else {}
        missing = [name for name in looks if name not in fields]
        if missing:
            if frame.held is not None:
                frame.held.release()
            raise LookupError(f"no {', '.join(missing)} alternative yet: wait for it, or shoot the original")
        self._moments.keep(around, frame.id)
        recipes = self._recipes(proposal, looks, strength, aspect) if proposal else {}
        companions = self._companions(frame, proposal, strength, around) if looks and strength else None
        scaled = {name: fields[name] * strength for name in looks}
        saved = self.album.take(frame, scaled, recipes, companions, progress)
        saved.add_done_callback(
            lambda _: self._moments.keep(around | {later.id: later for later in self.ring.frames()}, frame.id)
        )
        return saved

    def _recipes(self, proposal: Proposal, looks: Sequence[str], strength: float, aspect: str) -> dict[str, Recipe]:
        return {
            name: Recipe(
                proposal.looks[name], strength, self._n_steps, "ultrahdr", self._model,
                seed=proposal.seeds[name], is_live=True, assume=proposal.assume, aspect=aspect,
            )
            for name in looks
        }  # fmt: skip

    def _companions(
        self, frame: Frame, proposal: Proposal | None, strength: float, around: Mapping[int, Frame]
    ) -> Companions | None:
        """What a shot of this frame is merged with; None where one frame is enough."""
        merged_ev = proposal.merged_ev if proposal else None
        is_night = self._night and is_dark(frame)
        if merged_ev is None and not is_night:
            return None
        beside, n_more = self.ring.brackets(frame.t_ns) if merged_ev is not None else [], 0
        if is_night:
            n_near = N_FRAMES - 1 - len(beside)
            if frame.id in {kept.id for kept in self.ring.frames()}:
                near = self.ring.around(frame, n_near)
                n_more = n_near - len(near)
            else:  # a moment that has passed
                others = sorted(around, key=lambda frame_id: abs(frame_id - frame.id))
                near = [around[frame_id] for frame_id in others if frame_id != frame.id][:n_near]
            beside += near
        return Companions(self.ring, beside, n_more, (merged_ev or 0.0) * strength)

    def _frame(self, frame_id: int, around: Mapping[int, Frame]) -> Frame:
        """The frame from the ring, with the camera's buffers; else from `around`; else the ring's nearest one."""
        frame = self.ring.get(frame_id)
        if frame.id != frame_id and frame_id in around:
            if frame.held is not None:
                frame.held.release()
            return around[frame_id]
        return frame

    def moments(self) -> list[Frame]:
        """The frames just before and after the last shot, oldest first, until five seconds after it."""
        return self._moments.frames()

    @property
    def trouble(self) -> str | None:
        """Why no frames come right now; None while they do."""
        return self.camera_error or (self.source.trouble if isinstance(self.source, Recovering) else None)

    def status(self) -> dict[str, Any]:
        """What the page and scripts show, ready for JSON: camera, model, looks, rates, times, saving, machine."""
        self.moments()  # frees those whose time is over
        palette, latest, proposal = self._palette, self.ring.latest(), self.proposal()
        controls = self.source.controls() if isinstance(self.source, Adjustable) else ()
        return {
            "source": self.source.name,
            "camera": self.trouble or "live",
            "needs_camera": not getattr(self.source, "is_fed", True),
            "model": self.model_error or ("ready" if proposal else "loading"),
            "camera_fps": self.camera_rate.per_s(),
            "looks_per_s": self.edit_rate.per_s(),
            "looks_held_back": self._throttle.is_held_back,
            "looks": _named(palette) if palette else [],
            "seeds": dict(palette.seeds) if palette else {},
            "assumed": self.assumed,
            "is_dark": self._night and latest is not None and is_dark(latest),
            "headroom": "estimated" if proposal is None or proposal.merged_ev is None else "measured",
            "bracket_note": self._brackets.note if self._brackets else None,
            "looks_finished": proposal is not None and any(field.is_left for field in proposal.fields.values()),
            "tone": {
                "highlights": palette.highlights_ev if palette else 0.0,
                "shadows": palette.shadows_ev if palette else 0.0,
            },
            "controls": [asdict(control) for control in controls],
            "exposure": asdict(latest.exposure) if latest else None,
            "out": str(self.album.out),
            "saving": self.album.saving(),
            "dropped": {"frames_not_proposed": self._n_frames - self._proposals.n_made},
            "machine": vitals(),
            "stages": self.times.summary(),
        }


def _calmed(
    before: tuple[Condition, dict[Asked, EditField]], now: tuple[Condition, dict[Asked, EditField]]
) -> dict[Asked, EditField]:
    """The fields of now, each smoothed with the one before; a look that was just changed starts afresh."""
    share, (_, old), (_, new) = newest_share(before[0], now[0]), before, now
    kept = [look for look in new if look in old]
    return new | dict(zip(kept, smooth([old[look] for look in kept], [new[look] for look in kept], share), strict=True))


def _named(palette: Palette) -> list[dict[str, str | None]]:
    return [{"name": look.name, "words": palette.texts.get(look.name)} for look in palette.looks]
