"""The checks of what faults, kills and hostile files leave behind: on the product, and on ones that are broken."""

import random
import signal
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TOOLS = Path(__file__).parents[2] / "tools"
# each is a command of the product in which one thing is wrong
HALF_FILES = """
import sys, time
from camera_nano.batch import storage
def write(name, data, time_ns=None):
    with open(name, "wb") as file:
        file.write(data[:len(data) // 2])
        file.flush()
        time.sleep(1)
        file.write(data[len(data) // 2:])
storage.write_atomically = write
from camera_nano.cli import main
sys.exit(main())
"""
OUTPUTS_OF_REFUSED = """
import importlib, sys
from pathlib import Path
run = importlib.import_module("camera_nano.batch.run")
real = run._failure
def failure(job, *args):
    for path in map(Path, job.outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    return real(job, *args)
run._failure = failure
print("a library's chatter", file=sys.stderr)
from camera_nano.cli import main
sys.exit(main())
"""
LEFT_OVER = """
import subprocess, sys, tempfile
subprocess.Popen(["sleep", "20"], start_new_session=True, stdout=subprocess.DEVNULL)
tempfile.mkstemp()
from camera_nano.cli import main
sys.exit(main())
"""


@pytest.fixture
def kills(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS / "checks"))
    import kills

    return kills


@pytest.fixture
def product(kills, tmp_path):
    """A function that gives the product, or one that is broken by a piece of code."""
    from product import AS_INSTALLED, Product

    return lambda code=None: Product(tmp_path / "home", (sys.executable, "-P", "-c", code) if code else AS_INSTALLED)


def outcomes(kill, tmp_path, product, n):
    found = list(kill(tmp_path, product, n, random.Random(0)))
    return found, [line for each in found for line in each.violations]


@pytest.mark.parametrize("kind", ["of_batch", "of_headless", "of_live"])
def test_kills_leave_nothing_behind(kills, product, tmp_path, kind):
    found, wrong = outcomes(getattr(kills, kind), tmp_path, product(), 2)
    assert wrong == [] and sum(each.n for each in found if each.how.startswith("SIG")) == 2
    assert found[-1].n_files > 0


def test_half_files_are_seen(kills, product, tmp_path):
    class Loaded(random.Random):
        def choice(self, seq):
            return signal.SIGKILL

        def randint(self, a, b):
            return min(3, b)

    found = kills.of_batch(tmp_path, product(HALF_FILES), 30, Loaded(0))  # it ends with the first that is seen
    assert any("half a file" in line for each in found for line in each.violations)


def test_what_outlives_the_product_is_seen(kills, product, tmp_path, monkeypatch):
    monkeypatch.setattr(kills, "_CHILDREN_S", 0.1)
    _, wrong = outcomes(kills.of_batch, tmp_path, product(LEFT_OVER), 1)
    assert any("is still alive" in line for line in wrong) and any("temporary files" in line for line in wrong)


def test_a_whole_picture_is_told_from_a_half_one(kills, tmp_path):
    [path] = kills.photos(tmp_path / "photos", 1).iterdir()
    assert kills.is_whole(path)
    path.write_bytes(path.read_bytes()[:-200])
    assert not kills.is_whole(path)


def test_a_command_is_judged_by_its_code_and_its_words(kills, product, tmp_path):
    from faults import ended

    def start():
        return product("import sys; print('a plain line', file=sys.stderr); sys.exit(3)").start()

    assert ended(start(), 3, telling="plain") == []
    assert len(ended(start(), 4, telling="plain")) == 1
    assert len(ended(start(), 3, telling="fancy")) == 1
    [line] = ended(product("raise ValueError").start(), 1)
    assert "Traceback" in line


def test_hostile_files_are_done_refused_or_passed_over(kills, product, tmp_path):
    import hostile
    import hostile_files

    hostile_files.fill(tmp_path / "files", 30)
    found = hostile.measure(tmp_path / "files", product())
    assert found["violations"] == [] and min(found["done"], found["refused"], found["passed over"]) > 0
    assert found["files"] == found["done"] + found["refused"] + found["passed over"] and found["peak MB"] > 50

    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "bad.jpg").write_bytes(b"no picture")
    wrong = hostile.measure(tmp_path / "few", product(OUTPUTS_OF_REFUSED))["violations"]
    assert any("was refused, and" in line for line in wrong) and any("chatter" in line for line in wrong)


def test_the_soak_tells_a_leak_from_noise(kills, tmp_path):
    import soak

    def samples(mb_per_hour):
        for half_minute in range(1, 241):
            noise_mb = 30 * (half_minute % 3 > 0)  # of shots on their way
            mb = 300 + mb_per_hour * half_minute / 120 + noise_mb
            rest = {"server_threads": 20, "server_files": 8, "tab_heap_mb": 2.5, "tab_nodes": 600, "fps": 25}
            yield {"minute": half_minute / 2, "server_rss_mb": mb} | rest

    for mb_per_hour, fails in ((0.5, []), (2, ["server_rss_mb"])):
        found = list(samples(mb_per_hour))
        rows = soak.verdict(found)
        assert [key for key, grows, most in rows if grows >= most] == fails
        assert ("FAIL" in soak.table(found, rows)) == bool(fails)
    steady = list(samples(0.5))
    cut_off = [{**steady[-1], "minute": minute, "server_rss_mb": 330} for minute in (121, 122, 123)]
    assert all(grows < most for _, grows, most in soak.verdict([*steady, *cut_off]))  # a few minutes are no ten
    soak.draw(found, rows, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.browser
def test_the_soak_samples_both_ends(kills, browser, monkeypatch):
    import soak

    monkeypatch.setattr(soak, "_EVERY_S", 1.0)
    found = soak.watch(browser, 0.1)
    assert len(found) >= 2 and all(set(soak.MOST_GROWTH) < set(each) and each["server_rss_mb"] > 50 for each in found)
    assert max(each["fps"] for each in found) > 0
