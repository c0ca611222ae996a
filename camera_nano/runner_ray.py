"""The same run on Ray Data: many machines, and photos in object stores by way of fsspec (extra `ray`).

A row is a photo, and what went wrong with it is a column: one bad photo costs no block, a lost worker no photo. The
journal stays with the process that starts the run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import pickle
import tempfile
import threading
import zlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import ray

from camera_nano.batch import Result, Summary, Task, follow, process
from camera_nano.decode import LIMIT_BYTES, UnreadableImage
from camera_nano.encode import write_atomically
from camera_nano.engines import load_editor
from camera_nano.isolated import Decoder
from camera_nano.journal import LOCAL, Journal
from camera_nano.photo import Labels
from camera_nano.plan import JobAt, is_photo, outputs_of
from camera_nano.recipe import Recipe
from camera_nano.values import Look

_PHOTOS_A_BLOCK = 8  # what is done again when a worker is lost


class StoredFiles:
    """Files at URLs, and those of this machine."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Size, and a checksum of what the store says of the last change. Raises OSError."""
        if not is_url(name):
            return LOCAL.stamp(name)
        fs, path = _open_fs(name)
        fs.invalidate_cache(path)
        info = fs.info(path)
        changed = [str(info[key]) for key in ("LastModified", "updated", "mtime", "created", "ETag") if key in info]
        return int(info["size"]), zlib.crc32(" ".join(changed).encode())

    def digest(self, name: str) -> str:
        """SHA-256, hex. Raises OSError."""
        if not is_url(name):
            return LOCAL.digest(name)
        fs, path = _open_fs(name)
        with fs.open(path, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


def is_url(name: str) -> bool:
    """Whether it is a URL, and not a path of this machine."""
    return "://" in name


def plan_urls(inputs: Sequence[str], out: str, looks: Sequence[Look], format: str) -> list[JobAt[str]]:
    """The jobs of a run over URLs of folders or photos (`s3://bucket/photos`), by the rules of `plan.plan`.

    Raises:
        ValueError: an input is missing, `out` is inside one, two photos would be written to one place, or what reads
            such URLs is not installed.
        OSError: an input cannot be listed.
    """
    jobs: list[JobAt[str]] = []
    origin: dict[str, str] = {}
    for given in (each.rstrip("/") for each in inputs):
        fs, root = _open_fs(given)
        if f"{out}/".startswith(f"{given}/"):
            raise ValueError(f"{out} is inside the input {given}: results would become inputs, choose another --out")
        try:
            found = sorted(fs.find(root))
        except Exception as error:  # stores raise classes of their own: no right, no credentials, no network
            raise OSError(f"{given}: {error}") from error
        if not found:
            raise ValueError(f"{given}: there is no such file or folder; check the path")
        for path in found:
            name = PurePosixPath(path).relative_to(root) if path != root else PurePosixPath(PurePosixPath(path).name)
            if path != root and not is_photo(name):
                continue
            photo = fs.unstrip_protocol(path) if is_url(given) else path
            outputs = tuple(f"{out}/{each}" for each in outputs_of(name, looks, format))
            if taken := next((output for output in outputs if output in origin), None):
                raise ValueError(
                    f"{origin[taken]} and {photo} would both become {taken}: rename one, or run them apart"
                )
            origin |= dict.fromkeys(outputs, photo)
            jobs.append(JobAt(photo, outputs))
    return jobs


def journal_dir(out: str) -> Path:
    """Where the journal of a run to a URL is: on this device, a folder for each."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "camera-nano" / "batch" / hashlib.sha256(out.encode()).hexdigest()[:16]


def run(
    jobs: Sequence[JobAt[Any]],
    engine: str,
    recipes: Sequence[Recipe],
    journal: Journal,
    *,
    workers: int = 2,
    labels: Labels = Labels(),
    **how: Any,
) -> Summary:
    """As `batch.run`, on the cluster that RAY_ADDRESS names or on one made for this run, `workers` photos at a time.

    Jobs are at URLs, or at paths that every machine of the cluster sees.
    """
    results_of = functools.partial(_results, engine, tuple(recipes), workers, labels)
    return follow(jobs, recipes, journal, results_of, labels=labels, **how)


def _results(
    engine: str,
    recipes: tuple[Recipe, ...],
    workers: int,
    labels: Labels,
    tasks: Sequence[Task],
    stop: threading.Event,
) -> Generator[Result, None, None]:
    if not tasks or stop.is_set():
        return
    is_ours = not ray.is_initialized()
    if is_ours:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would phone home
        ray.init(include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        n_blocks = -(-len(tasks) // _PHOTOS_A_BLOCK)
        rows = [{"task": pickle.dumps(task)} for task in tasks]  # to our own workers, and back from them
        made = ray.data.from_items(rows, override_num_blocks=n_blocks).map_batches(
            _Worker,
            fn_constructor_args=(engine, recipes, labels),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, n_blocks)),
            num_cpus=1,
        )
        for row in made.iter_rows():
            yield pickle.loads(row["result"])
            if stop.is_set():
                return
    finally:
        if is_ours:
            ray.shutdown()


class _Worker:
    """An actor: it holds the model, and a decoder whose child takes the blows."""

    def __init__(self, engine: str, recipes: Sequence[Recipe], labels: Labels) -> None:
        self._editor, self._recipes, self._labels, self._decoder = load_editor(engine), recipes, labels, Decoder()

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {"result": [pickle.dumps(self._process(*pickle.loads(task))) for task in rows["task"]]}

    def _process(self, job: JobAt[Any], missing: Sequence[int]) -> Result:
        try:
            with _local_copy(str(job.input)) as path:
                result = process(
                    job,
                    missing,
                    path,
                    self._editor,
                    self._recipes,
                    self._decoder,
                    _write,
                    stop=threading.Event(),
                    labels=self._labels,
                )
        except Exception as error:  # stores raise classes of their own
            return Result(job, "failed", " ".join(f"{job.input}: {error}".split()))
        assert result is not None  # nothing stopped it
        return result


def _open_fs(url: str) -> tuple[Any, str]:
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from error
    return fs, path.rstrip("/")


@contextlib.contextmanager
def _local_copy(name: str) -> Iterator[Path]:
    """Where a photo can be decoded: decoders are isolated, and get a file of this machine."""
    if not is_url(name):
        yield Path(name)
        return
    fs, path = _open_fs(name)
    if (size := int(fs.info(path)["size"])) > LIMIT_BYTES:
        raise UnreadableImage(f"{name} is too large ({size >> 20} MiB): reduce it")
    with tempfile.TemporaryDirectory(prefix="camera_nano-") as folder:
        copy = Path(folder, PurePosixPath(path).name)
        fs.get_file(path, str(copy))
        yield copy


def _write(name: str, data: bytes) -> None:
    """All of it or nothing: stores show an object when it is complete, and cannot rename."""
    if not is_url(name):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(name, data)
        return
    fs, path = _open_fs(name)
    fs.pipe_file(path, data)
    fs.invalidate_cache(path)
    if (size := int(fs.info(path)["size"])) != len(data):
        raise OSError(f"{name}: {size} of {len(data)} bytes arrived")
