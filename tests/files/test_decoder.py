"""Decoding in a child: real files, real signals, real limits."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from PIL import Image
from test_decode import png

from camera_nano.errors import UnreadableImage
from camera_nano.files import foreign
from camera_nano.files.decode import open_image
from camera_nano.files.decoder import Decoder
from camera_nano.files.encode import save
from camera_nano.files.foreign import shared_decoder
from camera_nano.files.metadata import Metadata
from camera_nano.values import GainMap


@pytest.fixture(autouse=True)
def _no_others():
    """Tests count the children: those that the process shares are ended."""
    shared_decoder().close()
    foreign._shared.cache_clear()


@pytest.fixture
def decoder():
    with Decoder() as decoder:
        yield decoder


@pytest.fixture
def jpeg(photo, tmp_path):
    save(tmp_path / "photo.jpg", photo, format="jpeg")
    return tmp_path / "photo.jpg"


def children():
    """The decoder's own: a browser of other tests may be running, too."""
    return [p for p in psutil.Process().children() if "camera_nano.files.decoder_child" in _command(p)]


def _command(process):
    try:
        return process.cmdline()  # a zombie has none
    except psutil.Error:
        return []


@pytest.mark.slow
def test_the_same_picture_as_without_a_child(decoder, photo, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    metadata = Metadata(exif=exif.tobytes()[6:], xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", icc=None)
    deep, alpha = photo.astype(np.uint16) * 257, np.full(photo.shape[:2], 1234, np.uint16)
    lamp = GainMap(np.full((256, 256), 200, np.uint8), (2.0,), 2.0)
    save(tmp_path / "a.jpg", photo, format="ultrahdr", metadata=metadata, gain=lamp)
    save(tmp_path / "b.png", deep, format="png", metadata=metadata, alpha=alpha)
    for path in (tmp_path / "a.jpg", tmp_path / "b.png"):
        there, here = decoder.open(path), open_image(path)
        assert np.array_equal(there.frame.pixels, here.frame.pixels)
        for made, expected in ((there.alpha, here.alpha), (there.headroom_ev, here.headroom_ev)):
            assert (made is None) == (expected is None) and (made is None or np.array_equal(made, expected))
        assert (there.metadata, there.format) == (here.metadata, here.format)
    assert len(children()) == 1


@pytest.mark.slow
def test_pictures_outlive_the_decoder(jpeg, photo):
    with Decoder() as decoder:
        picture = decoder.open(jpeg)
    assert not children()
    assert np.abs(picture.frame.pixels.astype(int) - photo).mean() < 3


@pytest.mark.slow
def test_one_child_a_thread(decoder, jpeg):
    together = threading.Barrier(3)

    def work(_):
        together.wait()
        return decoder.open(jpeg).frame.pixels.sum()

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(work, range(3)))) == 1
    assert 1 <= len(children()) <= 3


@pytest.mark.slow
def test_errors_are_those_of_open_image(decoder, jpeg, tmp_path):
    cut = tmp_path / os.fsdecode(b"\xff cut.jpg")
    cut.write_bytes(jpeg.read_bytes()[:5000])
    os.mkfifo(tmp_path / "pipe")
    for path in (cut, tmp_path / "pipe", tmp_path):
        with pytest.raises(UnreadableImage) as here:
            open_image(path)
        with pytest.raises(UnreadableImage) as there:
            decoder.open(path)
        assert str(there.value) == str(here.value)
    with pytest.raises(FileNotFoundError):
        decoder.open(tmp_path / "missing.jpg")
    assert decoder.open(jpeg).format == "jpeg"


@pytest.fixture(scope="session")
def bomb(tmp_path_factory):
    """196 megapixels in 24 KB: more than a second of work."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.png"
    path.write_bytes(png(14_000, 14_000, 1, 0, bytes(1751 * 14_000)))
    assert path.stat().st_size < 30_000
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "message"),
    [(signal.SIGSTOP, "took longer than 3 s"), (signal.SIGKILL, "was killed"), (signal.SIGSEGV, "crashed, code -11")],
)
def test_a_hang_or_crash_costs_one_file(jpeg, bomb, sent, message):
    with Decoder(time_s=3) as decoder, ThreadPoolExecutor(1) as pool:
        decoder.open(jpeg)
        [child] = children()
        idle_s = child.cpu_times().user
        opened = pool.submit(decoder.open, bomb)
        while child.cpu_times().user < idle_s + 0.1 and not opened.done():  # until it is at work
            os.sched_yield()
        child.send_signal(sent)
        with pytest.raises(UnreadableImage, match=rf"bomb\.png.*{message}"):
            opened.result(timeout=60)
        assert not psutil.pid_exists(child.pid)
        assert decoder.open(jpeg).format == "jpeg"


@pytest.mark.slow
def test_a_bomb_costs_one_file(jpeg, bomb):
    with Decoder(memory_bytes=300 << 20) as decoder:
        with pytest.raises(UnreadableImage, match=r"bomb\.png.*needs more"):
            decoder.open(bomb)
        assert decoder.open(jpeg).format == "jpeg"  # and what is no bomb passes


@pytest.mark.slow
def test_an_idle_child_that_died_is_replaced(decoder, jpeg):
    decoder.open(jpeg)
    [child] = children()
    child.kill()
    child.wait()
    assert decoder.open(jpeg).format == "jpeg"


@pytest.mark.slow
def test_warnings_and_notes_come_over(decoder, photo, tmp_path, caplog):
    path = tmp_path / "a.jpg"
    save(path, photo, format="ultrahdr", gain=GainMap(np.full((256, 256), 200, np.uint8), (2.0,), 2.0))
    data = path.read_bytes()
    at = data.rindex(b"\xff\xc0")  # the header of the gain map's own picture
    path.write_bytes(data[:at] + b"\xff\x01" + data[at + 2 :])
    with caplog.at_level(logging.WARNING):
        picture = decoder.open(path)
    assert picture.headroom_ev is None and "gain map is damaged" in picture.notes[0]
    assert "Corrupt JPEG data" in caplog.text  # in libjpeg's words


def test_a_closed_decoder_says_so(jpeg):
    decoder = Decoder()
    decoder.close()
    decoder.close()
    with pytest.raises(RuntimeError, match="closed"):
        decoder.open(jpeg)


@pytest.mark.slow
def test_nothing_is_imported_from_the_folder_of_photos(jpeg, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert decoder.open(jpeg).format == "jpeg"


@pytest.mark.slow
def test_a_limit_of_the_shell_is_worked_within(jpeg):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))"
    code = f"{limit}; import sys, camera_nano as cn; print(cn.open_image(sys.argv[1]).format)"
    done = subprocess.run([sys.executable, "-c", code, jpeg], capture_output=True, text=True, check=True)
    assert done.stdout == "jpeg\n"


@pytest.mark.slow
def test_a_picture_that_was_handed_over_is_not_kept_by_the_child(decoder, bomb):
    decoder.open(bomb)
    [child] = children()
    assert child.memory_info().rss < 300e6  # the picture has 588


def test_threads_that_ask_at_once_share_one_decoder(monkeypatch):
    together = threading.Barrier(2)

    class Slow:
        def __init__(self):
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.2)  # until the other thread makes one, too

        def close(self):
            pass

    monkeypatch.setattr(foreign, "Decoder", Slow)
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(shared_decoder) for _ in range(2))
        assert one.result() is other.result()
    foreign._shared.cache_clear()
