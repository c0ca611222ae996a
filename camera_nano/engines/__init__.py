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


def seeded_noise(seed: int) -> F32:
    """Where sampling starts: (1, gd * 4, gh, gw) unit normal. Every look of a frame and both engines start alike."""
    gh, gw, gd = GRID_HWD
    return np.random.default_rng(seed).standard_normal((1, gd * 4, gh, gw), np.float32)


def load_editor(engine: str = "onnx", *, pipeline: Path | None = None, threads: int = 1) -> Editor:
    """Load the model; takes a fraction of a second with ONNX Runtime, seconds with torch.

    Raises:
        ModelError: weights missing or tampered with, or the engine is not installed; one line with the way out.
        ValueError: no such engine.
    """
    try:
        pipeline = pipeline or pipeline_dir()
    except FileNotFoundError as error:
        raise ModelError(str(error)) from error
    match engine:
        case "onnx":
            from camera_nano.engines.onnx import OnnxEditor

            return OnnxEditor(pipeline, threads=threads)
        case "torch":
            try:
                from camera_nano.engines.torch import TorchEditor
            except ImportError as error:
                raise ModelError(f"the torch engine needs {error.name}: pip install 'camera-nano[torch]'") from error

            return TorchEditor(pipeline, threads=threads)
        case _:
            raise ValueError(f"no engine named {engine}; there are {', '.join(ENGINES)}")
