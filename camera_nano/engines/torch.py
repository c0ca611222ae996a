"""The reference engine: the diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.utils.logging import disable_progress_bar

from camera_nano.engines.weights import as_field, seeded_noise, verify
from camera_nano.looks import load_looks
from camera_nano.nn.pipeline import RelightPipeline
from camera_nano.values import Assume, Condition, EditField, Look


class TorchEditor:
    """An `Editor`. `threads` limits torch in the whole process, which has one pool of threads."""

    name = "torch"

    def __init__(self, pipeline: Path, *, threads: int = 1) -> None:
        verify(pipeline)
        torch.set_num_threads(threads)
        disable_progress_bar()  # loading two small files needs none
        self._pipeline = RelightPipeline.from_pretrained(pipeline, local_files_only=True, low_cpu_mem_usage=False)
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
        """One field per look."""
        if not looks:
            return []
        thumbnail = torch.from_numpy(condition.thumbnail).permute(2, 0, 1)[None]
        controls = torch.stack([torch.from_numpy(look.controls()) for look in looks])
        noise = torch.from_numpy(seeded_noise(seed))
        made = self._pipeline(thumbnail, controls, noise=noise, num_inference_steps=n_steps, assume=assume)
        parts = (made.fields.numpy(), made.white_ev.numpy(), made.settled.numpy())
        return [as_field(*field) for field in zip(*parts, strict=True)]
