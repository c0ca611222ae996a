"""The one door to foreign files, in child processes: one that hangs, crashes or uses up memory costs only itself.

A child is started once and reused. It gets the open file, and writes what it found to an anonymous file in memory, with
a JSON message that says where each part lies (`packing`). So pixels pass through no pipe. What is written with foreign
metadata is made there, too, since that has to be parsed again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import psutil

from camera_nano.errors import NoDecoder, UnreadableImage
from camera_nano.files.decode import Picture, check_regular
from camera_nano.files.decoder_process import Child, Room
from camera_nano.files.deliver import Original, of_samples
from camera_nano.files.inspect import Report
from camera_nano.files.metadata import Metadata
from camera_nano.files.packing import new_room, pack, write_parts
from camera_nano.files.signing import own_key
from camera_nano.files.taken import Taken
from camera_nano.recipe import Labels, Merging, Recipe
from camera_nano.sandbox import Wall
from camera_nano.values import GainMap, Pixels

T = TypeVar("T")
Name = str | os.PathLike[str]

_LONGER_TO_WRITE = 5  # times as long as reading may it take
_HEIC_AT_A_TIME = threading.Lock()
_LEAST_BYTES, _MOST_BYTES = 1 << 30, 8 << 30
_MOST_ROOMS, _LARGEST_ROOM_BYTES = 4, 96 << 20  # kept for the next pictures


def default_memory_bytes() -> int:
    """Three quarters of the machine's memory, 1 to 8 GiB: 200 megapixels at 16 bits need about six."""
    total: int = psutil.virtual_memory().total
    return min(max(total * 3 // 4, _LEAST_BYTES), _MOST_BYTES)


class Decoder:
    """All that looks into foreign files, in child processes: one for each thread that needs one at the moment.

    A child that dies costs the file it was at, and is replaced. What children do is locked up, see `sandbox`.
    """

    def __init__(self, *, time_s: float = 120, memory_bytes: int | None = None) -> None:
        """Set the limits for one file: seconds, and bytes of data beside that of the libraries."""
        self._time_s, self._memory_bytes = time_s, memory_bytes or default_memory_bytes()
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._rooms: list[Room] = []
        self._is_closed = self._has_started = False

    def open(self, path: Name) -> Picture:
        """The picture in a file, as `decode` returns it. May be called from several threads at a time, as all here.

        Raises:
            UnreadableImage: as `decode`; it is no regular file; a limit was reached; or the child crashed.
            OSError: the file cannot be opened.
            NoDecoder: child processes cannot be started here.
            RuntimeError: the decoder is closed.
        """
        return self._look(Picture, "decode", path)

    def open_capture(self, path: Name, white_balance: tuple[float, ...] = ()) -> Picture:
        """One of several pictures that are merged, as `decode` reads such. Raises as `open`."""
        return self._look(Picture, "decode", path, is_capture=True, white_balance=white_balance)

    def taken(self, path: Name) -> Taken:
        """How a photo was taken, as `taken.read_taken` reads it. Raises as `open`."""
        return self._look(Taken, "taken", path)

    def inspect(self, path: Name) -> Report:
        """What a file holds, as `inspect.look_into` says it. Raises OSError, NoDecoder and RuntimeError as `open`."""
        try:
            return self._look(Report, "inspect", path)
        except UnreadableImage as error:
            return Report(str(path), problems=(str(error),))

    def thumbnail(self, path: Name, side_px: int) -> Pixels:
        """A small picture, as `thumbnail.small` makes it. Raises as `open`."""
        return self._look(np.ndarray, "thumbnail", path, side_px=side_px)

    def read_recipe(self, path: Name) -> Recipe:
        """The recipe that a file carries. Raises as `open`, or ValueError where there is none."""
        return self._look(Recipe, "recipe", path)

    def read_gainmap(self, path: Name) -> GainMap | None:
        """The gain map of a JPEG or an iPhone's HEIC file. Raises as `open`, or ValueError for a damaged one."""
        found = self._look(tuple, "gain map", path)
        return found[0] if found else None

    def to_srgb(self, pixels: Pixels, icc: bytes) -> Pixels:
        """Code values of a foreign profile, as `icc.to_srgb` converts them. Raises as `encode`."""
        return self._make(np.ndarray, "to sRGB", "the picture", {"pixels": pixels, "icc": icc})

    def encode(
        self,
        pixels: Pixels,
        *,
        format: str,
        quality: int = 92,
        metadata: Metadata | None = None,
        alpha: Pixels | None = None,
        gain: GainMap | None = None,
    ) -> bytes:
        """The bytes of a file with foreign metadata, as `encode.encode` makes them.

        Raises:
            ValueError: as there; also if a limit was reached, or the child crashed.
            NoDecoder, RuntimeError: as `open`.
        """
        values = {"pixels": pixels, "format": format, "quality": quality, "metadata": metadata}
        return self._make(bytes, "encode", "the picture", values | {"alpha": alpha, "gain": gain})

    def deliver(
        self,
        image: Pixels,
        original: Original,
        recipe: Recipe | None,
        *,
        name: str,
        format: str,
        labels: Labels = Labels(),
        alpha: Pixels | None = None,
        gain: GainMap | None = None,
        merging: Merging | None = None,
    ) -> tuple[bytes, tuple[str, ...]]:
        """The bytes of a look of a foreign photo, and notes, as `deliver.deliver` makes them.

        Raises:
            ValueError: as there; also if a limit was reached, or the child crashed.
            OSError: as there.
            NoDecoder, RuntimeError: as `open`.
        """
        values = {"image": image, "original": of_samples(original), "recipe": recipe, "name": name, "format": format}
        values |= {"labels": labels, "alpha": alpha, "gain": gain, "merging": merging}
        with contextlib.ExitStack() as stack:
            file = None
            if recipe is not None and labels.signature:
                values["key"] = own_key()
                file = stack.enter_context(original.path.open("rb")).fileno()
            data, notes = self._make(tuple, "deliver", name, values, file)
        return data, notes

    def walls(self) -> list[Wall]:
        """What holds the children in, and what this kernel lacks for more. Raises NoDecoder."""
        child, room = self._take()
        if room is not None:
            self._keep(room)
        self._give(child)
        return child.walls

    def _look(self, kind: type[T], verb: str, path: Name, **values: int | tuple[float, ...]) -> T:
        check_regular(Path(path))
        with Path(path).open("rb") as file:
            return self._ask(kind, verb, str(path), values, file.fileno(), self._time_s)

    def _make(self, kind: type[T], verb: str, name: str, values: dict[str, Any], file: int | None = None) -> T:
        # one at a time: x265 uses every core, and with transparency half a gigabyte for twelve megapixels
        alone = _HEIC_AT_A_TIME if values.get("format") == "heic" else contextlib.nullcontext()
        with alone:
            return self._ask(kind, verb, name, values, file, _LONGER_TO_WRITE * self._time_s)

    def _ask(self, kind: type[T], verb: str, name: str, values: dict[str, Any], file: int | None, time_s: float) -> T:
        """The answer of a child, which has to be of this kind."""
        request: dict[str, Any] = {"verb": verb, "name": name, "time_s": time_s}
        handles = {} if file is None else {"file": file}
        with contextlib.ExitStack() as stack:
            if values:
                request["values"], parts, n_bytes = pack(values)
                handles["values"] = new_room(n_bytes)
                stack.callback(os.close, handles["values"])
                write_parts(handles["values"], parts)
            child, room = self._take()
            try:
                found = child.ask(kind, request, handles, room, self._keep)
            finally:
                self._give(child)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """End the children, each after the file it works on. Pictures stay valid. May be called twice."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._rooms.clear()
        for child in idle:
            child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> tuple[Child, Room | None]:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the decoder is closed")
            room = self._rooms.pop() if self._rooms else None
            while self._idle:
                if (child := self._idle.pop()).is_alive():
                    return child, room
                child.close()
        try:
            child = Child(self._memory_bytes)
        except NoDecoder as error:
            if self._has_started:  # it costs one file, not the run
                raise RuntimeError(str(error)) from error
            raise
        self._has_started = True
        return child, room

    def _give(self, child: Child) -> None:
        with self._lock:
            if child.is_alive() and not self._is_closed:
                self._idle.append(child)
                return
        child.close()

    def _keep(self, room: Room) -> None:
        """Keep memory whose last array is gone. It must not wait for the lock: any thread may be there."""
        if not self._is_closed and len(self._rooms) < _MOST_ROOMS and len(room.memory) <= _LARGEST_ROOM_BYTES:
            self._rooms.append(room)
