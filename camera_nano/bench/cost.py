"""What is counted, not timed: multiply-adds, installed bytes, and from counts an estimate for another machine."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from camera_nano.paths import pipeline_dir

_Shapes = list[list[int]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Multiply-adds of one run of each graph; the denoiser's are of one look and one step."""

    encoder_mac: int
    denoiser_mac: int

    def mac(self, n_looks: int, n_steps: int) -> int:
        """Multiply-adds of a proposal."""
        return self.encoder_mac + n_looks * n_steps * self.denoiser_mac


def count_cost(pipeline: Path | None = None) -> Cost:
    """Count the graphs that are shipped, so that the figure is always theirs."""
    pipeline = pipeline or pipeline_dir()
    return Cost(count_mac(pipeline / "encoder.onnx"), count_mac(pipeline / "denoiser.onnx"))


def count_mac(graph: Path) -> int:
    """Multiply-adds of the convolutions and matrix products of one run, with every free dimension 1.

    The shapes come from ONNX Runtime's profile of an unoptimised run. Other operators add only a few per cent.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        shapes = {arg.name: [d if isinstance(d, int) else 1 for d in arg.shape] for arg in session.get_inputs()}
        session.run(None, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return sum(_mac_of(event["args"]) for event in events if "op_name" in event.get("args", {}))


def _mac_of(args: dict[str, Any]) -> int:
    inputs: _Shapes = [shape for typed in args.get("input_type_shape", []) for shape in typed.values()]
    outputs: _Shapes = [shape for typed in args.get("output_type_shape", []) for shape in typed.values()]
    if "Conv" in args["op_name"]:  # for ConvInteger too, where scales and zero points lie between image and weight
        _, weight = [shape for shape in inputs if len(shape) == 4][:2]
        return prod(outputs[0]) * prod(weight[1:])
    if "MatMul" in args["op_name"]:
        return prod(outputs[0]) * inputs[0][-1]
    if "Gemm" in args["op_name"]:  # the left matrix may be transposed, but has as many rows as the output
        return prod(outputs[0]) * (prod(inputs[0]) // outputs[0][0])
    return 0


def installed_mb(package: str = "camera-nano") -> float | None:
    """MB of the files of a package and of all that it requires, without extras; None where it is not installed."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return None
    seen: set[str] = set()
    waiting, total = [package], 0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # needed only on another system or Python
        paths = [Path(str(file.locate())) for file in found.files or ()]
        total += sum(path.stat().st_size for path in paths if path.is_file())
        for requirement in found.requires or ():
            needed, _, marker = requirement.partition(";")
            if "extra" not in marker:
                waiting.append(re.split(r"[^\w.-]", needed.strip(), maxsplit=1)[0])
    return total / 1e6


@dataclass(frozen=True, slots=True)
class Target:
    """Another machine, and the rates to expect there, as (worst, best)."""

    name: str
    basis: str
    gmac_per_s: tuple[float, float]  # fp32, all cores
    gb_per_s: tuple[float, float]  # memory, read and write together


TARGETS = {
    "pi5": Target(
        name="Raspberry Pi 5",
        basis="four Cortex-A76 at 2.4 GHz: 77 GMAC/s fp32 at their peak (two 128-bit FMA pipes each), 25 to 35 in"
        " convolutions of this size; LPDDR4X-4267 on 32 bits: 17 GB/s at its peak, 8 to 10 in a copy",
        gmac_per_s=(25.0, 35.0),
        gb_per_s=(8.0, 10.0),
    )
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stage would take on another machine, computed from counts alone."""

    stage: str
    case: str
    counted: str
    best_ms: float
    worst_ms: float


# (width, height) -> how many times as long as a copy of the frame rendering may take
RENDER_BARS = {(1280, 720): 30.0, (4000, 3000): 45.0}
_RENDER_RATIO = 75.0  # for small frames, whose copy is fast because it stays in the cache


def estimate(target: Target, cost: Cost) -> dict[str, Any]:
    """Estimates for another machine, marked as such: of proposals by multiply-adds, of rendering by a copy's bytes."""
    rows = []
    for n_looks, n_steps in ((1, 1), (1, 2), (4, 1), (4, 2), (8, 2)):
        gmac = cost.mac(n_looks, n_steps) / 1e9
        worst_ms, best_ms = (round(1e3 * gmac / rate, 1) for rate in target.gmac_per_s)
        case = f"{n_looks} looks x {n_steps} steps, fp32"
        rows.append(Estimate("propose", case, f"{gmac:.2f} GMAC", best_ms, worst_ms))
    for (width, height), ratio in (((1280, 720), _RENDER_RATIO), ((4000, 3000), RENDER_BARS[4000, 3000])):
        gb = 2 * 3 * width * height / 1e9
        worst_ms, best_ms = (round(1e3 * ratio * gb / rate, 1) for rate in target.gb_per_s)
        counted = f"{1e3 * gb:.1f} MB x {ratio:.0f}"
        rows.append(Estimate("render", f"{width}x{height}", counted, best_ms, worst_ms))
    return {
        "is_estimate": True,
        "target": target.name,
        "basis": target.basis,
        "rows": [asdict(row) for row in rows],
    }


def estimate_table(report: dict[str, Any]) -> str:
    """The estimate as text for people."""
    lines = [
        f"ESTIMATE for {report['target']}, from counts; nothing here was measured, on that machine or on this one.",
        f"Basis: {report['basis']}.",
        f"{'stage':<15} {'case':<28} {'counted':<14} {'best ms':>9} {'worst ms':>9}",
    ]
    for r in report["rows"]:
        lines.append(
            f"{r['stage']:<15} {r['case']:<28} {r['counted']:<14} ~{r['best_ms']:>8.1f} ~{r['worst_ms']:>8.1f}"
        )
    return "\n".join(lines)
