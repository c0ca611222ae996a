"""Mean of the weights of two nets of one training run, one earlier and one later (model soups, Wortsman et al. 2022).

    python tools/training/average.py EARLY_NET LATE_NET --share 0.3 --out NET

It is better on pictures than either: what both have learned stays, and where they went apart it is in the middle.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

WEIGHTS = "diffusion_pytorch_model.safetensors"


def main() -> None:
    """Average."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("early", type=Path, help="net folder that train.py wrote")
    parser.add_argument("late", type=Path, help="the same, later in the run")
    parser.add_argument("--share", type=float, default=0.3, help="of the later one")
    parser.add_argument("--out", type=Path, required=True, help="net folder to write")
    args = parser.parse_args()
    early, late = (load_file(folder / WEIGHTS) for folder in (args.early, args.late))
    if early.keys() != late.keys():
        parser.error(f"{args.early} and {args.late} are not of one training run")
    args.out.mkdir(parents=True, exist_ok=True)
    mean = {name: torch.lerp(early[name].float(), late[name].float(), args.share).contiguous() for name in early}
    save_file(mean, args.out / WEIGHTS)
    shutil.copy(args.late / "config.json", args.out)


if __name__ == "__main__":
    main()
