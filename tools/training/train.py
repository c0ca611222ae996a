"""Train RelightNet on prepared scenes: rectified flow on the field, the loss through the slice on the picture.

One loop for a laptop's CPU and for a GPU: scenes live on the device, captures are simulated there. Stops at
--steps or --minutes, whichever comes first, and goes on from the last checkpoint when started again.

    python tools/training/train.py --preset release --data DATA     weights from scratch: scenes, training,
                                                                    the gate, export into pipelines/relight
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from examples import Examples, draw_examples, load_scenes, true_field
from gate import fit_gate
from keys import fit_keys
from safetensors.torch import load_file
from steps import append_row, flow_loss, follow, judge, tone_wanted

from camera_nano.nn.grid import CHANNELS, GH, on_gains
from camera_nano.nn.guess import cells_of, first_guess
from camera_nano.nn.net import RelightNet, scales
from camera_nano.nn.simulate import Scenes


@torch.no_grad()
def measure_differences(
    net: RelightNet, scenes: Scenes, looks: dict[str, dict[str, float]], rng: torch.Generator, *, keep_unit: bool
) -> None:
    """Set the net's unit (unless it is kept) and the shape of its noise from 2,048 fields minus their first guesses.

    The tone of the whole frame is subtracted too, since the tone head predicts it.
    """
    found = []
    for _ in range(32):
        shown = draw_examples(scenes, looks, 64, 1, rng)
        field = true_field(shown.image, shown.target, shown.headroom, shown.weights, shown.clipped)
        difference = field - first_guess(*cells_of(shown.image), shown.intact.float()[:, None], shown.controls)
        found.append(difference - on_gains(tone_wanted(difference, shown)[0]))
    differences = torch.cat(found)
    if not keep_unit:
        net.std.copy_(differences.square().mean((0, 2, 3), keepdim=True).sqrt().clamp_min(0.1))
    for root, part, stride in zip(net.shape, scales(differences / net.std), (GH, GH // 4, 1), strict=True):
        rows = part[:, :, ::stride, ::stride].movedim(1, -1).reshape(-1, CHANNELS)
        covariance = rows.T @ rows / len(rows) + 1e-4 * torch.eye(CHANNELS, device=rows.device)
        root.copy_(torch.linalg.cholesky(covariance))


def begin_from(net: RelightNet, folder: Path) -> None:
    """Take over the weights of an earlier net. Where a layer has become wider, its new weights are zero."""
    kept = load_file(folder / "diffusion_pytorch_model.safetensors")
    for name, weight in net.state_dict().items():
        if name in kept and "gate" not in name:
            old = kept[name].to(weight)
            weight.zero_()[tuple(slice(n) for n in old.shape)] = old


@dataclass(slots=True, eq=False)
class Run:
    """A training run and how far it has come; all of it but the file's name is in `checkpoint`."""

    checkpoint: Path
    net: RelightNet
    average: RelightNet
    optimiser: torch.optim.Optimizer
    rng: torch.Generator
    step: int = 0
    spent_s: float = 0.0

    def load(self) -> None:
        """Go on from the checkpoint."""
        state = torch.load(self.checkpoint, map_location=self.rng.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s = state["step"], state["spent_s"]
        self.rng.set_state(state["rng"].cpu())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "rng": self.rng.get_state(),
        }
        partial = self.checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        partial.replace(self.checkpoint)


def begin(args: argparse.Namespace, scenes: Scenes, looks: dict[str, dict[str, float]]) -> Run:
    """The run of this folder: gone on with where it has a checkpoint, else new."""
    device = torch.device(args.device)
    torch.manual_seed(args.seed)
    rng = torch.Generator(device).manual_seed(args.seed)
    net = RelightNet(channels=args.channels).to(device)
    average = RelightNet(channels=args.channels).to(device).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=1e-3, betas=(0.9, 0.99))
    run = Run(args.run / "checkpoint.pt", net, average, optimiser, rng)
    if run.checkpoint.exists():
        run.load()
        print(f"going on from step {run.step}", flush=True)
        return run
    if args.start:
        begin_from(net, args.start)
    measure_differences(net, scenes, looks, rng, keep_unit=args.start is not None)
    average.load_state_dict(net.state_dict())
    print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters", flush=True)
    return run


def take_step(run: Run, shown: Examples, rate: float, *, regressor: bool) -> float:
    """One step of the optimiser, and of the average that follows it. Returns the loss."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    loss = flow_loss(run.net, shown, run.rng, regressor=regressor)
    run.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.net.parameters(), 1.0)
    run.optimiser.step()
    run.step += 1
    follow(run.average, run.net, run.step)
    return loss.item()


def write_down(run: Run, loss: float, dev: Scenes, looks: dict[str, dict[str, float]]) -> None:
    """Judge the averaged weights, log the figures, and write the checkpoint."""
    folder = run.checkpoint.parent
    scores = judge(run.average, dev, looks, folder / "sheet.png")
    about = {"step": run.step, "minutes": round(run.spent_s / 60, 2), "loss": round(loss, 5)}
    append_row(folder / "log.csv", {**about, **{key: round(value, 3) for key, value in scores.items()}})
    run.save()


def train(args: argparse.Namespace, looks: dict[str, dict[str, float]]) -> None:
    """Train until --steps or --minutes; leaves `net`, the averaged weights, in the run's folder."""
    scenes, dev = (load_scenes(path, torch.device(args.device)) for path in (args.scenes, args.dev))
    run = begin(args, scenes, looks)
    began_at, last_beat = run.step, time.monotonic()
    losses: list[float] = []
    while True:
        done = max(run.step / args.steps, run.spent_s / 60 / args.minutes)
        if done >= 1 and run.step == began_at:
            return
        if run.step > began_at and (run.step % args.judge_every == 0 or done >= 1):
            write_down(run, float(np.mean(losses)), dev, looks)
            losses.clear()
            if done >= 1 and args.gate_captures:
                fit_gate(run.average, scenes, run.rng, args.gate_captures)
                fit_keys(run.average, scenes, run.rng, args.gate_captures)
            run.average.save_pretrained(args.run / "net")
            if done >= 1:
                return
        # warm up, hold, then fall to zero over the last half
        rate = args.rate * min(1.0, (run.step + 1) / 200) * min(1.0, max(0.01, 2 * (1 - done)))
        shown = draw_examples(scenes, looks, args.batch, args.looks_per_frame, run.rng)
        losses.append(take_step(run, shown, rate, regressor=args.regressor))
        now = time.monotonic()
        run.spent_s += now - last_beat
        last_beat = now


# from nothing (the shipped weights went on from earlier ones: see the model card); the GPU's preset has the same
# schedule over far more fields
PRESETS: dict[str, dict[str, dict[str, float]]] = {
    "release": {
        "cpu": {"steps": 14700, "batch": 32, "looks_per_frame": 2},
        "cuda": {"steps": 30000, "batch": 512, "looks_per_frame": 4},
    },
    "smoke": {
        "cpu": {"steps": 40, "batch": 8, "views": 2, "crops": 1, "gate_captures": 640},
        "cuda": {"steps": 40, "batch": 8, "views": 2, "crops": 1, "gate_captures": 640},
    },
}


def arguments() -> argparse.Namespace:
    """The command line; a preset's settings stand in for those that are not given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), help="settings, and every stage from pictures to pipeline")
    parser.add_argument("--data", type=Path, help="with --preset: folder with hdri/, photos/ and split.json")
    parser.add_argument("--out", type=Path, default=Path("pipelines/relight"), help="with --preset: pipeline to write")
    parser.add_argument("--scenes", type=Path, help="train.npz of tools/training/make_data.py")
    parser.add_argument("--dev", type=Path, help="dev.npz of tools/training/make_data.py --split dev")
    parser.add_argument("--run", type=Path, default=Path("runs/relight"), help="folder of scenes, checkpoint and log")
    parser.add_argument("--looks", type=Path, default=Path("pipelines/relight/looks.json"))
    parser.add_argument("--start", type=Path, help="net folder of an earlier model whose weights to go on from")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=1e9, help="learning rate decays over whichever ends first")
    parser.add_argument("--batch", type=int, default=32, help="fields a step")
    parser.add_argument("--looks-per-frame", type=int, default=2, help="fields that share a frame and its encoding")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate of AdamW")
    parser.add_argument("--channels", type=int, default=48)
    parser.add_argument("--views", type=int, default=160, help="crops per panorama")
    parser.add_argument("--crops", type=int, default=8, help="crops per photo")
    parser.add_argument("--regressor", action="store_true", help="for comparison: one answer, same size and losses")
    parser.add_argument(
        "--gate-captures", type=int, default=26_000, help="to fit the gate and the keys on, after training"
    )
    parser.add_argument("--judge-every", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_known_args()[0]
    if chosen.preset:
        parser.set_defaults(**PRESETS[chosen.preset][torch.device(chosen.device).type])
    args = parser.parse_args()
    if bool(args.preset) != bool(args.data) or bool(args.preset) == bool(args.scenes and args.dev):
        parser.error("give --preset and --data, or --scenes and --dev")
    return args


def prepare(args: argparse.Namespace) -> None:
    """Of a preset: the scenes, made from pictures unless they are there."""
    args.scenes, args.dev = args.run / "train.npz", args.run / "dev.npz"
    for split, path, views, crops in (
        ("train", args.scenes, args.views, args.crops),
        ("dev", args.dev, min(args.views, 8), 1),
    ):
        if not path.exists():
            from make_data import make  # needs packages that training alone does not

            make(args.data, path, split, views, crops)


def main() -> None:
    """Train."""
    args = arguments()
    torch.set_num_threads(args.threads)
    looks = json.loads(args.looks.read_text())
    args.run.mkdir(parents=True, exist_ok=True)
    if args.preset:
        prepare(args)
    train(args, looks)
    if args.preset:
        from export import export  # needs packages that training alone does not

        export(args.run / "net", args.scenes, args.looks, args.out)


if __name__ == "__main__":
    main()
