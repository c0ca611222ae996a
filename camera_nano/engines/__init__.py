"""Engines: the same model on ONNX Runtime (default, needs no torch) or as the reference diffusers pipeline.

Weights are hashed against the folder's own SHA256SUMS before anything parses them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from camera_nano.paths import pipeline_dir
from camera_nano.values import F32, GRID_HWD, Editor

ENGINES = ("onnx", "torch")
PRECISIONS = ("int8", "fp32")
_NOISE_SCALE = 1.4
MANIFEST = "SHA256SUMS"


class ModelError(RuntimeError):
    """The weights are missing, tampered with, or cannot be run here."""


def read_manifest(pipeline: Path) -> dict[str, str]:
    """Pipeline folder -> expected SHA-256 (hex) by relative path.

    Raises:
        ModelError: there is no manifest, or it is not one.
    """
    path = pipeline / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model folder {pipeline} has no readable {MANIFEST} ({error}): install camera-nano again"
        ) from error


def verify(pipeline: Path, names: Sequence[str] | None = None) -> list[str]:
    """Check files of the folder (all of the manifest by default) against their SHA-256; returns the names checked.

    Raises:
        ModelError: a file is missing, not in the manifest, or not what the manifest says.
    """
    manifest = read_manifest(pipeline)
    names = list(manifest) if names is None else list(names)
    for name in names:
        path = pipeline / name
        if name not in manifest or not path.is_file():
            raise ModelError(f"model file {path} is missing: install camera-nano again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != manifest[name]:
            raise ModelError(
                f"model file {path} does not match its SHA-256, refusing to load it: install camera-nano again"
            )
    return names


def model_digest(pipeline: Path) -> str:
    """What tells these weights from others: the SHA-256, hex, of the list of their own. Raises as `read_manifest`."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(read_manifest(pipeline).items()))
    return hashlib.sha256(text.encode()).hexdigest()


def seeded_noise(seed: int) -> F32:
    """Where sampling starts: (1, gd * 4, gh, gw). Every look of a frame and both engines start alike.

    Seed 0 starts from nothing and gives the middle of what is plausible; the others from normal noise, wider than unit
    because the net is surer of itself than it is right. Seeds come in pairs, 1 and 2, 3 and 4, whose noise has opposite
    signs, so that few of them cover more (antithetic variates: Hammersley and Morton 1956).
    """
    gh, gw, gd = GRID_HWD
    if seed == 0:
        return np.zeros((1, gd * 4, gh, gw), np.float32)
    scale = np.float32(_NOISE_SCALE if seed % 2 else -_NOISE_SCALE)
    return scale * np.random.default_rng((seed + 1) // 2).standard_normal((1, gd * 4, gh, gw), np.float32)


def load_editor(
    engine: str = "onnx", *, pipeline: Path | None = None, threads: int = 1, precision: str = "int8"
) -> Editor:
    """Load the model; takes a fraction of a second with ONNX Runtime, seconds with torch.

    `precision` is "int8" or "fp32" and means the ONNX engine; the torch engine, the reference, is always fp32.

    Raises:
        ModelError: weights missing or tampered with, or the engine is not installed; one line with the way out.
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
