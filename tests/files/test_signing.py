"""Signed files, judged by the reader of the C2PA project itself."""

import io
import json
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
import pyvips
from PIL import Image
from test_inspect import full
from test_metadata import FORMATS

from camera_nano.cli import main
from camera_nano.files import mpf
from camera_nano.files.encode import encode
from camera_nano.files.inspect import inspect
from camera_nano.files.marking import SOURCE_TYPES, read_recipe
from camera_nano.files.metadata import read_blocks
from camera_nano.files.signing import sign
from camera_nano.files.ultrahdr import check
from camera_nano.recipe import COMPOSITE

c2pa = pytest.importorskip("c2pa")
ORIGINAL = encode(np.full((64, 64, 3), 90, np.uint8), format="jpeg")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def jpeg(tmp_path, dark_photo):
    path = tmp_path / "dark.jpg"
    Image.fromarray(dark_photo).save(path, quality=95)
    return path


def signed(format, **options):
    named = {"title": "a", "source_type": COMPOSITE, "original": ORIGINAL, "original_format": "jpeg"}
    return sign(full(format), format, **named | options)


def verdict(data, mime):
    """The reader's word for the whole, what it finds wrong, and the newest manifest; nothing is asked of a network."""
    offline = c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}})
    with c2pa.Context(offline) as context, c2pa.Reader(mime, io.BytesIO(data), context=context) as reader:
        failures = {item["code"] for item in reader.get_validation_results()["activeManifest"]["failure"]}
        return reader.get_validation_state(), failures, reader.get_active_manifest()


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_a_signed_file_is_valid_and_an_altered_one_is_not(format):
    pytest.importorskip("imagecodecs")
    pytest.importorskip("pillow_heif")
    data = signed(format)
    state, failures, manifest = verdict(data, f"image/{format}")
    assert (state, failures) == ("Valid", {"signingCredential.untrusted"})  # nobody vouches for our own key
    assert manifest["claim_generator_info"][0]["name"] == "camera_nano"
    assert [item["relationship"] for item in manifest["ingredients"]] == ["parentOf"]
    [actions] = [item for item in manifest["assertions"] if item["label"].startswith("c2pa.actions")]
    opened, edited = actions["data"]["actions"]
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["digitalSourceType"] == SOURCE_TYPES + COMPOSITE and edited["softwareAgent"]["name"] == "camera_nano"
    altered, failures, _ = verdict(data.replace(b"Model <b>", b"Model <c>"), f"image/{format}")
    assert altered == "Invalid" and any("mismatch" in code for code in failures)


def test_the_gain_map_of_a_signed_file_is_where_the_index_says(tmp_path):
    plain, data = full("ultrahdr"), signed("ultrahdr")
    assert check(plain) == check(data) == []
    index = mpf.read_index(data)
    assert [(e.start, e.start + e.length) for e in index.entries] == mpf.images(data)
    assert index.entries != mpf.read_index(plain).entries  # negative control: signing moved it
    light = [pyvips.Image.uhdrload_buffer(d).uhdr2scRGB().numpy() for d in (plain, data)]
    assert np.array_equal(*light)
    assert verdict(data, "image/jpeg")[:2] == ("Valid", {"signingCredential.untrusted"})
    (tmp_path / "a.jpg").write_bytes(data)
    report = inspect(tmp_path / "a.jpg")
    assert report.c2pa and report.gain_map and report.problems == ()


def test_the_key_is_made_once_and_for_its_owner_alone(home):
    signers = {verdict(signed("png"), "image/png")[2]["signature_info"]["cert_serial_number"] for _ in range(2)}
    [path] = (home / "camera-nano").iterdir()
    assert len(signers) == 1 and stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("no key")
    with pytest.raises(ValueError, match=r"signing\.pem is not a key of camera_nano: take it away"):
        signed("png")


@pytest.mark.slow
def test_enhance_signs_without_a_network_and_names_what_it_came_from(jpeg, tmp_path, home):
    out, second = tmp_path / "out.jpg", tmp_path / "second.png"
    argv = [sys.executable, "-m", "camera_nano", "enhance", str(jpeg), str(out), "--format", "ultrahdr", "--sign"]
    apart = ["unshare", "--net"] if shutil.which("unshare") else []
    if apart and subprocess.run([*apart, "true"], capture_output=True).returncode:
        apart = []
    done = subprocess.run([*apart, *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data = out.read_bytes()
    assert verdict(data, "image/jpeg")[0] == "Valid" and read_recipe(read_blocks(data)) and check(data) == []
    assert main(["enhance", str(out), str(second), "--sign"]) == 0
    manifest = verdict(second.read_bytes(), "image/png")[2]
    assert manifest["ingredients"][0]["active_manifest"] in json.dumps(verdict(data, "image/jpeg")[2])


@pytest.mark.slow
def test_batch_and_live_sign_their_looks_and_originals_stay_as_they_are(jpeg, tmp_path):
    before = jpeg.read_bytes()
    argv = ["batch", str(jpeg), "--out", str(tmp_path / "out"), "--looks", "natural,golden", "--format", "ultrahdr"]
    assert main([*argv, "--sign", "--no-marking"]) == 0
    made = [path for path in sorted((tmp_path / "out").iterdir()) if path.suffix == ".jpg"]
    live = ["live", "--source", "demo", "--headless", "--looks", "natural", "--out", str(tmp_path / "shots")]
    assert main([*live, "--sign"]) == 0
    [look] = (tmp_path / "shots").glob("*_natural.jpg")
    assert len(made) == 2
    for path in (*made, look):
        state, _, manifest = verdict(path.read_bytes(), "image/jpeg")
        assert state == "Valid" and manifest["title"] == path.name
        report = inspect(path)
        assert report.c2pa and not report.problems and (report.source_type == COMPOSITE) == (path == look)
    assert jpeg.read_bytes() == before and not inspect(next((tmp_path / "shots").glob("*_original.png"))).c2pa


@pytest.mark.parametrize("format", ["jxl", "raw", "exr", "radiance"])
def test_an_original_of_a_kind_without_credentials_is_named_by_its_bytes(format):
    state, _, manifest = verdict(signed("png", original=bytes(300), original_format=format), "image/png")
    assert state == "Valid" and [item["relationship"] for item in manifest["ingredients"]] == ["parentOf"]


def test_what_was_not_changed_has_no_source_type_of_an_edit():
    [actions] = verdict(signed("png", source_type=None), "image/png")[2]["assertions"]
    assert "digitalSourceType" not in actions["data"]["actions"][1]


@pytest.mark.slow
def test_signed_credentials_are_not_handed_on_where_the_place_is_to_go(jpeg, tmp_path, capsys):
    first, second = tmp_path / "first.jpg", tmp_path / "second.jpg"
    assert main(["enhance", str(jpeg), str(first), "--sign"]) == 0
    assert main(["enhance", str(first), str(second), "--sign", "--strip-location"]) == 2
    assert "which may tell its place" in capsys.readouterr().err and not second.exists()
    assert main(["enhance", str(first), str(second), "--strip-location"]) == 0


def test_without_the_extra_one_line_names_it(jpeg, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert main(["enhance", str(jpeg), str(tmp_path / "o.jpg"), "--sign"]) == 2
    assert capsys.readouterr().err == 'camera-nano: signing needs c2pa: pip install "camera-nano[c2pa]"\n'
    assert not (tmp_path / "o.jpg").exists()
