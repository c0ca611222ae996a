"""Trained net -> the pipeline folder: safetensors, ONNX graphs, scheduler, index, SHA-256 of each.

Weights are rounded to half precision once, so that both engines hold the same numbers; they run in single. The int8
graphs are the same graphs, quantised.
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
from examples import batch_of, draw_controls, load_scenes
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from camera_nano.engines.weights import MANIFEST
from camera_nano.nn.grid import CHANNELS, GH, GW
from camera_nano.nn.net import RelightNet
from camera_nano.nn.pipeline import as_grids
from camera_nano.nn.simulate import Scenes, capture
from camera_nano.values import CONTROLS

ENCODED = ("features", "vector", "cells", "tones", "drawn")
N_CALIBRATION = 128  # frames


def encode(net: RelightNet, thumbnail: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
    """thumbnail (1, 3, 64, 64), noise (1, 32, 16, 16) -> `ENCODED`."""
    features, *rest = net.encoder(thumbnail)
    return features, *rest, net.decide(noise, thumbnail, *rest)


class EncoderGraph(nn.Module):
    """What one call of the ONNX encoder does: it encodes a frame, and gives noise its shape for sampling."""

    def __init__(self, net: RelightNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, thumbnail: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """thumbnail (1, 3, 64, 64), noise (1, 32, 16, 16) -> what `DenoiserGraph` wants, x last."""
        return (*encode(self.net, thumbnail, noise), self.net.shaped(noise))


class DenoiserGraph(nn.Module):
    """What one call of the ONNX denoiser does: from one frame's encoding and n looks to x_0 and the n fields."""

    def __init__(self, net: RelightNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        controls: Tensor,
        features: Tensor,
        vector: Tensor,
        cells: Tensor,
        tones: Tensor,
        drawn: Tensor,
    ) -> tuple[Tensor, ...]:
        """x (n, 32, 16, 16), t (n,), controls (n, 7), then `ENCODED` of one frame -> x_0, fields, white, settled."""
        n = x.shape[0]
        encoded = (features, vector, cells, tones, drawn)
        features, vector, cells, tones, drawn = (e.expand(n, *e.shape[1:]) for e in encoded)
        guess, known = self.net.guess(vector, cells, tones, controls, drawn)
        x0 = self.net(x, t, controls, features, vector, guess, known)
        field, white_ev, settled = self.net.finish(self.net.field(x0, guess), cells, tones, controls)
        return x0, as_grids(field), white_ev, settled


def strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: their stack traces name folders of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def halve(path: Path) -> None:
    """Store every large float32 initializer of an ONNX file as float16 with a Cast, which runtimes do once, at load."""
    model = onnx.load(path)
    graph = model.graph
    strip(model)
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
    thumbnail, noise = torch.rand(1, 3, 64, 64), torch.randn(1, CHANNELS, GH, GW)
    encoded = encode(net, thumbnail, noise)
    # call it before tracing: tables are made on first use and kept, and must not be made of traced tensors
    DenoiserGraph(net)(noise, torch.ones(1), torch.zeros(1, len(CONTROLS)), *encoded)
    torch.onnx.export(
        EncoderGraph(net).eval(), (thumbnail, noise), out / "encoder.onnx", dynamo=True, external_data=False,
        input_names=["thumbnail", "noise"], output_names=[*ENCODED, "x"],
    )  # fmt: skip
    n = torch.export.Dim("n", min=1, max=64)
    example = (noise.repeat(2, 1, 1, 1), torch.ones(2), torch.zeros(2, len(CONTROLS)), *encoded)
    torch.onnx.export(
        DenoiserGraph(net).eval(), example, out / "denoiser.onnx", dynamo=True, external_data=False,
        input_names=["x", "t", "controls", *ENCODED], output_names=["x0", "fields", "white_ev", "settled"],
        dynamic_shapes={"x": {0: n}, "t": {0: n}, "controls": {0: n}} | dict.fromkeys(ENCODED),
    )  # fmt: skip


class Recorded(CalibrationDataReader):
    """Feeds for the calibration of activations."""

    def __init__(self, feeds: list[dict[str, NDArray[np.float32]]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next feed; None at the end."""
        return next(self._feeds, None)


@torch.no_grad()
def quantise(net: RelightNet, out: Path, scenes: Scenes, looks: dict[str, dict[str, float]]) -> None:
    """Write the int8 graphs: convolutions and dense layers, static, calibrated on simulated captures.

    The first and the last convolution, the tone head and the gate stay float: they do a tenth of the work and would
    make most of the error. Weights have 7 bits, since processors without VNNI add pairs of 8 x 8 bit products in 16
    bits, where they would overflow.
    """
    rng = torch.Generator().manual_seed(3)
    encoder_feeds, denoiser_feeds = [], []
    for _ in range(N_CALIBRATION):
        image, _ = capture(batch_of(scenes, 1, rng), rng)
        controls = draw_controls(looks, 4, rng)
        noise = torch.randn(1, CHANNELS, GH, GW, generator=rng)
        encoder_feeds.append({"thumbnail": image.numpy(), "noise": noise.numpy()})
        noise = noise * torch.rand((), generator=rng).round()
        encoded = encode(net, image, noise)
        features, vector, cells, tones, drawn = (e.expand(4, *e.shape[1:]) for e in encoded)
        guess, known = net.guess(vector, cells, tones, controls, drawn)
        x = net.shaped(noise).expand(4, -1, -1, -1)
        for t in (1.0, 0.5):
            time = torch.full((4,), t)
            feed = {"x": x, "t": time, "controls": controls} | dict(zip(ENCODED, encoded, strict=True))
            denoiser_feeds.append({name: value.numpy().copy() for name, value in feed.items()})
            x = 0.5 * (x + net(x, time, controls, features, vector, guess, known))
    for name, feeds in (("encoder", encoder_feeds), ("denoiser", denoiser_feeds)):
        prepared = out / f"{name}.prepared.onnx"
        quant_pre_process(out / f"{name}.onnx", prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        convolutions = [node.name for node in nodes if node.op_type == "Conv"]
        exact = convolutions[:1] if name == "encoder" else [convolutions[0], convolutions[-1]]
        heads = ("tone.layers", "encoder.gate")
        exact += [node.name for node in nodes if any(head in given for head in heads for given in node.input)]
        quantize_static(
            prepared, out / f"{name}.int8.onnx", Recorded(feeds), QuantFormat.QDQ, ["Conv", "Gemm"],
            per_channel=True, reduce_range=True, nodes_to_exclude=exact,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip
        prepared.unlink()


def _forget_origin(config: Path) -> None:
    """Remove the folder that the model was loaded from: diffusers writes it into the configuration."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2) + "\n")


def export(trained: Path, scenes: Path, looks: Path, out: Path) -> None:
    """Net folder -> pipeline folder, calibrated on `scenes`."""
    net = RelightNet.from_pretrained(trained, local_files_only=True).half()
    net.save_pretrained(out / "net")
    _forget_origin(out / "net" / "config.json")
    net = net.float().eval().requires_grad_(False)
    FlowMatchEulerDiscreteScheduler().save_pretrained(out / "scheduler")
    index = {
        # the pair lets the generic DiffusionPipeline find the class through pipeline.py
        "_class_name": ["pipeline", "RelightPipeline"],
        "net": ["camera_nano.nn.net", "RelightNet"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    (out / "looks.json").write_bytes(looks.read_bytes())
    export_onnx(net, out)
    quantise(net, out, load_scenes(scenes, torch.device("cpu")), json.loads(looks.read_text()))
    graphs = [f"{graph}{kind}.onnx" for graph in ("encoder", "denoiser") for kind in ("", ".int8")]
    for name in graphs:
        halve(out / name)
    hashed = [*graphs, "looks.json", "net/config.json", "net/diffusion_pytorch_model.safetensors"]
    lines = [f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in hashed]
    (out / MANIFEST).write_text("".join(lines))
    for name in hashed:
        print(f"{(out / name).stat().st_size / 2**20:6.2f} MiB  {name}")


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--net", type=Path, required=True, help="net folder that tools/training/train.py wrote")
    parser.add_argument("--scenes", type=Path, required=True, help="scenes.npz to calibrate the int8 graphs on")
    parser.add_argument("--looks", type=Path, default=Path("pipelines/relight/looks.json"))
    parser.add_argument("--out", type=Path, default=Path("pipelines/relight"))
    args = parser.parse_args()
    export(args.net, args.scenes, args.looks, args.out)


if __name__ == "__main__":
    main()
