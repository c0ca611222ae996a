"""The live loop: a thread that captures frames, a thread that edits them, and the shutter.

They meet in the ring of frames and in the proposals, and nothing queues between them: when the model is ready it takes
the newest frame, so a slow model never delays capture.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camera_nano.light import condition, shrink
from camera_nano.light.render import warm_up
from camera_nano.live.album import Album
from camera_nano.live.answers import Answers
from camera_nano.live.brackets import Brackets, filled_scene
from camera_nano.live.companions import is_dark
from camera_nano.live.proposals import LazyTiles, Proposal, Proposals
from camera_nano.live.ring import FrameRing, release
from camera_nano.live.shutter import Shutter
from camera_nano.live.takes import SEEDS_A_TURN, TAKES_WIDTH_PX, Take, make_takes
from camera_nano.live.timing import Rate, StageTimes, Throttle
from camera_nano.looks import RANGES, Palette, Understood, keep_words, with_kept
from camera_nano.machine import vitals
from camera_nano.recipe import Labels
from camera_nano.seams import Adjustable, Editor, Recovering, Source
from camera_nano.values import Assume, EditField, Frame

log = logging.getLogger(__name__)

TILE_WIDTH_PX = 400


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
        self._night, self._words = night, words
        self._brackets = Brackets(source) if bracket else None
        self._palette: Palette | None = None  # None until the model is loaded
        self._palette_lock = threading.Lock()  # two pages may change it at the same time
        self._answers: Answers | None = None  # None until the model is loaded
        self._takes_lock = threading.Lock()  # they are work, so for one page after the other
        self._proposals, self._n_frames = Proposals(), 0
        self._shutter = Shutter(self.ring, self._proposals, self.album, n_steps=n_steps, model=model, night=night)
        self.commit = self._shutter.press  # which says what it takes and raises
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
            editor = self._load_editor()
            self._answers = answers = Answers(editor, self._n_steps)
            with self._palette_lock:
                self._palette = with_kept(Palette.of(editor.looks, self._look_names), self._words)
            warm_up()
            self._propose_until_stopped(answers)
        except Exception as error:  # the top of a thread
            log.debug("editing stopped", exc_info=True)
            self.model_error = str(error) or repr(error)
            self._proposals.wake()

    @property
    def _assume(self) -> Assume:
        """As told; else what a camera exposed, the demo too, is no finished picture; what a file shows may be one."""
        if self.assumed != "auto":
            return self.assumed
        return "auto" if getattr(self.source, "may_be_finished", False) else "captured"

    def _propose_until_stopped(self, answers: Answers) -> None:
        frame_id = -1
        while not self._stop.is_set() and self.camera_error is None:
            frame = self.ring.wait_newer(frame_id, timeout_s=0.5)
            if frame is None:
                continue
            frame_id, started_s, palette = frame.id, time.monotonic(), self.palette()
            asked = [(look, palette.seeds.get(look.name, self._seed)) for look in palette.toned()]
            scene, merged_ev = frame, None
            if self._brackets:
                scene, merged_ev = self._brackets.scene(self.ring, frame, TILE_WIDTH_PX, self.times)
            assume = self._assume
            with self.times.stage("condition"):
                seen = condition(scene)
            with self.times.stage("propose"):
                fields = answers.steady(seen, asked, assume, merged_ev)
            with self.times.stage("tiles"):
                named = {look.name: field for (look, _), field in fields.items()}
                small = scene.pixels if merged_ev is not None else shrink(frame.pixels, TILE_WIDTH_PX)
            self._proposals.add(frame, fields, LazyTiles(small, named), assume, merged_ev)
            self.edit_rate.tick()
            rest_s = self._throttle.rest_s(busy_s := time.monotonic() - started_s, self.camera_rate.per_s())
            # views of a merged scene take longer to draw, too: a model that always works would cost a fifth of them
            self._stop.wait(rest_s if merged_ev is None else max(rest_s, busy_s))

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
        palette, answers = self.palette(), self._answers
        wanted = next((toned for toned in palette.toned() if toned.name == look), None)
        if wanted is None or answers is None:
            raise LookupError(f"there is no look named {look!r}")
        frame = self.ring.get(frame_id)
        release([frame])
        newest = self.proposal()
        scene = filled_scene(self.ring, frame, newest.merged_ev if newest else None, TAKES_WIDTH_PX)
        seen, assume, now = condition(scene), self._assume, palette.seeds.get(look, self._seed)

        def answer(seed: int) -> EditField:
            return answers.of(seen, [(wanted, seed)], assume)[wanted, seed]

        with self._takes_lock:
            return make_takes(scene.pixels, answer, now, self._seed + SEEDS_A_TURN * turn, strength)

    def pick_take(self, look: str, seed: int | None) -> None:
        """Let a look have the answers of this seed; None lets go. Raises as `palette` and `Palette.with_seed`."""
        with self._palette_lock:
            self._palette = self.palette().with_seed(look, seed)

    def moments(self) -> list[Frame]:
        """The frames just before and after the last shot, oldest first, until five seconds after it."""
        return self._shutter.moments()

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
            "looks": palette.offered if palette else [],
            "ranges": RANGES,
            "seeds": dict(palette.seeds) if palette else {},
            "assumed": self.assumed,
            "is_dark": self._night and latest is not None and is_dark(latest),
            "headroom": "estimated" if proposal is None or proposal.merged_ev is None else "measured",
            "bracket_note": self._brackets.note if self._brackets else None,
            "looks_finished": proposal is not None and any(field.is_left for field in proposal.fields.values()),
            "tone": {name: getattr(palette, f"{name}_ev", 0.0) for name in ("highlights", "shadows")},
            "controls": [asdict(control) for control in controls],
            "exposure": asdict(latest.exposure) if latest else None,
            "out": str(self.album.out),
            "saving": self.album.saving(),
            "dropped": {"frames_not_proposed": self._n_frames - self._proposals.n_made},
            "machine": vitals(),
            "stages": self.times.summary(),
        }
