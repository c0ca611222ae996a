"""The model on ONNX Runtime: the encoder runs once per frame, the denoiser once per step for all looks together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from camera_nano.engines.weights import as_field, seeded_noise, verify
from camera_nano.errors import ModelError
from camera_nano.looks import load_looks
from camera_nano.values import ASSUMED_LOGIT, ASSUMED_TONES, F32, Assume, Condition, EditField, Look


class OnnxEditor:
    """An `Editor`. It uses one thread by default: on two cores, the other one is for the renderer."""

    name = "onnx"

    def __init__(self, pipeline: Path, *, threads: int = 1, precision: str = "int8") -> None:
        suffix = ".int8.onnx" if precision == "int8" else ".onnx"
        files = (f"encoder{suffix}", f"denoiser{suffix}")
        verify(pipeline, [*files, "looks.json"])
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._encoder, self._denoiser = (
                ort.InferenceSession(pipeline / name, options, providers=["CPUExecutionProvider"]) for name in files
            )
        except Exception as error:  # onnxruntime's errors have no common class
            raise ModelError(f"{pipeline} cannot be run by ONNX Runtime {ort.__version__}: {error}") from error
        self.looks = load_looks(pipeline)

    def propose(
        self,
        condition: Condition,
        looks: Sequence[Look],
        *,
        seed: int = 0,
        n_steps: int = 2,
        assume: Assume = "auto",
    ) -> list[EditField]:
        """One field per look: Euler steps of the rectified flow, as `nn.flow.sample_euler`."""
        if not looks:
            return []
        thumbnail = np.ascontiguousarray(condition.thumbnail.transpose(2, 0, 1)[None])
        *encoded, x = self._encoder.run(None, {"thumbnail": thumbnail, "noise": seeded_noise(seed)})
        shared = dict(zip(("features", "vector", "cells", "tones", "drawn"), encoded, strict=True))
        shared["tones"][:, ASSUMED_TONES] += np.float32(ASSUMED_LOGIT[assume])
        shared["controls"] = np.stack([look.controls() for look in looks])
        x = np.repeat(x, len(looks), 0)
        fields: list[F32] = []
        for step in range(n_steps):
            t, t_next = 1 - step / n_steps, 1 - (step + 1) / n_steps
            x0, *fields = self._denoiser.run(None, shared | {"x": x, "t": np.full(len(looks), t, np.float32)})
            x = x0 + np.float32(t_next / t) * (x - x0)
        return [as_field(*field) for field in zip(*fields, strict=True)]
