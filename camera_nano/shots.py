"""The shots of a session: originals first, looks beside them, and none lost to a full disk.

An original is a PNG, bit for bit what the camera gave. A look is a JPEG, with a gain map behind it (Ultra HDR) where
the scene had light above white: the picture that was on the screen, and more on a display that can show it.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from camera_nano.encode import encode, write_atomically
from camera_nano.enhance import relight
from camera_nano.gainmap import draw
from camera_nano.machine import give_back_memory
from camera_nano.metadata import Metadata, of_frame
from camera_nano.photo import Labels
from camera_nano.provenance import sign
from camera_nano.recipe import Recipe, marked, marked_capture
from camera_nano.timing import StageTimes
from camera_nano.values import EditField, Frame, Held, Source

ORIGINAL, DNG = "original", "dng"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
_RETRY_S = 1.0
_MEMORY_BYTES = 512 << 20  # of shots that wait for room
_NONE: Mapping[str, Recipe] = {}


@dataclass(frozen=True, slots=True)
class Shot:
    """One press of the shutter, on disk."""

    id: int
    frame_id: int
    taken_at: datetime  # of the exposure
    original: Path
    looks: Mapping[str, Path]
    took_ms: float

    @property
    def parts(self) -> dict[str, Path]:
        """Every file, by what it is: "original" or the name of a look."""
        return {ORIGINAL: self.original, **self.looks}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "shot_id": self.id,
            "frame_id": self.frame_id,
            "taken_at": self.taken_at.isoformat(timespec="milliseconds"),
            "original": str(self.original),
            "looks": {name: str(path) for name, path in self.looks.items()},
            "took_ms": self.took_ms,
        }


class Album:
    """A folder that shots are written to, in the order of the presses, until `close`."""

    def __init__(
        self,
        out: Path,
        times: StageTimes,
        source: Source | None = None,
        *,
        with_dng: bool = False,
        labels: Labels = Labels(),
    ) -> None:
        """`source` is what files say they were taken by; `with_dng` also saves the sensor's own values."""
        self.out, self._with_dng, self._labels = out, with_dng, labels
        self._camera = source.name if source else "camera"
        self._is_capture = getattr(source, "is_camera", True)  # what is played back was taken before
        self._times = times
        self._shots: dict[int, Shot] = {}
        self._n_taken = 0
        self._waiting_bytes: dict[int, int] = {}  # of each shot that is not on disk yet
        self._bytes_per_shot = 0
        self._trouble: str | None = None
        self._n_lost = 0
        self._last_at = datetime.fromtimestamp(0).astimezone()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        # the camera has its buffers back before the disk is asked for anything; one thread each keeps the order
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="fetch")
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="save")

    def take(
        self, frame: Frame, fields: Mapping[str, EditField], recipes: Mapping[str, Recipe] = _NONE
    ) -> Future[Shot]:
        """Save a frame and its looks; takes over the frame's `held`. Returns at once.

        `recipes` are those of looks, for the files to say how they were made.

        Raises:
            OSError: the disk is full, and as many shots wait in memory as may.
        """
        with self._lock:
            if self._trouble and sum(self._waiting_bytes.values()) + frame.pixels.nbytes > _MEMORY_BYTES:
                _give_back(frame)
                raise OSError(errno.ENOSPC, f"{self._trouble}; no more fit there", str(self.out))
            self._n_taken += 1
            number = self._n_taken
            self._waiting_bytes[number] = frame.pixels.nbytes
            # the exposure's monotonic time in the wall clock of now, which may be set back: names stay in order
            at = datetime.fromtimestamp(time.time() - max(0, time.monotonic_ns() - frame.t_ns) / 1e9).astimezone()
            self._last_at = at = max(at, self._last_at + timedelta(milliseconds=1))
        own = self._fetcher.submit(self._own, number, frame)
        return self._saver.submit(self._save, number, own, fields, recipes, at)

    def _own(self, number: int, frame: Frame) -> tuple[Frame, bytes | None]:
        """The frame with pixels at the size to save and nothing of the camera's, and its DNG."""
        if frame.held is None:
            return frame, None
        try:
            pixels, dng = frame.held.full_pixels(), _dng(frame.held) if self._with_dng else None
        finally:
            frame.held.release()
        with self._lock:
            self._waiting_bytes[number] = pixels.nbytes + len(dng or b"")
        return replace(frame, pixels=pixels, held=None), dng

    def _save(
        self,
        number: int,
        own: Future[tuple[Frame, bytes | None]],
        fields: Mapping[str, EditField],
        recipes: Mapping[str, Recipe],
        at: datetime,
    ) -> Shot:
        started_ns = time.monotonic_ns()
        try:
            (frame, dng), parts = own.result(), dict[str, Path]()
            told = of_frame(frame, at, self._camera)
            if self._labels.marking and self._is_capture:
                told = marked_capture(told, at)
            stem = free_stem(self.out, f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}")
            while True:
                try:
                    self._write(frame, dng, fields, recipes, told, stem, parts)
                    break
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    if self._closing.is_set():
                        self._n_lost += 1
                        raise
                    self._trouble = f"{self.out}: {error.strerror}; shots are kept in memory until there is room"
                    self._closing.wait(_RETRY_S)
            self._trouble = None
        finally:
            with self._lock:
                del self._waiting_bytes[number]
        give_back_memory()
        original = parts.pop(ORIGINAL)
        shot = Shot(number, frame.id, at, original, parts, round((time.monotonic_ns() - started_ns) / 1e6, 1))
        with self._lock:
            self._shots[number] = shot
            self._bytes_per_shot = sum(_size(path) for path in shot.parts.values())
        return shot

    def _write(
        self,
        frame: Frame,
        dng: bytes | None,
        fields: Mapping[str, EditField],
        recipes: Mapping[str, Recipe],
        told: Metadata,
        stem: str,
        parts: dict[str, Path],
    ) -> None:
        """Write what is not in `parts` yet, and note it there."""
        self.out.mkdir(parents=True, exist_ok=True)
        if ORIGINAL not in parts:
            path = self.out / f"{stem}_{ORIGINAL}.png"
            with self._times.stage("save original"):
                write_atomically(path, encode(frame.pixels, format="png", metadata=told))
            parts[ORIGINAL] = path
        if dng is not None and DNG not in parts:
            write_atomically(path := self.out / f"{stem}.dng", dng)
            parts[DNG] = path
        for name, field in fields.items():
            if name not in parts:
                path = self.out / f"{stem}_{name}.jpg"
                with self._times.stage("save look"):
                    write_atomically(path, self._look(frame, field, recipes.get(name), told, path, parts[ORIGINAL]))
                parts[name] = path

    def _look(
        self, frame: Frame, field: EditField, recipe: Recipe | None, told: Metadata, path: Path, original: Path
    ) -> bytes:
        """The file of a look, as its recipe is, if any."""
        if recipe is not None and self._labels.marking:
            told = marked(told, recipe, original.name, frame.pixels)
        look, gain = relight(frame.pixels, field), draw(frame.pixels, field)
        data = encode(look, format="ultrahdr", quality=95, metadata=told, gain=gain)
        if recipe is None or not self._labels.signature:
            return data
        return sign(
            data,
            "ultrahdr",
            title=path.name,
            source_type=recipe.source_type,
            original=original.read_bytes(),
            original_format="png",
        )

    def shots(self) -> list[Shot]:
        """What is on disk, newest first."""
        with self._lock:
            return sorted(self._shots.values(), key=lambda shot: -shot.id)

    def get(self, shot_id: int) -> Shot:
        """One shot. Raises LookupError where there is none of this id."""
        with self._lock:
            if shot_id not in self._shots:
                raise LookupError(f"there is no shot {shot_id}")
            return self._shots[shot_id]

    def delete(self, shot_id: int) -> None:
        """Remove a shot's files. Raises LookupError as `get`, OSError where a file cannot be removed."""
        for path in self.get(shot_id).parts.values():
            path.unlink(missing_ok=True)
        with self._lock:
            self._shots.pop(shot_id, None)

    def saving(self) -> dict[str, Any]:
        """How saving goes: what waits, how many shots still fit on the disk, and what is wrong."""
        with self._lock:
            pending, trouble = len(self._waiting_bytes), self._trouble
            per_shot = self._bytes_per_shot or max(self._waiting_bytes.values(), default=0)
        return {
            "pending": pending,
            "in_memory": pending if trouble else 0,
            "shots_left": _free_bytes(self.out) // per_shot if per_shot else None,
            "trouble": trouble,
        }

    def close(self) -> int:
        """Write what waits, with one last try where there was no room; how many shots are lost."""
        self._closing.set()
        self._fetcher.shutdown(wait=True)
        self._saver.shutdown(wait=True)
        return self._n_lost


def _dng(held: Held) -> bytes | None:
    """The sensor's values as a DNG; None where the camera gives none."""
    with tempfile.TemporaryDirectory(prefix="camera_nano-") as folder:
        path = Path(folder) / "frame.dng"
        try:
            held.save_dng(path)
        except LookupError:
            return None
        return path.read_bytes()


def _give_back(frame: Frame) -> None:
    if frame.held is not None:
        frame.held.release()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # taken away by somebody since
        return 0


def _free_bytes(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def free_stem(folder: Path, stem: str) -> str:
    """`stem`, or with -2, -3 .. so that no shot of this name is in the folder."""
    taken = {name.split("_", 1)[0] for name in os.listdir(folder)} if folder.is_dir() else set()
    number = 1
    while (candidate := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return candidate
