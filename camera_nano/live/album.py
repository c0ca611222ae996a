"""The shots of a session: the original first, its looks beside it; a full disk makes them wait, in memory.

An original is a PNG, bit for bit what the camera gave. A look is a JPEG, with a gain map (Ultra HDR) where the scene
had light above white: the picture that was on the screen, and brighter lights on a display that can show them. It is
made of more frames than the original where a shot has companions.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from camera_nano.atomic import free_bytes, sweep, write_atomically
from camera_nano.files import Metadata, Original, deliver, encode, marked_capture, of_frame
from camera_nano.light import cut_look
from camera_nano.live.companions import Companions, Developed, Progress, develop
from camera_nano.live.earlier import earlier_shots
from camera_nano.live.press import Fetched, Press, fetch
from camera_nano.live.ring import release
from camera_nano.live.shot import DNG, ORIGINAL, Shot
from camera_nano.live.timing import StageTimes
from camera_nano.machine import give_back_memory
from camera_nano.merge import Capture, RawCapture
from camera_nano.recipe import Labels, Recipe
from camera_nano.seams import Source
from camera_nano.values import EditField, Frame, Pixels

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOENT)  # the last: the folder was removed
_RETRY_S = 1.0
_SMALL_STEP = timedelta(seconds=1)
_LOOK_QUALITY = 95
_MEMORY_BYTES = 512 << 20  # of shots that wait for room
_THREADS = os.cpu_count() or 1  # of a merge, which people wait for
_NONE: Mapping[str, Recipe] = {}


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
        """What a killed session left half-written in `out` is removed.

        Files name `source` as their camera; `with_dng` also saves the sensor's raw values, where it gives them.
        """
        self.out, self._with_dng, self._labels = out, with_dng, labels
        sweep(out)
        self._source = source
        self._times = times
        self._shots: dict[int, Shot] = {}
        self._stems: set[str] = set()  # of this session's shots, those that are being written, too
        self._n_taken = 0
        self._waiting_bytes: dict[int, int] = {}  # of each shot that is not on disk yet
        self._bytes_per_shot = 0
        self._trouble: str | None = None
        self._n_lost = 0
        self._last_at = datetime.fromtimestamp(0).astimezone()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        # fetching is apart from saving, so that the camera gets its buffers back before the disk is used; one thread
        # for each keeps the shots in order
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="fetch")
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="save")

    def take(
        self,
        frame: Frame,
        fields: Mapping[str, EditField],
        recipes: Mapping[str, Recipe] = _NONE,
        companions: Companions | None = None,
        progress: Progress = lambda n, n_wanted: None,
    ) -> Future[Shot]:
        """Save a frame and its looks, in the background; releases the `held` of the frame and of its companions.

        `fields` and `recipes` are by the looks' names; a file says by its recipe how it was made. With `companions` the
        looks are made of all frames together; `progress` is told how many are there, from another thread.

        Raises:
            OSError: the disk is full, and no more shots may wait in memory.
        """
        with self._lock:
            if self._trouble and companions is not None:  # what waits for room is to be small
                companions.release()
                companions = replace(companions, frames=(), n_more=0)
            if self._trouble and sum(self._waiting_bytes.values()) + frame.pixels.nbytes > _MEMORY_BYTES:
                release([frame])
                raise OSError(errno.ENOSPC, f"{self._trouble}; no more fit there", str(self.out))
            self._n_taken += 1
            number = self._n_taken
            self._waiting_bytes[number] = frame.pixels.nbytes
            # the exposure's monotonic time in the wall clock of now. That may be set back: by little, and names stay in
            # order; by much, and the time before was wrong
            at = datetime.fromtimestamp(time.time() - max(0, time.monotonic_ns() - frame.t_ns) / 1e9).astimezone()
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as in names, which would clash
            if timedelta() <= self._last_at - at < _SMALL_STEP:
                at = self._last_at + timedelta(milliseconds=1)
            self._last_at = at
        press = Press(number, at, fields, recipes, companions, progress)
        return self._saver.submit(self._save, press, self._fetcher.submit(self._fetch, press, frame))

    def _fetch(self, press: Press, frame: Frame) -> Fetched:
        fetched = fetch(press, frame, with_dng=self._with_dng)
        with self._lock:
            self._waiting_bytes[press.number] = fetched.n_bytes
        return fetched

    def _save(self, press: Press, fetching: Future[Fetched]) -> Shot:
        started_ns = time.monotonic_ns()
        try:
            frame, dng, captures = fetching.result()
            del fetching  # which would keep every capture
            parts, maps = dict[str, Path](), dict[str, bool]()
            metadata = of_frame(frame, press.at, self._source.name if self._source else "camera")
            is_capture = getattr(self._source, "is_camera", True)  # else it plays what was taken at another time
            if self._labels.marking and is_capture:
                metadata = marked_capture(metadata, press.at)
            stem = free_stem(self.out, f"{press.at:%Y%m%d-%H%M%S}-{press.at.microsecond // 1000:03d}")
            self._stems.add(stem)
            developed = None
            while True:
                try:
                    self._write_original(frame, dng, metadata, stem, parts)
                    if developed is None:
                        developed, captures = self._developed(captures, frame.pixels, press), ()
                    self._write_looks(
                        press, developed, Original(parts[ORIGINAL], "png", frame.pixels, metadata), stem, parts, maps
                    )
                    break
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    if self._closing.is_set():
                        self._n_lost += 1
                        raise
                    self._trouble = f"{self.out}: {error.strerror}; shots are kept in memory until there is room"
                    self._closing.wait(_RETRY_S)
                    parts = {name: path for name, path in parts.items() if path.exists()}
            self._trouble = None
        finally:
            with self._lock:
                del self._waiting_bytes[press.number]
        give_back_memory()
        return self._noted(press, frame, parts, developed, any(maps.values()), started_ns)

    def _noted(
        self, press: Press, frame: Frame, parts: dict[str, Path], developed: Developed, has_map: bool, started_ns: int
    ) -> Shot:
        """Remember what is on disk now."""
        took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
        headroom: Literal["measured", "estimated"] = "measured" if developed.is_measured else "estimated"
        shot = Shot(
            press.number, frame.id, press.at, parts.pop(ORIGINAL), parts, took_ms,
            developed.n_merged, headroom if has_map else None, developed.note,
        )  # fmt: skip
        with self._lock:
            self._shots[press.number] = shot
            self._bytes_per_shot = sum(_size(path) for path in shot.parts.values())
        return shot

    def _write_original(
        self, frame: Frame, dng: bytes | None, metadata: Metadata, stem: str, parts: dict[str, Path]
    ) -> None:
        """Write what the camera gave, unless it is in `parts`, and note it there."""
        self.out.mkdir(parents=True, exist_ok=True)
        if ORIGINAL not in parts:
            path = self.out / f"{stem}_{ORIGINAL}.png"
            with self._times.stage("save original"):
                write_atomically(path, encode(frame.pixels, format="png", metadata=metadata))
            parts[ORIGINAL] = path
        if dng is not None and DNG not in parts:
            write_atomically(path := self.out / f"{stem}.dng", dng)
            parts[DNG] = path

    def _developed(self, captures: Sequence[Capture | RawCapture], own: Pixels, press: Press) -> Developed:
        if press.companions is None:
            return Developed(None)
        with self._times.stage("merge"):
            return develop(captures, own, press.companions.ev, threads=_THREADS)

    def _write_looks(
        self,
        press: Press,
        developed: Developed,
        original: Original,
        stem: str,
        parts: dict[str, Path],
        maps: dict[str, bool],
    ) -> None:
        """Write the looks that are not in `parts` yet, and note them there; in `maps`, whether each has a gain map."""
        for name, field in press.fields.items():
            if name in parts:
                continue
            path = self.out / f"{stem}_{name}.jpg"
            with self._times.stage("save look"):
                recipe = press.recipes.get(name)
                look, gain = cut_look(*developed.look(original.pixels, field), recipe.aspect if recipe else "")
                data, _ = deliver(
                    look, original, developed.told(recipe),
                    name=path.name, format="ultrahdr", labels=self._labels, quality=_LOOK_QUALITY, gain=gain,
                )  # fmt: skip
                write_atomically(path, data)
            parts[name], maps[name] = path, gain is not None

    def shots(self) -> list[Shot]:
        """What is on disk, newest first: of this session, then of the folder's earlier ones."""
        with self._lock:
            own = sorted(self._shots.values(), key=lambda shot: -shot.id)
        return own + self._earlier()[::-1]

    def _earlier(self) -> list[Shot]:
        stems = self._stems.copy()
        return [shot for shot in earlier_shots(self.out) if shot.original.name.split("_", 1)[0] not in stems]

    def get(self, shot_id: int) -> Shot:
        """One shot. Raises LookupError where there is none of this id."""
        with self._lock:
            shot = self._shots.get(shot_id)
        # ids of a session count up from 1, and those of earlier ones are times
        if shot is None and shot_id > self._n_taken:
            shot = next((earlier for earlier in self._earlier() if earlier.id == shot_id), None)
        if shot is None:
            raise LookupError(f"there is no shot {shot_id}")
        return shot

    def delete(self, shot_id: int) -> None:
        """Remove a shot's files. Raises LookupError as `get` does, OSError where a file cannot be removed."""
        for path in self.get(shot_id).parts.values():
            path.unlink(missing_ok=True)
        with self._lock:
            self._shots.pop(shot_id, None)

    @property
    def trouble(self) -> str | None:
        """Why shots wait in memory; None while they are saved."""
        return self._trouble

    def saving(self) -> dict[str, Any]:
        """How saving goes, for JSON: how many shots wait, how many more fit on the disk, and what is wrong."""
        with self._lock:
            pending, trouble = len(self._waiting_bytes), self._trouble
            per_shot = self._bytes_per_shot or max(self._waiting_bytes.values(), default=0)
        return {
            "pending": pending,
            "in_memory": pending if trouble else 0,
            "shots_left": free_bytes(self.out) // per_shot if per_shot else None,
            "trouble": trouble,
        }

    def close(self) -> int:
        """Write what waits, with one last try if the disk was full; returns how many shots are lost."""
        self._closing.set()
        self._fetcher.shutdown(wait=True)
        self._saver.shutdown(wait=True)
        return self._n_lost


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was removed since
        return 0


def free_stem(folder: Path, stem: str) -> str:
    """`stem`, with -2, -3 ... at its end if the folder has a shot of that name."""
    taken = {name.split("_", 1)[0] for name in os.listdir(folder)} if folder.is_dir() else set()
    number = 1
    while (candidate := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return candidate
