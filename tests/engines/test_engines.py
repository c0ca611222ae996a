import json
import shutil

import numpy as np
import pytest
import skimage.data

from camera_nano.color import luminance, srgb_codes, srgb_eotf
from camera_nano.engines import load_editor
from camera_nano.engines.weights import read_manifest, seeded_noise, verify
from camera_nano.errors import ModelError
from camera_nano.light.condition import condition
from camera_nano.light.render import render
from camera_nano.paths import pipeline_dir
from camera_nano.values import Frame, Look


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(pipeline_dir(), tmp_path / "relight")


@pytest.fixture(scope="session")
def torch_editor():
    return load_editor("torch")


@pytest.mark.slow
def test_engines_agree(torch_editor, dark_photo):
    exact = load_editor(precision="fp32")
    seen = condition(Frame(dark_photo))
    looks = [*exact.looks.values(), Look("between", ev=0.2, hdr=0.4, temperature=-0.3)]
    for n_steps in (1, 2, 4):
        ours = exact.propose(seen, looks, seed=3, n_steps=n_steps)
        theirs = torch_editor.propose(seen, looks, seed=3, n_steps=n_steps)
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a.grid - b.grid).max() < 5e-3  # EV; a fifth of an 8-bit code


@pytest.mark.slow
def test_int8_is_close_to_the_exact_model(editor, photo, dark_photo):
    exact = load_editor(precision="fp32")
    for picture in (photo, dark_photo):
        seen = condition(Frame(picture))
        looks = list(exact.looks.values())
        for a, b in zip(editor.propose(seen, looks), exact.propose(seen, looks), strict=True):
            gain, wanted = a.gain_ev, b.gain_ev
            assert np.abs(gain - wanted).mean() < 0.08  # EV: below what is seen side by side
            assert abs(float((gain - wanted).mean())) < 0.06


def test_same_seed_same_field_other_seed_another(editor, dark_photo):
    seen, looks = condition(Frame(dark_photo)), [editor.looks["natural"]]
    first = editor.propose(seen, looks, seed=1)[0].grid
    assert np.array_equal(first, editor.propose(seen, looks, seed=1)[0].grid)
    assert np.abs(first - editor.propose(seen, looks, seed=2)[0].grid).max() > 0.01


def test_seed_0_is_the_middle_of_the_others(editor, dark_photo):
    seen, looks = condition(Frame(dark_photo)), [editor.looks["natural"]]
    middle = editor.propose(seen, looks, seed=0)[0].grid
    others = np.stack([editor.propose(seen, looks, seed=seed)[0].grid for seed in range(1, 17)])
    spread = np.abs(others - others.mean(0)).mean()
    assert np.abs(others.mean(0) - middle).mean() < spread


def test_seeds_come_in_pairs_on_either_side_of_the_middle(editor, dark_photo):
    seen, looks = condition(Frame(dark_photo)), [editor.looks["natural"]]
    middle, one, other = (editor.propose(seen, looks, seed=seed)[0].gain_ev for seed in (0, 1, 2))
    assert np.mean((one - middle) * (other - middle)) < 0


def test_a_look_does_not_depend_on_its_neighbours(editor, dark_photo):
    seen = condition(Frame(dark_photo))
    alone = editor.propose(seen, [editor.looks["golden"]])[0]
    together = editor.propose(seen, list(editor.looks.values()))[list(editor.looks).index("golden")]
    assert np.abs(alone.grid - together.grid).max() < 1e-4


def test_what_a_picture_is_taken_for_can_be_told(editor, dark_photo, photo):
    looks = [editor.looks["natural"]]
    for picture in (photo, dark_photo):
        seen = condition(Frame(picture))
        [finished] = editor.propose(seen, looks, assume="finished")
        [captured] = editor.propose(seen, looks, assume="captured")
        assert finished.settled == 1 and captured.settled == 0
        assert np.abs(finished.gain_ev).mean() < 0.1 < np.abs(captured.gain_ev).mean()


def test_a_badly_exposed_picture_is_never_taken_for_a_finished_one(editor, dark_photo):
    [field] = editor.propose(condition(Frame(dark_photo)), [editor.looks["natural"]])
    assert field.settled == 0 and not any(field.white_ev)


@pytest.mark.parametrize(
    ("name", "other_evs"),
    [("astronaut", (-2, -1, 1, 2)), ("coffee", (-2, -1, 1, 2)), ("chelsea", (-2, -1, 2))],
)
def test_a_good_photo_is_finished_and_is_not_when_exposed_anew(editor, name, other_evs):
    good = srgb_eotf(np.asarray(getattr(skimage.data, name)()) / 255)

    def settled(ev):
        exposed = srgb_codes(good * 2.0**ev)
        return editor.propose(condition(Frame(exposed)), [editor.looks["natural"]])[0].settled

    assert settled(0) == 1 and max(settled(ev) for ev in other_evs) < 0.1


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_light_below_cut_off_highlights_stays_near_them(editor, name):
    """An exposure raised afterwards cuts highlights off: what is half a stop below them may not come down by stops."""
    exposed = srgb_codes(srgb_eotf(np.asarray(getattr(skimage.data, name)()) / 255) * 4)
    [field] = editor.propose(condition(Frame(exposed)), [editor.looks["natural"]])
    before_ev, after_ev = (
        np.log2(luminance(srgb_eotf(picture / 255)) + 1e-4) for picture in (exposed, render(exposed, field))
    )
    assert -1.5 < after_ev[abs(before_ev + 0.5) < 0.1].mean() < -0.6


def test_a_look_has_its_own_white(editor, dark_photo):
    [night, golden] = editor.propose(condition(Frame(dark_photo)), [editor.looks["night"], editor.looks["golden"]])
    assert night.white_ev[0] < night.white_ev[2] and golden.white_ev[2] < golden.white_ev[0]  # cold, and warm


def test_no_looks_no_fields(editor, dark_photo):
    assert editor.propose(condition(Frame(dark_photo)), []) == []


def test_the_shipped_files_match_their_hashes():
    names = {f"{graph}{kind}.onnx" for graph in ("encoder", "denoiser") for kind in ("", ".int8")}
    assert names | {"net/diffusion_pytorch_model.safetensors"} <= set(verify(pipeline_dir()))


@pytest.mark.parametrize("engine", ["onnx", pytest.param("torch", marks=pytest.mark.training)])
def test_tampered_weights_are_refused_before_loading(copied, engine):
    name = {"onnx": "denoiser.int8.onnx", "torch": "net/diffusion_pytorch_model.safetensors"}[engine]
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(ModelError, match=rf"{name}.*SHA-256.*install"):
        load_editor(engine, pipeline=copied)


@pytest.mark.parametrize("name", ["encoder.int8.onnx", "SHA256SUMS"])
def test_missing_files_are_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_editor(pipeline=copied)


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="nowhere"):
        load_editor()


def test_an_unknown_engine_lists_the_known():
    with pytest.raises(ValueError, match="onnx, torch"):
        load_editor("tensorflow")
    with pytest.raises(ValueError, match="int8, fp32"):
        load_editor(precision="int4")


def test_weights_are_small_and_no_pickle_is_shipped():
    files = [path for path in pipeline_dir().rglob("*") if path.is_file()]
    int8 = sum(path.stat().st_size for path in files if path.name.endswith(".int8.onnx"))
    fp32 = sum(path.stat().st_size for path in files if path.suffix == ".onnx") - int8
    assert int8 <= 2 * 2**20 and fp32 <= 4 * 2**20
    assert sum(path.stat().st_size for path in files) <= 10 * 2**20
    assert {path.suffix for path in files} <= {
        ".onnx",
        ".safetensors",
        ".json",
        ".py",
        ".md",
        ".csv",
        ".jpg",
        ".png",
        "",
    }


@pytest.mark.training
def test_the_reference_can_be_told_too(torch_editor, dark_photo, photo):
    for picture in (photo, dark_photo):
        seen = condition(Frame(picture))
        assert torch_editor.propose(seen, [torch_editor.looks["natural"]], assume="finished")[0].settled == 1


@pytest.mark.training
def test_diffusers_loads_the_folder_both_ways(torch_editor, dark_photo):
    import torch
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(pipeline_dir(), trust_remote_code=True, low_cpu_mem_usage=False)
    assert type(pipeline).__name__ == "RelightPipeline"
    seen = condition(Frame(dark_photo))
    look = torch_editor.looks["natural"]
    made = pipeline(
        torch.from_numpy(seen.thumbnail).permute(2, 0, 1)[None],
        torch.from_numpy(look.controls())[None],
        noise=torch.from_numpy(seeded_noise(0)),
    ).fields[0]
    assert np.abs(made.numpy() - torch_editor.propose(seen, [look])[0].grid).max() < 1e-6


def test_every_look_is_data(copied, editor):
    assert list(editor.looks) == list(json.loads((pipeline_dir() / "looks.json").read_text()))
    assert {"natural", "hdr", "bright", "golden", "blue-hour", "dramatic", "soft", "night"} == set(editor.looks)
    assert not editor.looks["natural"].controls().any()
    assert "looks.json" in read_manifest(copied)
