"""A measurement: the time of a stage, and of the limit it is compared with, both from the same run; those limits."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from camera_nano.environment import for_child
from camera_nano.values import Pixels

LOOKS, RENDER, PAGES = "scale propose", "scale render", "scale pages"  # the stages of --scale
GEMM_MKN = (512, 512, 2048)  # large enough for full speed, small enough for many runs
QUIET = 0.95  # a `core_share` below this makes the figures rough
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Limit(NamedTuple):
    """Work that a stage cannot do without, and how long it takes on this machine."""

    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One stage in one case: its median and 95th percentile, its limit, and the largest ratio to it that we accept."""

    stage: str
    case: str
    threads: int
    p50_ms: float
    p95_ms: float
    limit: str
    limit_ms: float
    bar: float | None = None  # of the ratio

    @property
    def ratio(self) -> float:
        """Median over limit."""
        return self.p50_ms / self.limit_ms

    @property
    def is_met(self) -> bool | None:
        """Whether the ratio is within the bar; None where there is no bar."""
        return None if self.bar is None else self.ratio <= self.bar

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Size:
    """Memory or disk that something takes, in MB (10^6 bytes), and the most that we accept."""

    what: str
    mb: float
    bar_mb: float

    @property
    def is_met(self) -> bool:
        """Whether it is within the bar."""
        return self.mb <= self.bar_mb

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is measured."""

    row_s: float  # how long a row is measured, or longer until there are `min_runs`
    min_runs: int
    sizes_wh: tuple[tuple[int, int], ...]
    photo_wh: tuple[int, int]  # of the batch
    n_looks: tuple[int, ...]
    starts: int  # of a fresh process
    live_s: float
    scale_looks: tuple[int, ...]
    scale_megapixels: tuple[float, ...]
    scale_clients: tuple[int, ...]


FULL = Budget(
    row_s=1.0,
    min_runs=3,
    sizes_wh=((640, 480), (1280, 720), (1920, 1080), (4000, 3000)),
    photo_wh=(4000, 3000),
    n_looks=(1, 4, 8),
    starts=3,
    live_s=10.0,
    scale_looks=(1, 2, 4, 8, 16),
    scale_megapixels=(0.3, 1, 3, 12, 48, 100),
    scale_clients=(1, 2, 3, 4),
)
QUICK = Budget(
    row_s=0.0,
    min_runs=2,
    sizes_wh=((640, 480), (1280, 720)),
    photo_wh=(640, 480),
    n_looks=(1, 4),
    starts=1,
    live_s=1.0,
    scale_looks=(1, 2),
    scale_megapixels=(0.1, 0.3),
    scale_clients=(1,),
)


class Bench:
    """Collects the rows and sizes of one run; calls `say` with the name of what is measured next."""

    def __init__(self, budget: Budget, say: Callable[[str], None]) -> None:
        self.budget, self.say = budget, say
        self.rows: list[Row] = []
        self.sizes: list[Size] = []

    def time(
        self,
        stage: str,
        case: str,
        run: Callable[[], object],
        *,
        limit: Limit | None = None,
        bar: float | None = None,
        threads: int = 1,
        per: int = 1,
    ) -> Limit:
        """Measure `run`, which does the work `per` times. Returns the median, as a limit for other stages."""
        self.say(f"{stage}, {case}")
        ms = [took / per for took in time_ms(run, self.budget.row_s, self.budget.min_runs)]
        return self.add(stage, case, ms, limit=limit, bar=bar, threads=threads)

    def add(
        self,
        stage: str,
        case: str,
        ms: Sequence[float],
        *,
        limit: Limit | None = None,
        bar: float | None = None,
        threads: int = 1,
    ) -> Limit:
        """Record durations that were measured elsewhere. A stage without a limit is its own."""
        p50_ms, p95_ms = _rounded(np.median(ms)), _rounded(np.percentile(ms, 95))
        limit = Limit(limit.name, _rounded(limit.ms)) if limit else Limit("itself", p50_ms)
        self.rows.append(Row(stage, case, threads, p50_ms, p95_ms, limit.name, limit.ms, bar))
        return Limit(stage, p50_ms)


def _rounded(ms: float | np.floating[Any]) -> float:
    """Four digits: more is noise."""
    return float(f"{float(ms):.4g}")


def time_ms(run: Callable[[], object], for_s: float, min_runs: int) -> list[float]:
    """Durations in ms of at least `min_runs` runs, after some that fill caches and buffers."""
    until_s = time.perf_counter() + 0.2 * for_s
    run()
    while time.perf_counter() < until_s:
        run()
    spent: list[float] = []
    until_s = time.perf_counter() + for_s
    while len(spent) < min_runs or time.perf_counter() < until_s:
        started_s = time.perf_counter()
        run()
        spent.append(1e3 * (time.perf_counter() - started_s))
    return spent


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What the figures are measured on, and how busy it is with other programs."""
    packages = ("numpy", "onnxruntime", "opencv-python-headless", "pyvips", "simplejpeg")
    return {
        "cpu": _cpu(),
        "cores": n_cores(),
        "cores_installed": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "core_share": round(core_share(), 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def core_share(for_s: float = 0.3) -> float:
    """The share of a core, 0..1, that a thread gets when it asks for all of it.

    Below 1 other programs take turns with it. That slows stages of many ms, but not a copy or a matrix product that is
    done within one turn, so ratios look worse than they are.
    """
    started_s, started_cpu_s = time.perf_counter(), time.thread_time()
    while (wall_s := time.perf_counter() - started_s) < for_s:
        pass
    return min(1.0, (time.thread_time() - started_cpu_s) / wall_s)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or platform.machine()


def memcpy(bench: Bench, pixels: Pixels, case: str) -> Limit:
    """The limit of all that reads and writes a frame once: a copy between two buffers of its size, on one thread."""
    out = np.empty_like(pixels)
    return bench.time("memcpy", case, lambda: np.copyto(out, pixels))


def gemm_ms(threads: int, budget: Budget) -> list[float]:
    """Durations of one fp32 `GEMM_MKN` in numpy's BLAS, in a new process: BLAS sets its threads at the start."""
    code = f"from camera_nano.bench.rows import print_gemm; print_gemm({budget.row_s}, {budget.min_runs})"
    env = for_child(**dict.fromkeys(_BLAS_THREADS, str(threads)))
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, check=True, stdout=subprocess.PIPE, timeout=120)
    return [float(ms) for ms in json.loads(done.stdout)]


def print_gemm(for_s: float, min_runs: int) -> None:
    """What `gemm_ms` runs in the new process."""
    m, k, n = GEMM_MKN
    rng = np.random.default_rng(0)
    a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    print(json.dumps(time_ms(lambda: np.matmul(a, b, out=out), for_s, min_runs)))


def imports_ms(n: int) -> list[float]:
    """Durations of a new Python that imports numpy and OpenCV, after one more that fills the disk cache."""
    spent = []
    for _ in range(n + 1):
        started_s = time.perf_counter()
        subprocess.run([sys.executable, "-P", "-c", "import numpy, cv2"], env=for_child(), check=True, timeout=120)
        spent.append(1e3 * (time.perf_counter() - started_s))
    return spent[1:]
