"""The same run on Ray Data: many machines, and photos in object stores (extra `ray`).

A row of the data set is a photo, and its error is a column: so one bad photo does not cost the others of its block, and
the photos of a lost worker are made by another. Only the process that starts the run opens the journal.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import pickle
import secrets
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from camera_nano.batch.journal import Journal
from camera_nano.batch.photo import Maker
from camera_nano.batch.plan import JobAt
from camera_nano.batch.results import Result, Summary
from camera_nano.batch.run import Missing, RunPolicy, Task, follow, process
from camera_nano.batch.stores import STORED, local_copy
from camera_nano.engines import load_editor, model_id
from camera_nano.environment import as_for_child
from camera_nano.errors import ModelError
from camera_nano.files import Decoder
from camera_nano.paths import pipeline_dir
from camera_nano.recipe import Labels, Recipe
from camera_nano.stop import Stop, on_signals

# Ray reads these variables when it is imported. Without the first it would report its usage to its makers. A cluster
# started here listens on ports that others on the network can reach: without a token, anyone there could run code
# through them
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
if not {"RAY_ADDRESS", "RAY_AUTH_MODE"} & set(os.environ):
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
import ray

# names in the environment that Ray's processes need: Ray's own, and what leads to stores
_FOR_RAY = ("RAY_", "AWS_", "AZURE_", "GOOGLE_", "FSSPEC_", "SSL_", "HTTP_", "HTTPS_", "NO_", "http_", "https_", "no_")
_PHOTOS_A_BLOCK = 8  # made again when their worker is lost
_RETRIES = 2  # of a block whose worker is lost


@dataclass(frozen=True, slots=True)
class MakerSpec:
    """A `Maker` as it is sent to the workers, where each builds its own."""

    engine: str
    recipes: tuple[Recipe, ...]
    labels: Labels = Labels()
    keep_times: bool = False

    def build(self) -> Maker:
        """Load the model; the decoder starts with the first photo."""
        return Maker(load_editor(self.engine), self.recipes, Decoder(), self.labels, self.keep_times)


def run(
    jobs: Sequence[JobAt[Any]],
    spec: MakerSpec,
    journal: Journal,
    *,
    workers: int = 2,
    policy: RunPolicy = RunPolicy(),
    interrupt: Stop | None = None,
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """As `batch.run`, on the cluster that RAY_ADDRESS names, or on one made for this run: `workers` photos at a time.

    Jobs are at URLs, or at paths that are the same on every machine of the cluster.

    Raises:
        ModelError: Ray does not start, or its workers do not: they need camera_nano with the same weights.
    """
    keys = [spec.labels.key(recipe) for recipe in spec.recipes]
    results_of = functools.partial(_results, spec, workers)
    return follow(jobs, keys, journal, results_of, policy=policy, interrupt=interrupt, on_done=on_done)


def _results(spec: MakerSpec, workers: int, tasks: Sequence[Task], stop: Stop) -> Generator[Result, None, None]:
    """Results as they come. A photo whose worker is lost every time fails in the end, and no other with it."""
    if not tasks or stop.is_set():
        return
    with _cluster(workers):
        left = dict(enumerate(tasks))
        for n_photos in (_PHOTOS_A_BLOCK, 1):  # what was lost is tried once more, each photo in a block of its own
            if not left:
                return
            for number, result in _rows(dict(left), spec, workers, n_photos):
                del left[number]
                yield result
                if stop.is_set():
                    return
        for job, _ in left.values():
            error = f"{job.input}: its worker was lost, {_RETRIES + 1} times: it may need more memory than there is"
            yield Result(job, "failed", error)


def _rows(tasks: dict[int, Task], spec: MakerSpec, workers: int, n_photos: int) -> Iterator[tuple[int, Result]]:
    """The results of numbered tasks, in blocks of `n_photos`; those of lost blocks are missing."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # any number
    n_blocks = -(-len(tasks) // n_photos)
    rows = [{"number": number, "task": pickle.dumps(task)} for number, task in tasks.items()]
    photos = ray.data.from_items(rows, override_num_blocks=n_blocks)
    with warnings.catch_warnings():
        # up to the version that pyproject.toml allows, `max_task_retries` can be passed in no other way; without it,
        # blocks are tried again for ever
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        made = photos.map_batches(
            _Worker,
            fn_constructor_args=(spec,),
            batch_size=1,
            # a photo that waits in a worker is lost with it
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=min(workers, n_blocks), max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
            max_task_retries=_RETRIES,
        )
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the rows hold the errors it would log
    try:
        for row in made.iter_rows():
            yield row["number"], pickle.loads(row["result"])  # from our own workers
    except ray.exceptions.RayError as error:
        cause = str(error).strip().splitlines()[-1]
        raise ModelError(f"the workers do not start ({cause}): every machine needs the same camera-nano") from error


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """Use the cluster that there is, or one made of this machine alone, for the time of the context."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:
        options |= {"include_dashboard": False, "num_cpus": workers, "_node_ip_address": "127.0.0.1"}
    try:
        try:
            # Ray puts handlers of its own in the place of ours, and hands our environment on to its processes
            with on_signals(None), as_for_child(*_FOR_RAY):
                ray.init(**options)
        except Exception as error:  # no narrower: a node that is too slow to start is a plain Exception of Ray's
            cause = str(error).strip().partition("\n")[0]
            raise ModelError(f"Ray does not start ({cause}): check RAY_ADDRESS, or use --runner local") from error
        yield
    finally:
        ray.shutdown()


class _Worker:
    """A Ray actor: it loads the model once, and makes the photos it is given."""

    def __init__(self, spec: MakerSpec) -> None:
        self._maker, self._model = spec.build(), model_id(spec.engine, pipeline_dir())

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        results = [self._process(*pickle.loads(task)) for task in rows["task"]]
        # Arrow refuses text that cannot be encoded as UTF-8, which names may hold
        errors = [(result.error or "").encode("utf-8", "backslashreplace").decode() for result in results]
        return {"number": rows["number"], "error": errors, "result": [pickle.dumps(result) for result in results]}

    def _process(self, job: JobAt[Any], missing: Missing) -> Result:
        if self._model != self._maker.recipes[0].model:
            return Result(
                job, "failed", f"{job.input}: a worker has other weights: install the same camera-nano on all"
            )
        try:
            with contextlib.ExitStack() as stack:
                paths = [stack.enter_context(local_copy(str(photo))) for photo in job.photos]
                result = process((job, missing), paths, self._maker, STORED, Stop())
        except (OSError, ValueError) as error:
            text = " ".join(f"{job.input}: {error}".split())
            return Result(job, "failed", text, is_lasting=isinstance(error, ValueError))
        assert result is not None  # nothing stopped it
        return result
