"""The same run on Ray Data: many machines, and photos in object stores (extra `ray`).

A row is a photo, and what went wrong with it is a column: one bad photo costs no block, a lost worker no photo. The
journal stays with the process that starts the run.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import pickle
import secrets
import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from camera_nano.batch import Result, Summary, Task, follow, process
from camera_nano.engines import ModelError, load_editor, model_digest
from camera_nano.isolated import Decoder
from camera_nano.journal import Journal
from camera_nano.paths import pipeline_dir
from camera_nano.photo import Labels
from camera_nano.plan import JobAt
from camera_nano.recipe import Recipe
from camera_nano.stop import Stop
from camera_nano.stores import STORED, local_copy, write

# Ray reads these when it is imported. It would phone home; and a cluster of this machine has ports that are open to the
# network, at which whoever has no token could have anything run
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
if not {"RAY_ADDRESS", "RAY_AUTH_MODE"} & set(os.environ):
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
import ray

_PHOTOS_A_BLOCK = 8  # what is done again when a worker is lost
_RETRIES = 2  # of a block whose worker is lost


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

    Raises:
        ModelError: Ray does not start, or its workers do not: they need camera_nano with the same weights.
    """
    results_of = functools.partial(_results, engine, tuple(recipes), workers, labels)
    return follow(jobs, recipes, journal, results_of, labels=labels, **how)


def _results(
    engine: str,
    recipes: tuple[Recipe, ...],
    workers: int,
    labels: Labels,
    tasks: Sequence[Task],
    stop: Stop,
) -> Generator[Result, None, None]:
    """Results as they come. A photo that takes its worker with it, time after time, fails in the end, and alone."""
    if not tasks or stop.is_set():
        return
    with _cluster(workers):
        left = dict(enumerate(tasks))
        for n_photos in (_PHOTOS_A_BLOCK, 1):  # those that were lost are tried once more, each in a block of its own
            if not left:
                return
            for number, result in _rows(dict(left), engine, recipes, workers, labels, n_photos):
                del left[number]
                yield result
                if stop.is_set():
                    return
        for job, _ in left.values():
            error = f"{job.input}: its worker was lost, {_RETRIES + 1} times: it may need more memory than there is"
            yield Result(job, "failed", error)


def _rows(
    tasks: dict[int, Task], engine: str, recipes: tuple[Recipe, ...], workers: int, labels: Labels, n_photos: int
) -> Iterator[tuple[int, Result]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # any number
    n_blocks = -(-len(tasks) // n_photos)
    rows = [{"number": number, "task": pickle.dumps(task)} for number, task in tasks.items()]
    photos = ray.data.from_items(rows, override_num_blocks=n_blocks)
    with warnings.catch_warnings():
        # the limit has no other way in, up to the version that pyproject.toml allows; without it there is none
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        made = photos.map_batches(
            _Worker,
            fn_constructor_args=(engine, recipes, labels),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, n_blocks)),
            num_cpus=1,
            max_task_retries=_RETRIES,
        )
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it tells is in the rows
    try:
        for row in made.iter_rows():
            yield row["number"], pickle.loads(row["result"])  # from our own workers
    except ray.exceptions.RayError as error:
        cause = str(error).strip().splitlines()[-1]
        raise ModelError(f"the workers do not start ({cause}): every machine needs the same camera-nano") from error


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """The one there is, or one of this machine alone that nobody else can give work to."""
    if ray.is_initialized():
        yield
        return
    how: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:
        how |= {"include_dashboard": False, "num_cpus": workers, "_node_ip_address": "127.0.0.1"}
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if is_main else {}
    try:
        try:
            ray.init(**how)
        except (OSError, RuntimeError, ray.exceptions.RayError) as error:
            cause = str(error).strip().partition("\n")[0]
            raise ModelError(f"Ray does not start ({cause}): check RAY_ADDRESS, or use --runner local") from error
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray has put its own in their place
        yield
    finally:
        ray.shutdown()


class _Worker:
    """An actor: it holds the model, and a decoder whose child takes the blows."""

    def __init__(self, engine: str, recipes: Sequence[Recipe], labels: Labels) -> None:
        self._editor, self._recipes, self._labels, self._decoder = load_editor(engine), recipes, labels, Decoder()
        self._model = f"{engine}:{model_digest(pipeline_dir())}"

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        results = [self._process(*pickle.loads(task)) for task in rows["task"]]
        # Arrow takes no text that is not UTF-8, as names may be
        errors = [(result.error or "").encode("utf-8", "backslashreplace").decode() for result in results]
        return {"number": rows["number"], "error": errors, "result": [pickle.dumps(result) for result in results]}

    def _process(self, job: JobAt[Any], missing: Sequence[int]) -> Result:
        if self._model != self._recipes[0].model:
            return Result(
                job, "failed", f"{job.input}: a worker has other weights: install the same camera-nano on all"
            )
        try:
            with local_copy(str(job.input)) as path:
                result = process(
                    job,
                    missing,
                    path,
                    self._editor,
                    self._recipes,
                    self._decoder,
                    write,
                    stop=Stop(),
                    labels=self._labels,
                    files=STORED,
                )
        except (OSError, ValueError) as error:
            text = " ".join(f"{job.input}: {error}".split())
            return Result(job, "failed", text, is_lasting=isinstance(error, ValueError))
        assert result is not None  # nothing stopped it
        return result
