"""Make the folder of the web app that needs no server; `pwa.sh` runs it once npm has fetched the run time.

Everything is copied from where the package has it, so there is one page, one shader, one model and one vocabulary.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from camera_nano.engines import model_id, verify
from camera_nano.engines.weights import read_manifest, seeded_noise
from camera_nano.looks import load_looks, vocabulary
from camera_nano.looks.palette import TONE_LIMIT_EV
from camera_nano.paths import pipeline_dir
from camera_nano.values import ASSUMED_LOGIT, ASSUMED_TONES, CONTROLS
from camera_nano.version import __version__

ROOT = Path(__file__).parents[2]
WEB = ROOT / "camera_nano" / "web"
RUN_TIME = ROOT / "tools" / "install" / "pwa" / "node_modules" / "onnxruntime-web"
# of the run time: the part without WebGL and WebGPU
ORT_FILES = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"]
MODEL_FILES = ["encoder.int8.onnx", "denoiser.int8.onnx"]
N_PAIRS = 4  # of seeds whose noise is shipped, 32 KiB each: those of the first takes
NOT_NEEDED = ["pair.html", "pair.js", "connection.js", "lender.js", "index.html", "backend.js"]  # they talk to a server
HEAD = """<meta http-equiv="Content-Security-Policy" content="default-src 'self'; \
script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'">
  <meta name="description" content="The light of a photo, chosen before the shutter. Nothing leaves this device.">
  <meta name="mobile-web-app-capable" content="yes">
  <link rel="manifest" href="manifest.webmanifest">
  <link rel="apple-touch-icon" href="pwa/icon-apple-180.png">
  <link rel="stylesheet" href="pwa/pwa.css">
  <script type="module" src="pwa/start.js"></script>
  <title>"""


def main(out: Path) -> None:
    """Make `out` anew, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        made = Path(folder) / "made"
        _copy(made)
        files = listed(made)
        (made / "files.json").write_text(json.dumps(files, indent=1), encoding="utf-8")
        made.chmod(0o755)
        if out.exists():
            if not (out / "files.json").is_file():
                sys.exit(f"camera-nano: {out} is there and was not made by this: choose another folder, or remove it")
            shutil.rmtree(out)
        made.rename(out)
    n_mb = sum(file["bytes"] for file in files) / 1e6
    print(f"{out}: {len(files)} files, {n_mb:.1f} MB; hand it out over https", file=sys.stderr)


def _copy(made: Path) -> None:
    pipeline = pipeline_dir()
    verify(pipeline, [*MODEL_FILES, "looks.json"])
    shutil.copytree(WEB / "static", made / "static", ignore=shutil.ignore_patterns(*NOT_NEEDED))
    shutil.copytree(WEB / "pwa", made / "pwa")
    (made / "static" / "backend.js").write_text('export * from "../pwa/backend.js";\n', encoding="utf-8")
    for name in ("sw.js", "manifest.webmanifest"):  # a service worker is for what lies beside and below it
        if (made / "pwa" / name).exists():
            (made / "pwa" / name).rename(made / name)
    page = (WEB / "static" / "index.html").read_text(encoding="utf-8")
    (made / "index.html").write_text(page.replace("<title>", HEAD, 1), encoding="utf-8")
    for folder, source, names in (("ort", RUN_TIME / "dist", ORT_FILES), ("model", pipeline, MODEL_FILES)):
        (made / folder).mkdir()
        for name in names:
            shutil.copyfile(source / name, made / folder / name)
    for name in ("LICENSE", "ThirdPartyNotices.txt"):  # the package for browsers comes without
        shutil.copyfile(Path(onnxruntime.__file__).parent / name, made / "ort" / name)
    noise = np.concatenate([seeded_noise(2 * pair + 1) for pair in range(N_PAIRS)]).astype("<f4").tobytes()
    (made / "model" / "noise.f32").write_bytes(noise)
    said = constants(pipeline, hashlib.sha256(noise).hexdigest())
    (made / "said.js").write_text(f"export default {json.dumps(said)};\n", encoding="utf-8")


def constants(pipeline: Path, noise_sha256: str) -> dict[str, Any]:
    """What the web app has to know of the package: `pwa/constants.js` says what each is."""
    manifest = read_manifest(pipeline)
    words = {
        name.lower(): getattr(vocabulary, name) for name in ("SYNONYMS", "CHANGES", "NOUNS", "DEGREES", "DIRECTIONS")
    }
    return {
        "version": __version__,
        "model": model_id("onnx", pipeline),
        "sha256": {name: manifest[name] for name in MODEL_FILES} | {"noise.f32": noise_sha256},
        "controls": CONTROLS,
        "assumed_logit": dict(ASSUMED_LOGIT),
        "assumed_tones": [ASSUMED_TONES.start, ASSUMED_TONES.stop],
        "n_steps": 2,
        "n_seeds": 2 * N_PAIRS + 1,
        "tone_limit_ev": TONE_LIMIT_EV,
        "ranges": vocabulary.RANGES,
        "looks": {name: look.named_controls() for name, look in load_looks(pipeline).items()},
        "words": words | {"fillers": sorted(vocabulary.FILLERS)},
    }


def listed(folder: Path) -> list[dict[str, Any]]:
    """Every file below the folder, by its path: its SHA-256 and its size."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in files
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
