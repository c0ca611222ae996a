"""Where the user's own files are, today and where earlier versions put them."""

from pathlib import Path

import pytest

from camera_nano.paths import data_dir, state_dir


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_new_user_has_one_name_for_all_and_nothing_is_made_by_asking(home):
    assert data_dir() == home / ".local/share/camera-nano"
    assert state_dir() == home / ".local/state/camera-nano"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "variable", "base", "earlier"),
    [
        (data_dir, "XDG_DATA_HOME", ".local/share", "camera_nano"),
        (state_dir, "XDG_STATE_HOME", ".local/state", "camera-nano"),
    ],
)
def test_what_an_earlier_version_has_made_is_used_on(home, monkeypatch, folder, variable, base, earlier):
    (home / base / earlier).mkdir(parents=True)
    assert folder() == home / base / earlier
    monkeypatch.setenv(variable, str(home / "xdg"))
    assert folder() == home / "xdg" / "camera-nano"
    (home / "xdg" / earlier).mkdir(parents=True)
    assert folder() == home / "xdg" / earlier
    (home / "xdg" / "camera-nano").mkdir(exist_ok=True)
    assert folder() == home / "xdg" / "camera-nano"


def test_a_relative_folder_is_no_home(home, monkeypatch):
    for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, "here")
    assert data_dir() == home / ".local/share/camera-nano"
    assert state_dir() == home / ".local/state/camera-nano"


def test_an_own_key_of_an_earlier_version_stays_the_devices(home):
    signing = pytest.importorskip("camera_nano.files.signing")
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    key = signing.own_key()
    earlier = data_dir().rename(Path(home, ".local/share/camera_nano"))
    assert data_dir() == earlier and signing.own_key() == key


def test_the_journal_of_a_store_is_where_it_was(home):
    stores = pytest.importorskip("camera_nano.batch.stores", reason="the extra ray is not installed")
    [name] = stores.journal_dir("s3://bucket/out").relative_to(home / ".local/state/camera-nano/batch").parts
    assert len(name) == 16 and stores.journal_dir("s3://bucket/out") != stores.journal_dir("s3://bucket/other")
