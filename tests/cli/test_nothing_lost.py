"""A batch never takes the place of what others have made or changed, and says so."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camera_nano.batch import FOLDER
from camera_nano.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture
def photos(tmp_path, dark_photo):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(dark_photo[::4, ::4], 9 * number, 1)).save(folder / f"{number}.jpg")
    return folder


@pytest.fixture
def batch(photos, tmp_path, capsys):
    """A function that runs a batch, and gives the exit code, the results by the photo's name, and what was told."""

    def _run(*flags, inputs=(photos,), out=tmp_path / "out"):
        capsys.readouterr()
        code = main(["batch", *map(str, inputs), "--out", str(out), "--json", *flags])
        said, told = capsys.readouterr()
        return code, {Path(each["input"]).name: each for each in map(json.loads, said.splitlines())}, told

    return _run


def rate(path):
    """As a digital asset manager does: XMP in a segment of its own, behind the first two bytes."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmp:Rating="5"/>'
    segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:])
    return path.read_bytes()


def test_a_file_that_batch_did_not_make_is_left_alone(photos, tmp_path, batch):
    out, others = tmp_path / "out", b"somebody's only copy"
    out.mkdir()
    (out / "1_natural.jpg").write_bytes(others)
    for status in ("done", "skipped"):
        code, results, told = batch()
        assert code == 0 and [results[f"{n}.jpg"]["status"] for n in range(3)] == [status, "kept", status]
        assert results["1.jpg"]["kept"] == [str(out / "1_natural.jpg")]
        assert (out / "1_natural.jpg").read_bytes() == others
        assert "1 outputs left alone" in told and "--force" in told
    code, results, _ = batch("--force")
    assert code == 0 and results["1.jpg"]["status"] == "done" and (out / "1_natural.jpg").read_bytes() != others


@pytest.mark.parametrize("flags", [(), ("--strength", "0.5"), ("--looks", "natural,hdr")])
def test_ratings_in_outputs_are_kept_whatever_is_asked_next(photos, tmp_path, batch, flags):
    batch()
    rated = rate(tmp_path / "out" / "1_natural.jpg")
    (tmp_path / "out" / "0_natural.jpg").write_bytes(b"cropped")  # smaller, but no piece of what was made
    code, results, told = batch(*flags)
    assert code == 0 and (tmp_path / "out" / "1_natural.jpg").read_bytes() == rated
    assert (tmp_path / "out" / "0_natural.jpg").read_bytes() == b"cropped"
    assert results["1.jpg"]["kept"] == [str(tmp_path / "out" / "1_natural.jpg")]
    assert "2 outputs left alone" in told
    assert results["1.jpg"]["status"] == ("done" if "--looks" in flags else "kept")
    Image.open(photos / "1.jpg").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photos / "1.jpg")
    batch()
    assert (tmp_path / "out" / "1_natural.jpg").read_bytes() == rated


def test_same_size_and_time_do_not_pass_for_the_same_file(photos, tmp_path, batch):
    """Many programs write a rating into the padding of the XMP, and put the file's time back."""
    batch()
    path = tmp_path / "out" / "1_natural.jpg"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert batch("--strength", "0.5")[1]["1.jpg"]["status"] == "kept" and path.read_bytes() == data


def test_without_its_journal_what_batch_made_is_known_by_its_bytes(photos, tmp_path, batch):
    batch()
    inodes = {path: path.stat().st_ino for path in (tmp_path / "out").glob("*.jpg")}
    shutil.rmtree(tmp_path / "out" / FOLDER)
    assert {result["status"] for result in batch()[1].values()} == {"done"}
    assert {path: path.stat().st_ino for path in (tmp_path / "out").glob("*.jpg")} == inodes  # and not written again
    assert {result["status"] for result in batch()[1].values()} == {"skipped"}


def test_outputs_keep_the_time_of_their_photos_unless_told_otherwise(photos, tmp_path, batch):
    for number in range(3):
        os.utime(photos / f"{number}.jpg", ns=(0, 1_000_000_000_123_456_789 + number))
    batch()
    for number in range(3):
        assert (tmp_path / "out" / f"{number}_natural.jpg").stat().st_mtime_ns == 1_000_000_000_123_456_789 + number
    assert {result["status"] for result in batch()[1].values()} == {"skipped"}
    assert main(["journal", "verify", str(tmp_path / "out")]) == 0
    batch("--no-keep-times", "--force")
    assert (tmp_path / "out" / "0_natural.jpg").stat().st_mtime > 1.7e9
    one = tmp_path / "one.jpg"
    for flags, is_kept in (((), True), (("--no-keep-times",), False)):
        assert main(["enhance", str(photos / "0.jpg"), str(one), *flags]) == 0
        assert (one.stat().st_mtime_ns == 1_000_000_000_123_456_789) is is_kept


def pictures(out):
    return sorted(
        str(path.relative_to(out)) for path in out.rglob("*.*") if FOLDER not in path.parts and path.is_file()
    )


@pytest.fixture
def cards(tmp_path, photos):
    """A raw beside its JPEG, as far as names go, and a second card with the same numbers."""
    for name, number in (("card1/IMG_1.JPG", 0), ("card1/IMG_1.NEF", 1), ("card2/IMG_1.JPG", 2)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / f"{number}.jpg", tmp_path / name)
    return tmp_path / "card1", tmp_path / "card2"


def test_photos_of_one_name_all_get_their_looks(cards, tmp_path, batch):
    names = ["IMG_1-card2_natural.jpg", "IMG_1-nef_natural.jpg", "IMG_1_natural.jpg"]
    code, results, told = batch("--dry-run", inputs=cards)
    assert code == 0 and "3 of 3 photos" in told
    for inputs in (cards, cards[::-1]):
        code, results, told = batch(inputs=inputs)
        assert code == 0 and pictures(tmp_path / "out") == names
        if inputs is cards:
            assert "IMG_1.NEF: becomes IMG_1-nef_natural.jpg, as " in " ".join(results["IMG_1.NEF"]["notes"])
            made = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == made
    assert results["IMG_1.NEF"]["status"] == "skipped"


def test_what_was_made_before_keeps_its_name(cards, tmp_path, batch):
    """Whether the JPEG comes later, a card is read on its own, or a photo has gone."""
    jpeg = cards[0] / "IMG_1.JPG"
    jpeg.rename(tmp_path / "later.JPG")
    batch(inputs=[cards[0]])
    raw = (tmp_path / "out" / "IMG_1_natural.jpg").read_bytes()
    (tmp_path / "later.JPG").rename(jpeg)
    assert batch(inputs=[cards[0]])[1]["IMG_1.NEF"]["status"] == "skipped"
    names = ["IMG_1-jpg_natural.jpg", "IMG_1_natural.jpg"]
    assert pictures(tmp_path / "out") == names and (tmp_path / "out" / names[1]).read_bytes() == raw
    batch(inputs=[cards[1]])
    assert pictures(tmp_path / "out") == ["IMG_1-card2_natural.jpg", *names]
    code, *_ = batch("--looks", "natural,hdr", inputs=[cards[0]])
    assert code == 0 and (tmp_path / "out" / "IMG_1_natural.jpg").read_bytes() == raw
    (cards[0] / "IMG_1.NEF").unlink()
    assert batch(inputs=cards)[1]["IMG_1.JPG"]["status"] == "skipped"
    assert (tmp_path / "out" / "IMG_1_natural.jpg").read_bytes() == raw
    assert main(["journal", "verify", str(tmp_path / "out")]) == 0


def test_shards_agree_on_the_names_and_know_what_was_merged(cards, tmp_path, batch):
    for flags in ((), ("--strength", "0.5")):
        for number in (1, 2):
            code, results, _ = batch("--shard", f"{number}/2", *flags, inputs=cards)
            assert code == 0 and {result["status"] for result in results.values()} <= {"done"}
        assert len(pictures(tmp_path / "out")) == 3
        assert main(["journal", "merge", str(tmp_path / "out")]) == 0
    assert {result["status"] for result in batch("--strength", "0.5", inputs=cards)[1].values()} == {"skipped"}


def test_what_is_passed_over_is_said_and_what_may_be_a_photo_is_tried(photos, tmp_path, batch):
    for name in ("b.jfif", "c.jpe", "d.mpo"):
        (photos / "1.jpg").rename(photos / name) if name == "b.jfif" else shutil.copy(photos / "b.jfif", photos / name)
    for name in ("clip.MOV", "other.mov", "a.xmp", "x.gif", "README", "h.rwl", "i.3fr", "j.crw", ".hidden"):
        (photos / name).write_bytes(b"1")
    os.mkfifo(photos / "pipe.jpg")
    code, results, told = batch()
    assert "passed over: 2 .mov, 1 " in told and "1 .gif" in told and "1 without extension" in told
    assert "1 pipe or broken link" in told and "hidden" not in told
    assert code == 1 and sorted(name for name, each in results.items() if each["status"] == "done") == [
        "0.jpg",
        "2.jpg",
        "b.jfif",
        "c.jpe",
        "d.mpo",
    ]
    assert {name for name, each in results.items() if each["status"] == "failed"} == {"h.rwl", "i.3fr", "j.crw"}
    (tmp_path / "empty").mkdir()
    code, results, told = batch(inputs=[tmp_path / "empty"])
    assert code == 0 and f"no photos in {tmp_path / 'empty'}" in told


def test_the_wrong_photo_for_a_recipe_is_told(photos, tmp_path, batch, capsys):
    batch()
    made, again = tmp_path / "out" / "1_natural.jpg", tmp_path / "1_natural.jpg"
    for photo, is_wrong in (("1.jpg", False), ("2.jpg", True)):
        assert main(["recipe", str(made), "--redo", str(photos / photo), str(again)]) == 0
        assert (f"{photo} is not the photo that {made} was made of" in capsys.readouterr().err) is is_wrong
        assert (again.read_bytes() == made.read_bytes()) is not is_wrong
