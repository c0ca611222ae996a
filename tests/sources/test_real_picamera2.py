"""The real picamera2 on libcamera's virtual camera, where tools/install/pi_env.sh has built it: each check in its own
process, which has that library in its path.
"""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bayer
import fake_pi
import numpy as np
import pytest
import skimage
from PIL import Image
from test_picamera2 import no_model, the_brackets, the_promises

from camera_nano.engines import load_editor
from camera_nano.live import Session, companions
from camera_nano.sources import open_source
from camera_nano.sources.bayer import raw_of

ROOT = Path(__file__).parents[2]
PI = Path(os.environ.get("CAMERA_NANO_PI_ENV", ROOT / ".pi"))
SIZE_WH = (640, 480)


@pytest.fixture
def on_the_real_library(tmp_path):
    """Runs a function of this file, by its name, with a folder for what it makes, and a photo that the camera plays."""
    if not (PI / "done").exists():
        pytest.skip(f"no real picamera2 at {PI}: bash tools/install/pi_env.sh makes it")
    photo = Image.open(f"{skimage.data_dir}/astronaut.png").resize(SIZE_WH)
    (tmp_path / "frames").mkdir()
    photo.save(tmp_path / "frames" / "0.jpg", quality=95)
    config = PI / "share/libcamera/pipeline/virtual/virtual.yaml"
    config.write_text(
        '%YAML 1.1\n---\n"Virtual0":\n  supported_formats:\n  - {width: 640, height: 480, frame_rates: [30, 60]}\n'
        f'  frames: {{path: "{tmp_path}/frames/", scale_mode: "fill"}}\n'
        '  location: "CameraLocationFront"\n  model: "Virtual Video Device"\n'
    )
    site = next((PI / "lib").glob("python3*/site-packages"))
    here = [ROOT, ROOT / "tests", ROOT / "tests" / "sources", ROOT / "tests" / "live", site, PI / "site"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, here)),
        "LD_LIBRARY_PATH": str(PI / "lib"),
        "CAMERA_NANO_PI_SIZE": "{}x{}".format(*SIZE_WH),
    }
    script = (
        "import sys, pathlib, pi_shim, test_real_picamera2 as t; getattr(t, sys.argv[1])(pathlib.Path(sys.argv[2]))"
    )

    def run(name):
        command = [sys.executable, "-c", script, name, str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return tmp_path

    return run


def promises(out):
    np.save(out / "full.npy", the_promises(out / "shots", no_model))


def test_it_keeps_the_promises_of_the_fake(on_the_real_library):
    out = on_the_real_library("promises")
    seen = np.load(out / "full.npy").astype(int)
    played = np.asarray(Image.open(out / "frames" / "0.jpg")).astype(int)
    assert abs(seen - played).mean() < 2.5  # halved chroma, and back
    assert abs(np.roll(seen, 1, 2) - played).mean() > 10  # red and blue in each other's place would show


def brackets(out):
    the_brackets(open_source("picamera2"), 20.0)


def test_single_frames_get_another_exposure(on_the_real_library):
    on_the_real_library("brackets")


def night(out):
    companions._MORE_S = 60.0
    session = Session(open_source("picamera2"), load_editor, out / "night", night=True, looks=["natural"])
    session.start()
    proposal = session.wait_proposal(0, timeout_s=120)
    told = []
    shot = session.commit(proposal.frame_id, proposal.id, ["natural"], progress=lambda *n: told.append(n)).result(120)
    session.close()
    assert told[-1] == (8, 8) and shot.n_merged == 8 and shot.note == "", (told, shot)


def test_a_shot_in_the_dark_is_of_eight_frames(on_the_real_library):
    on_the_real_library("night")


def raw_values(out):
    import rawpy
    from picamera2.request import PICAM2DNG, Helpers, Picamera2Camera

    helpers = Helpers(SimpleNamespace(camera_properties={}, options={}))
    rng = np.random.default_rng(0)
    more = {"ExposureTime": 20_000, "AnalogueGain": 2.0, "DigitalGain": 1.0, "SensorTimestamp": 1}
    for kind in ("10", "12", "16", "10_CSI2P", "12_CSI2P"):
        bits = int(kind.split("_")[0])
        values = rng.integers(0, 2**bits, (48, 64), np.uint16)
        buffer = bayer.packed(values, f"SGBRG{kind}", pad=16)
        config = {"format": f"SGBRG{kind}", "size": (64, 48), "stride": buffer.shape[1], "framesize": buffer.size}
        rows = helpers.make_array(buffer.ravel(), config)
        raw = raw_of(rows, config["format"], config["size"], bayer.METADATA)
        writer = PICAM2DNG(Picamera2Camera(config, bayer.METADATA | more))
        writer.options(compress=False)
        writer.convert(rows, str(out / "x"))
        with rawpy.imread(str(out / "x.dng")) as dng:  # LibRaw reads what the library's writer wrote
            assert np.array_equal(dng.raw_image_visible, raw.mosaic), kind
            assert dng.white_level == raw.white and dng.black_level_per_channel == list(map(int, raw.black))
            colours = "".join("RGBG"[i] for i in dng.raw_pattern.ravel())
        assert np.array_equal(raw.mosaic, values) and colours == raw.order == "GBRG"


def test_raw_values_are_what_its_own_files_hold(on_the_real_library):
    pytest.importorskip("rawpy")
    on_the_real_library("raw_values")


def signatures(out):
    import libcamera
    from picamera2 import Picamera2
    from picamera2.request import CompletedRequest

    for fake, real in ((fake_pi.Picamera2, Picamera2), (fake_pi.Request, CompletedRequest)):
        ours = {"luma", "rgb", "mosaic", "kind", "finished", "run", "applied", "back"}  # of the fake alone
        for name, method in inspect.getmembers(fake, inspect.isfunction):
            if name not in ours and not name.startswith("_"):
                theirs = inspect.signature(getattr(real, name)).parameters
                assert inspect.signature(method).parameters.keys() <= theirs.keys(), name
                must = {key for key, p in theirs.items() if p.default is p.empty}
                assert must <= inspect.signature(method).parameters.keys(), name
    known = set(dir(libcamera.controls))
    told = fake_pi.Request(SimpleNamespace(lux=1.0, light=None), 1).get_metadata()
    assert told.keys() | fake_pi.Picamera2.camera_controls.keys() | {"AfTrigger", "AfWindows", "AfMetering"} <= known
    controls = libcamera.controls
    assert (controls.AfModeEnum.Auto, controls.AfTriggerEnum.Start, controls.AfMeteringEnum.Windows) == (1, 0, 1)
    camera = Picamera2(0)
    for name in ("sensor_resolution", "sensor_format", "camera_controls", "camera_properties", "post_callback"):
        assert hasattr(camera, name), name
    camera.configure(camera.create_preview_configuration(main={"size": SIZE_WH, "format": "NV12"}))
    assert camera.libcamera_config.at(0).buffer_count and camera.libcamera_config.size >= 1
    assert {"main", "lores", "raw"} <= camera.camera_configuration().keys()
    camera.close()


def test_the_fake_has_its_names(on_the_real_library):
    on_the_real_library("signatures")
