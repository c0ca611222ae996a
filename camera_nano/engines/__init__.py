"""Engines: the model on ONNX Runtime (the default, needs no torch), or as the diffusers pipeline, the reference.

Weights are checked against the SHA256SUMS in their folder before they are parsed.
"""

from __future__ import annotations

from pathlib import Path

from camera_nano.engines.weights import model_digest, model_id, verify
from camera_nano.errors import ModelError
from camera_nano.paths import pipeline_dir
from camera_nano.seams import Editor

__all__ = ["ENGINES", "PRECISIONS", "load_editor", "model_digest", "model_id", "verify"]

ENGINES = ("onnx", "torch")
PRECISIONS = ("int8", "fp32")


def load_editor(
    engine: str = "onnx", *, pipeline: Path | None = None, threads: int = 1, precision: str = "int8"
) -> Editor:
    """Load the model; takes a fraction of a second with ONNX Runtime, seconds with torch.

    `precision` is "int8" or "fp32", for the ONNX engine only; the torch engine always uses fp32.

    Raises:
        ModelError: weights are missing or were changed, or the engine is not installed; one line that says what to do.
        ValueError: no such engine or precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"no precision named {precision}; there are {', '.join(PRECISIONS)}")
    try:
        pipeline = pipeline or pipeline_dir()
    except FileNotFoundError as error:
        raise ModelError(str(error)) from error
    match engine:
        case "onnx":
            from camera_nano.engines.onnx import OnnxEditor

            return OnnxEditor(pipeline, threads=threads, precision=precision)
        case "torch":
            try:
                from camera_nano.engines.torch import TorchEditor
            except ImportError as error:
                raise ModelError(f"the torch engine needs {error.name}: pip install 'camera-nano[torch]'") from error

            return TorchEditor(pipeline, threads=threads)
        case _:
            raise ValueError(f"no engine named {engine}; there are {', '.join(ENGINES)}")
