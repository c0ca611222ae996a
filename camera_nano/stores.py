"""Photos in object stores, by URLs that fsspec opens (extra `ray`): listed, fetched to be decoded, written whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from camera_nano.decode import LIMIT_BYTES, UnreadableImage
from camera_nano.encode import write_atomically
from camera_nano.journal import LOCAL
from camera_nano.plan import JobAt, is_photo, outputs_of
from camera_nano.values import Look

# of the content where a store has one, or the time
_MARKS = ("ETag", "etag", "LastModified", "updated", "mtime", "created")


class StoredFiles:
    """Files at URLs, and those of this machine. What `look_at` has listed is not asked for again."""

    def look_at(self, url: str) -> None:
        """List all below a URL in one go, in place of a question for each. Raises OSError."""
        if is_url(url):
            _list(url)

    def stamp(self, name: str) -> tuple[int, int]:
        """Size, and a checksum of what the store says of the content. Raises OSError."""
        if not is_url(name):
            return LOCAL.stamp(name)
        fs, path = _open_fs(name)
        with _as_os_error(name):
            info = fs.info(path)
        mark = next((str(info[key]) for key in _MARKS if info.get(key)), "")
        return int(info["size"] or 0), zlib.crc32(mark.strip('"').encode())

    def digest(self, name: str) -> str:
        """SHA-256, hex. Raises OSError."""
        if not is_url(name):
            return LOCAL.digest(name)
        fs, path = _open_fs(name)
        digest = hashlib.sha256()
        with _as_os_error(name), fs.open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


STORED = StoredFiles()


def is_url(name: str) -> bool:
    """Whether it is a URL, and not a path of this machine."""
    return "://" in name


def plan_urls(inputs: Sequence[str], out: str, looks: Sequence[Look], format: str) -> list[JobAt[str]]:
    """The jobs of a run over URLs of folders or photos (`s3://bucket/photos`), by the rules of `plan.plan`.

    Raises:
        ValueError: an input is missing, `out` is inside one, two photos would be written to one place, a photo would
            be overwritten, or what reads such URLs is not installed.
        OSError: an input cannot be listed.
    """
    jobs: list[JobAt[str]] = []
    origin: dict[str, str] = {}
    for given in (each.rstrip("/") for each in inputs):
        if f"{out}/".startswith(f"{given}/"):
            raise ValueError(f"{out} is inside the input {given}: results would become inputs, choose another --out")
        fs, root, found = _list(given)
        if not found:
            raise ValueError(f"{given}: there is no such file or folder; check the path")
        for path in found:
            name = PurePosixPath(path).relative_to(root) if path != root else PurePosixPath(PurePosixPath(path).name)
            # a key may well be "../x.jpg", which must not lead out of the output folder
            if path != root and (not is_photo(name) or any(part.startswith(".") for part in name.parts)):
                continue
            photo = fs.unstrip_protocol(path) if is_url(given) else path
            outputs = tuple(f"{out}/{each}" for each in outputs_of(name, looks, format))
            if all(origin.get(output) == photo for output in outputs):
                continue  # named twice
            if taken := next((output for output in outputs if output in origin), None):
                raise ValueError(
                    f"{origin[taken]} and {photo} would both become {taken}: rename one, or run them apart"
                )
            origin |= dict.fromkeys(outputs, photo)
            jobs.append(JobAt(photo, outputs))
    if overwritten := set(origin) & set(origin.values()):
        raise ValueError(f"{min(overwritten)} is an input and would be overwritten: choose another --out")
    return jobs


def journal_dir(out: str) -> Path:
    """Where the journal of a run to a URL is: on this device, a folder for each."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "camera-nano" / "batch" / hashlib.sha256(out.encode()).hexdigest()[:16]


@contextlib.contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """Where a photo can be decoded: decoders are isolated, and get a file of this machine.

    Raises:
        OSError: it cannot be fetched.
        UnreadableImage: it is larger than any picture.
    """
    if not is_url(name):
        yield Path(name)
        return
    if (size := STORED.stamp(name)[0]) > LIMIT_BYTES:
        raise UnreadableImage(f"{name} is too large ({size >> 20} MiB): reduce it")
    fs, path = _open_fs(name)
    with tempfile.TemporaryDirectory(prefix="camera_nano-") as folder:
        copy = Path(folder, PurePosixPath(path).name)
        with _as_os_error(name):
            fs.get_file(path, str(copy))
        yield copy


def write(name: str, data: bytes) -> None:
    """All of it or nothing: stores show an object when it is complete, and cannot rename. Raises OSError."""
    if not is_url(name):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(name, data)
        return
    fs, path = _open_fs(name)
    with _as_os_error(name):
        fs.pipe_file(path, data)
        fs.invalidate_cache(path)
    if (size := STORED.stamp(name)[0]) != len(data):
        raise OSError(f"{name}: {size} of {len(data)} bytes arrived")


def _open_fs(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises ValueError where nothing here reads such URLs."""
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from error
    return fs, path.rstrip("/")


def _list(url: str) -> tuple[Any, str, list[str]]:
    """As `_open_fs`, and all below the path, which the file system remembers."""
    fs, root = _open_fs(url)
    with _as_os_error(url):
        fs.invalidate_cache()
        try:
            return fs, root, sorted(fs.find(root))
        except FileNotFoundError:
            return fs, root, []


@contextlib.contextmanager
def _as_os_error(url: str) -> Iterator[None]:
    """Stores raise classes of their own: no right, no credentials, no network."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{url}: {error}") from error
