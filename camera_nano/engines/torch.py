"""The reference engine: the diffusers pipeline itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.utils.logging import disable_progress_bar

from camera_nano.engines import seeded_noise, verify
from camera_nano.looks import load_looks
from camera_nano.nn.pipeline import RelightPipeline
from camera_nano.values import Condition, EditField, Look


class TorchEditor:
    """Implements `Editor`. `threads` caps torch for the whole process: its pool is a global of its own."""

    name = "torch"

    def __init__(self, pipeline: Path, *, threads: int = 1) -> None:
        verify(pipeline)
        torch.set_num_threads(threads)
        disable_progress_bar()  # two small files
        self._pipeline = RelightPipeline.from_pretrained(pipeline, local_files_only=True, low_cpu_mem_usage=False)
        self.looks = load_looks(pipeline)

    def propose(
        self, condition: Condition, looks: Sequence[Look], *, seed: int = 0, n_steps: int = 2
    ) -> list[EditField]:
        """One field per look."""
        if not looks:
            return []
        thumbnail = torch.from_numpy(condition.thumbnail).permute(2, 0, 1)[None]
        controls = torch.stack([torch.from_numpy(look.controls()) for look in looks])
        noise = torch.from_numpy(seeded_noise(seed))
        fields = self._pipeline(thumbnail, controls, noise=noise, num_inference_steps=n_steps).fields
        return [EditField(grid.numpy()) for grid in fields]
