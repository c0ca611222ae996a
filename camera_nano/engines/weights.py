"""The files of a model: checked against the list in their folder before they are parsed, and named by their digest.

What both engines put into the network and take out of it is here too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from camera_nano.errors import ModelError
from camera_nano.values import F32, GRID_HWD, EditField

MANIFEST = "SHA256SUMS"
_NOISE_SCALE = 1.4
# deviations of exposure and contrast that pairs of seeds draw, one after the other: few seeds are to cover what is most
# uncertain. Much more light is plausible with less contrast, as where shadows are opened
_DRAWS = ((1.0, 0.0), (2.0, -2.0), (0.5, 1.0), (1.5, -1.0))


def read_manifest(pipeline: Path) -> dict[str, str]:
    """Pipeline folder -> expected SHA-256 (hex) by relative path.

    Raises:
        ModelError: the manifest is missing or cannot be parsed.
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
    """Check files of the folder (by default all in the manifest) against their SHA-256, and return their names.

    Raises:
        ModelError: a file is missing, not in the manifest, or has another hash.
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
    """The SHA-256, hex, of the sorted manifest, which identifies the weights. Raises ModelError as `read_manifest`."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(read_manifest(pipeline).items()))
    return hashlib.sha256(text.encode()).hexdigest()


def model_id(engine: str, pipeline: Path) -> str:
    """The name of a model in recipes: engine and digest of the weights. Raises ModelError as `read_manifest`."""
    return f"{engine}:{model_digest(pipeline)}"


def seeded_noise(seed: int) -> F32:
    """The noise from which sampling starts, (1, gd * 4, gh, gw): the same for all looks of a frame and both engines.

    Seed 0 is zeros, which give the middle of the plausible fields. The others are normal noise, wider than unit since
    the network underestimates how uncertain it is. Seeds come in pairs, 1 and 2, 3 and 4, with noise of opposite signs,
    so that few seeds cover more (antithetic variates: Hammersley and Morton 1956). The sums of the noise from which
    the frame's exposure and contrast are drawn (`nn.net.draw`) are not left to chance.
    """
    gh, gw, gd = GRID_HWD
    shape = (1, gd * 4, gh, gw)
    if seed == 0:
        return np.zeros(shape, np.float32)
    pair = (seed + 1) // 2
    noise = _NOISE_SCALE * np.random.default_rng(pair).standard_normal(shape)
    by_bin = (np.ones(gd), np.linspace(-1, 1, gd))  # `nn.exposure.TONE_MODES`
    for drawn, mode in zip(_DRAWS[(pair - 1) % len(_DRAWS)], by_bin, strict=True):
        unit = np.repeat(mode / np.linalg.norm(mode) / np.sqrt(4 * gh * gw), 4)[:, None, None]
        noise += (drawn - (noise * unit).sum()) * unit
    return (noise if seed % 2 else -noise).astype(np.float32)


def as_field(grid: F32, white_ev: F32, settled: F32) -> EditField:
    """What the model says of one look -> its field."""
    red, green, blue = (min(0.0, float(ev)) for ev in white_ev)
    return EditField(grid, (red, green, blue), float(settled))
