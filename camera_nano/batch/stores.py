"""Photos in object stores, at URLs that fsspec opens (extra `ray`): listing, fetching and writing them."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from camera_nano.batch.plan import PhotoAt, is_photo, kind_of
from camera_nano.batch.storage import LOCAL
from camera_nano.errors import UnreadableImage
from camera_nano.files import LIMIT_BYTES
from camera_nano.paths import state_dir

# what a store's listing may say of a file: a checksum of its content, or else a time
_MARKS = ("ETag", "etag", "LastModified", "updated", "mtime", "created")


class StoredFiles:
    """Files at URLs, and those of this machine. Every method raises OSError."""

    def look_at(self, url: str) -> None:
        """List all below a URL in one request, so that stamps need none each. Raises OSError."""
        if is_url(url):
            _list(url)

    def stamp(self, name: str) -> tuple[int, int]:
        """Size in bytes, and a checksum of what the store's listing says of the content or its time. Raises OSError."""
        if not is_url(name):
            return LOCAL.stamp(name)
        fs, path = _open_fs(name)
        with _as_os_error(name):
            info = fs.info(path)
        mark = next((str(info[key]) for key in _MARKS if info.get(key)), "")
        return int(info["size"] or 0), zlib.crc32(mark.strip('"').encode())

    def digest(self, name: str) -> str:
        """SHA-256 of the content, hex. Raises OSError."""
        if not is_url(name):
            return LOCAL.digest(name)
        fs, path = _open_fs(name)
        digest = hashlib.sha256()
        with _as_os_error(name), fs.open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def write(self, name: str, data: bytes, time_ns: int | None = None) -> None:
        """Write all of it or nothing: a store shows an object only once it is complete. Raises OSError."""
        if not is_url(name):
            LOCAL.write(name, data, time_ns)
            return
        fs, path = _open_fs(name)
        with _as_os_error(name):
            fs.pipe_file(path, data)
            fs.invalidate_cache(path)
        if (size := self.stamp(name)[0]) != len(data):
            raise OSError(f"{name}: {size} of {len(data)} bytes arrived")


STORED = StoredFiles()


def is_url(name: str) -> bool:
    """Whether it is a URL, and not a path of this machine."""
    return "://" in name


def find_urls(inputs: Sequence[str], out: str, passed_over: Counter[str] | None = None) -> list[PhotoAt[str]]:
    """The photos at URLs, by the rules of `plan.find`.

    Raises:
        ValueError: an input is missing, `out` is inside one, or what reads such URLs is not installed.
        OSError: an input cannot be listed.
    """
    photos: list[PhotoAt[str]] = []
    passed_over = Counter() if passed_over is None else passed_over
    for given in (each.rstrip("/") for each in inputs):
        if f"{out}/".startswith(f"{given}/"):
            raise ValueError(f"{out} is inside the input {given}: results would become inputs, choose another --out")
        fs, root, found = _list(given)
        if not found:
            raise ValueError(f"{given}: there is no such file or folder; check the path")
        for path in found:
            name = PurePosixPath(path).relative_to(root) if path != root else PurePosixPath(PurePosixPath(path).name)
            # a key may be "../x.jpg", which must not lead out of the output folder
            if path != root and any(part.startswith(".") for part in name.parts):
                continue
            if path != root and not is_photo(name):
                passed_over[kind_of(name)] += 1
                continue
            folder = PurePosixPath(root if path != root else root.rpartition("/")[0])
            photos.append(PhotoAt(fs.unstrip_protocol(path) if is_url(given) else path, name, folder.name))
    return photos


def journal_dir(out: str) -> Path:
    """The folder on this machine for the journal of runs to a URL; each URL has its own."""
    return state_dir() / "batch" / hashlib.sha256(out.encode()).hexdigest()[:16]


@contextlib.contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """The photo as a file on this machine, which is all that decoders can open.

    Raises:
        OSError: it cannot be fetched.
        UnreadableImage: it is larger than any picture that is read.
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


def _open_fs(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises ValueError where nothing that is installed reads it."""
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from error
    return fs, path.rstrip("/")


def _list(url: str) -> tuple[Any, str, list[str]]:
    """As `_open_fs`, with the paths of all files below; the file system caches the listing."""
    fs, root = _open_fs(url)
    with _as_os_error(url):
        fs.invalidate_cache()
        try:
            return fs, root, sorted(fs.find(root))
        except FileNotFoundError:
            return fs, root, []


@contextlib.contextmanager
def _as_os_error(url: str) -> Iterator[None]:
    """Errors as OSError: stores raise classes of their own for no access, no credentials or no network."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{url}: {error}") from error
