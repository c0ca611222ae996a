"""RelightPipeline: thumbnail and controls in, edit fields out, as a diffusers pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.utils.outputs import BaseOutput
from torch import Tensor

from camera_nano.nn.flow import times
from camera_nano.nn.grid import CHANNELS, GD, GH, GW
from camera_nano.nn.net import RelightNet
from camera_nano.values import ASSUMED_LOGIT, ASSUMED_TONES, GAIN_LIMIT_EV, Assume


@dataclass
class RelightOutput(BaseOutput):
    """One `values.EditField` per row of controls.

    `fields` (n, gh, gw, gd, 4) float32 in EV, bounded; `white_ev` (n, 3), `settled` (n,).
    """

    fields: Tensor
    white_ev: Tensor
    settled: Tensor


def as_grids(field: Tensor) -> Tensor:
    """Field tensor (B, gd * 4, gh, gw) in EV -> (B, gh, gw, gd, 4), clamped to the limit."""
    bounded = field.clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)
    return bounded.reshape(-1, GD, 4, GH, GW).permute(0, 3, 4, 1, 2).contiguous()


class RelightPipeline(DiffusionPipeline):
    """Rectified flow over edit fields. It does not render: `camera_nano.light.render` applies the fields."""

    net: RelightNet
    scheduler: FlowMatchEulerDiscreteScheduler

    def __init__(self, net: RelightNet, scheduler: FlowMatchEulerDiscreteScheduler) -> None:
        super().__init__()
        # the shipped weights are stored in half precision and run in single
        self.register_modules(net=net.float().eval(), scheduler=scheduler)

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """The folder's index, with the plain name of this class.

        In the file it is a pair (module, class): diffusers' generic loader needs that, and with it `trust_remote_code`.
        Callers of `RelightPipeline.from_pretrained` have the class already, so they need neither.
        """
        config = super().load_config(*args, **kwargs)
        if isinstance(config, dict):
            config["_class_name"] = cls.__name__
        return config

    @torch.no_grad()
    def __call__(
        self,
        thumbnail: Tensor,
        controls: Tensor,
        *,
        num_inference_steps: int = 2,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        assume: Assume = "auto",
    ) -> RelightOutput:
        """Sample one field per row of controls.

        Args:
            thumbnail: (1, 3, 64, 64) sRGB code values 0..1 of the whole frame.
            controls: (n, 7) in the order of `values.CONTROLS`.
            num_inference_steps: the weights are judged with 2.
            noise: (1 or n, 32, 16, 16) unit normal to start from, or zeros for the default answer; drawn from
                `generator` when not given.
            generator: source of that noise.
            assume: whether to treat the picture as captured or as finished; see `seams.Editor`.
        """
        n = len(controls)
        if noise is None:
            noise = torch.randn(1, CHANNELS, GH, GW, generator=generator)
        features, vector, cells, tones = self.net.encoder(thumbnail)
        drawn = self.net.decide(noise, thumbnail, vector, cells, tones)
        x, drawn = (start.expand(n, *start.shape[1:]) for start in (self.net.shaped(noise), drawn))
        tones[:, ASSUMED_TONES] += ASSUMED_LOGIT[assume]
        features, vector, cells, tones = (e.expand(n, *e.shape[1:]) for e in (features, vector, cells, tones))
        guess, known = self.net.guess(vector, cells, tones, controls, drawn)
        self.scheduler.set_timesteps(sigmas=times(num_inference_steps)[:-1])
        for i, timestep in enumerate(self.scheduler.timesteps):
            t = self.scheduler.sigmas[i].expand(n)
            x0 = self.net(x, t, controls, features, vector, guess, known)
            velocity = (x - x0) / self.scheduler.sigmas[i]
            [x] = self.scheduler.step(velocity, timestep, x, return_dict=False)  # type: ignore[arg-type]
        field, white_ev, settled = self.net.finish(self.net.field(x, guess), cells, tones, controls)
        return RelightOutput(fields=as_grids(field), white_ev=white_ev, settled=settled)
