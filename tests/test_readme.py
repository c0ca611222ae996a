"""The README's examples, as somebody would paste them."""

import re
from pathlib import Path

import pytest
from PIL import Image

from camera_nano.cli.parser import parser
from camera_nano.files.inspect import inspect

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, dark_photo, monkeypatch):
    Image.fromarray(dark_photo).save(tmp_path / "photo.jpg", quality=95)
    Image.fromarray(dark_photo[::2, ::2].copy()).save(tmp_path / "other.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_example_runs(folder):
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert {path.name for path in folder.iterdir()} == {
        "photo.jpg",
        "other.png",
        "photo_natural.png",
        "photo_warm-evening-light.png",
        "photo.jpg_hdr.jpg",
        "other.png_hdr.jpg",
    }
    assert not inspect(folder / "photo.jpg_hdr.jpg").problems


def test_every_flag_it_names_exists():
    blocks = "\n".join(re.findall(r"```\n(.*?)```", README, re.DOTALL))
    prose = README.partition("## The live app")[2].partition("## How good")[0]
    helps = "".join(action.format_help() for action in parser()._subparsers._group_actions[0].choices.values())
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", blocks + prose))
    assert len(flags) > 20
    for flag in flags - {"--system-site-packages"}:
        assert flag in helps, flag
