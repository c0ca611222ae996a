"""The live loop: a capture thread, an edit thread, and the shutter. The only module that knows threads exist.

They meet in two places: the frame ring, and the newest proposal. Nothing queues between them - a slow model takes
the newest frame when it is ready for one, and never delays capture.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from camera_nano.conditioning import condition, halved
from camera_nano.encode import save
from camera_nano.enhance import relight
from camera_nano.looks import choose
from camera_nano.render import render, warm_up
from camera_nano.ring import FrameRing
from camera_nano.temporal import newest_share, smooth
from camera_nano.timing import Pace, Rate, StageTimes
from camera_nano.values import Condition, EditField, Editor, Frame, Look, Pixels, Source

log = logging.getLogger(__name__)

TILE_WIDTH_PX = 400
_KEPT_PROPOSALS = 64  # about eight seconds of fields, 32 KiB a look


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What the model made of one frame: a field and a small picture per look."""

    id: int
    frame_id: int
    t_ns: int  # start of exposure of that frame
    fields: Mapping[str, EditField]
    tiles: Mapping[str, Pixels]


@dataclass(frozen=True, slots=True)
class Shot:
    """One press of the shutter, on disk."""

    frame_id: int
    original: Path
    looks: Mapping[str, Path]
    took_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        paths = {name: str(path) for name, path in self.looks.items()}
        return {
            "frame_id": self.frame_id,
            "original": str(self.original),
            "looks": paths,
            "took_ms": self.took_ms,
        }


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
    ) -> None:
        self.source, self.out, self.ring = source, out, FrameRing(ring_capacity)
        self.times, self.camera_rate, self.edit_rate, self._pace = StageTimes(), Rate(), Rate(), Pace()
        self.camera_error: str | None = None
        self.model_error: str | None = None
        self._load_editor, self._look_names, self._n_steps, self._seed = load_editor, looks, n_steps, seed
        self._proposals: deque[Proposal] = deque(maxlen=_KEPT_PROPOSALS)
        self._proposed = threading.Condition()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._capture, name="capture", daemon=True),
            threading.Thread(target=self._edit, name="edit", daemon=True),
        ]
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="save")  # one: shots land in the order of the presses

    def start(self) -> None:
        """Start both threads; the first frame is readable long before the model is."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop, finish saving what was shot, free the camera. Safe to call twice."""
        self._stop.set()
        self.source.close()
        self.ring.close()
        with self._proposed:
            self._proposed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)
        self._saver.shutdown(wait=True)

    def _capture(self) -> None:
        try:
            for frame in self.source.frames():
                if self._stop.is_set():
                    return
                self.camera_rate.tick()
                self.ring.push(frame)
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
            looks = choose(editor.looks, self._look_names)
            warm_up()
            self._propose_until_stopped(editor, looks)
        except Exception as error:  # the top of a thread
            log.debug("editing stopped", exc_info=True)
            self.model_error = str(error) or repr(error)
            with self._proposed:
                self._proposed.notify_all()

    def _propose_until_stopped(self, editor: Editor, looks: Sequence[Look]) -> None:
        before: tuple[Condition, list[EditField]] | None = None
        frame_id, number = -1, 0
        while not self._stop.is_set() and self.camera_error is None:
            frame = self.ring.wait_newer(frame_id, timeout_s=0.5)
            if frame is None:
                continue
            frame_id, number, started_s = frame.id, number + 1, time.monotonic()
            with self.times.stage("condition"):
                seen = condition(frame)
            with self.times.stage("propose"):
                fields = editor.propose(seen, looks, seed=self._seed, n_steps=self._n_steps)
            if before is not None:
                fields = smooth(before[1], fields, newest_share(before[0], seen))
            before = seen, fields
            with self.times.stage("tiles"):
                small = shrink(frame.pixels, TILE_WIDTH_PX)
                named = {look.name: field for look, field in zip(looks, fields, strict=True)}
                tiles = {name: render(small, field) for name, field in named.items()}
            with self._proposed:
                if self._proposals:  # a shutter may ask for older fields; nobody draws older tiles, a megabyte a set
                    self._proposals[-1] = replace(self._proposals[-1], tiles={})
                self._proposals.append(Proposal(number, frame.id, frame.t_ns, named, tiles))
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

    def commit(
        self, frame_id: int, proposal_id: int | None, looks: Sequence[str], strength: float = 1.0
    ) -> Future[Shot]:
        """Press the shutter: save that frame's original, then each look from that proposal's fields.

        Frame and fields are taken now, the files are written on the saver thread in the order of the presses.

        Raises:
            LookupError: no frame yet, or a look that has no alternative yet.
        """
        proposal = self.proposal(proposal_id)
        fields = proposal.fields if proposal else {}
        missing = [name for name in looks if name not in fields]
        if missing:
            raise LookupError(f"no {', '.join(missing)} alternative yet: wait for it, or shoot the original")
        frame = self.ring.get(frame_id)
        return self._saver.submit(self._write, frame, {name: fields[name] * strength for name in looks})

    def _write(self, frame: Frame, fields: Mapping[str, EditField]) -> Shot:
        started_ns = time.monotonic_ns()
        # monotonic time of the exposure, told in the wall clock of now
        at = datetime.fromtimestamp(time.time() - max(0, time.monotonic_ns() - frame.t_ns) / 1e9)
        stem = free_stem(self.out, f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}")
        original = self.out / f"{stem}_original.png"
        with self.times.stage("save original"):
            self.out.mkdir(parents=True, exist_ok=True)
            save(original, frame.pixels, format="png")
        paths = {}
        for name, field in fields.items():
            paths[name] = self.out / f"{stem}_{name}.jpg"
            save(paths[name], relight(frame.pixels, field), format="jpeg", quality=95)
        return Shot(frame.id, original, paths, round((time.monotonic_ns() - started_ns) / 1e6, 1))

    def status(self) -> dict[str, Any]:
        """What the page's panel and scripts show: camera, model, rates, stage times."""
        proposal = self.proposal()
        model = self.model_error or ("ready" if proposal else "loading")
        return {
            "source": self.source.name,
            "camera": self.camera_error or "live",
            "model": model,
            "camera_fps": self.camera_rate.per_s(),
            "looks_per_s": self.edit_rate.per_s(),
            "looks_held_back": self._pace.is_held_back,
            "out": str(self.out),
            "stages": self.times.summary(),
        }


def shrink(pixels: Pixels, width_px: int) -> Pixels:
    """Pixels at most `width_px` wide, 8 bit; area-averaged."""
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    height, width = pixels.shape[:2]
    if width <= width_px:
        return pixels
    size = (width_px, max(1, round(height * width_px / width)))
    while pixels.shape[1] >= 2 * width_px and pixels.shape[0] > 1:
        pixels = halved(pixels)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def free_stem(folder: Path, stem: str) -> str:
    """`stem`, or with -2, -3 .. so that no shot of this name is in the folder."""
    taken = {name.split("_", 1)[0] for name in os.listdir(folder)} if folder.is_dir() else set()
    number = 1
    while (candidate := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return candidate
