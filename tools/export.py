"""Trained net -> the pipeline folder: safetensors, two ONNX graphs, scheduler, index, SHA-256 of each.

Weights are rounded to half precision once, so that both engines hold the same numbers; they run in single.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from camera_nano.engines import MANIFEST
from camera_nano.nn.grid import CHANNELS, GH, GW
from camera_nano.nn.net import RelightNet
from camera_nano.nn.pipeline import as_grids
from camera_nano.values import CONTROLS


class DenoiserGraph(nn.Module):
    """What one call of the ONNX denoiser does: one frame's encoding spread over n looks, x_0 and the field it means."""

    def __init__(self, net: RelightNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x (n, 32, 16, 16), t (n,), controls (n, 5), features (1, c, 16, 16), vector (1, k)."""
        n = x.shape[0]
        x0 = self.net(x, t, controls, features.expand(n, -1, -1, -1), vector.expand(n, -1))
        return x0, as_grids(self.net.unwhiten(x0))


def halve(path: Path) -> None:
    """Store every large float32 initializer of an ONNX file as float16 behind a Cast; runtimes fold it at load."""
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= 64:
            name, stored = tensor.name, f"{tensor.name}.half"
            halved = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(halved, stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for i, node in enumerate(casts):
        graph.node.insert(i, node)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def export_onnx(net: RelightNet, out: Path) -> None:
    """Write encoder.onnx and denoiser.onnx; the number of looks is free."""
    c = net.config["channels"]
    shift = net.config["n_shift"]
    torch.onnx.export(
        net.encoder, (torch.rand(1, 3, 64, 64),), out / "encoder.onnx", dynamo=True, external_data=False,
        input_names=["thumbnail"], output_names=["features", "vector"],
    )  # fmt: skip
    n = torch.export.Dim("n", min=1, max=64)
    example = (
        torch.randn(2, CHANNELS, GH, GW), torch.ones(2), torch.zeros(2, len(CONTROLS)),
        torch.randn(1, c, GH, GW), torch.randn(1, shift),
    )  # fmt: skip
    torch.onnx.export(
        DenoiserGraph(net), example, out / "denoiser.onnx", dynamo=True, external_data=False,
        input_names=["x", "t", "controls", "features", "vector"], output_names=["x0", "fields"],
        dynamic_shapes={"x": {0: n}, "t": {0: n}, "controls": {0: n}, "features": None, "vector": None},
    )  # fmt: skip
    for name in ("encoder.onnx", "denoiser.onnx"):
        halve(out / name)


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--net", type=Path, required=True, help="net folder that tools/train.py wrote")
    parser.add_argument("--out", type=Path, default=Path("pipelines/relight"))
    args = parser.parse_args()

    net = RelightNet.from_pretrained(args.net, local_files_only=True).half()
    net.half().save_pretrained(args.out / "net")
    net = net.float().eval()
    FlowMatchEulerDiscreteScheduler().save_pretrained(args.out / "scheduler")
    index = {
        # the pair lets the generic DiffusionPipeline find the class through pipeline.py
        "_class_name": ["pipeline", "RelightPipeline"],
        "net": ["camera_nano.nn.net", "RelightNet"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }
    (args.out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    export_onnx(net, args.out)
    hashed = [
        "encoder.onnx",
        "denoiser.onnx",
        "looks.json",
        "net/config.json",
        "net/diffusion_pytorch_model.safetensors",
    ]
    lines = [f"{hashlib.sha256((args.out / name).read_bytes()).hexdigest()}  {name}\n" for name in hashed]
    (args.out / MANIFEST).write_text("".join(lines))
    for name in hashed:
        print(f"{(args.out / name).stat().st_size / 2**20:6.2f} MiB  {name}")


if __name__ == "__main__":
    main()
