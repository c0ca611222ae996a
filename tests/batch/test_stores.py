"""Photos by URL, without a cluster: what is planned, what is fetched, what is told."""

import pytest

fsspec = pytest.importorskip("fsspec", reason="the extra ray is not installed")

from camera_nano.batch.journal import Journal, Made  # noqa: E402
from camera_nano.batch.plan import arrange  # noqa: E402
from camera_nano.batch.stores import STORED, find_urls, local_copy  # noqa: E402
from camera_nano.files.decode import UnreadableImage  # noqa: E402
from camera_nano.values import Look  # noqa: E402

LOOKS = [Look("natural"), Look("golden")]


@pytest.fixture
def store():
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/", recursive=True)


def put(fs, *names):
    for name in names:
        fs.pipe_file(name, name.encode())


def planned(inputs, out):
    return {job.input: list(job.outputs) for job in arrange(find_urls(inputs, out), out, LOOKS[:1], "auto")}


def test_the_tree_is_mirrored_and_nothing_leads_out_of_it(store):
    put(store, "/in/a.jpg", "/in/deep/b.nef", "/in/deep/.c.jpg", "/in/.hidden/d.jpg", "/in/notes.txt", "/other/e.bin")
    store.store["/in/../../evil.jpg"] = store.store["/in/a.jpg"]  # a key like any other, in a store
    assert planned(["memory://in/", "memory://other/e.bin", "memory://in"], "s3://bucket/out") == {
        "memory:///in/a.jpg": ["s3://bucket/out/a_natural.jpg"],
        "memory:///in/deep/b.nef": ["s3://bucket/out/deep/b_natural.jpg"],
        "memory:///other/e.bin": ["s3://bucket/out/e_natural.jpg"],
    }


def test_photos_of_one_name_get_distinct_ones(store):
    put(store, "/in/a.jpg", "/in/a.nef", "/other/a.jpg")
    assert planned(["memory://other", "memory://in"], "memory://out") == {
        "memory:///in/a.jpg": ["memory://out/a_natural.jpg"],
        "memory:///in/a.nef": ["memory://out/a-nef_natural.jpg"],
        "memory:///other/a.jpg": ["memory://out/a-other_natural.jpg"],
    }


@pytest.mark.parametrize(
    ("inputs", "out", "words"),
    [
        (["memory://in"], "memory://in/out", "is inside the input"),
        (["memory://in"], "memory://in", "is inside the input"),
        (["memory://nothing"], "memory://out", "no such file or folder"),
        (["memory:///in/a.jpg", "memory:///in/a_natural.jpg"], "memory:///in", "is an input and would be overwritten"),
        (["nowhere://in"], "memory://out", "Protocol not known"),
    ],
)
def test_plans_that_would_do_harm_are_refused(store, inputs, out, words):
    put(store, "/in/a.jpg", "/in/a_natural.jpg", "/other/a.jpg")
    with pytest.raises(ValueError, match=words):
        arrange(find_urls(inputs, out), out, LOOKS, "auto")


def test_the_journal_of_a_store_is_kept_here(store, tmp_path):
    put(store, "/in/a.jpg")
    [job] = arrange(find_urls(["memory://in"], "memory://out"), "memory://out", LOOKS[:1], "auto")
    with Journal(tmp_path, root="memory://out", files=STORED) as journal:
        STORED.write(job.outputs[0], b"pixels")
        digest, stamp = STORED.digest(job.outputs[0]), STORED.stamp(job.outputs[0])
        journal.note_made(
            [Made(job.outputs[0], "recipe", digest, stamp)],
            job.input,
            STORED.stamp(job.input),
            STORED.digest(job.input),
        )
        assert journal.look_at(job.outputs[0], job.input, "recipe").status == "made"
        STORED.write(job.outputs[0], b"others")  # of the same size
        assert journal.look_at(job.outputs[0], job.input, "recipe").status != "made"
        store.rm("/out/a_natural.jpg")
        assert journal.look_at(job.outputs[0], job.input, "recipe").status != "made"


def test_a_copy_to_decode_is_gone_afterwards_and_none_is_made_of_what_is_too_large(store, tmp_path, monkeypatch):
    put(store, "/in/a.jpg")
    with local_copy("memory://in/a.jpg") as path:
        assert path.read_bytes() == b"/in/a.jpg" and path.name == "a.jpg"
    assert not path.exists()
    with local_copy(str(tmp_path / "here.jpg")) as path:
        assert path == tmp_path / "here.jpg"
    monkeypatch.setattr("camera_nano.batch.stores.LIMIT_BYTES", 3)
    with pytest.raises(UnreadableImage, match="is too large"), local_copy("memory://in/a.jpg"):
        pass
    with pytest.raises(FileNotFoundError), local_copy("memory://in/b.jpg"):
        pass


def test_errors_of_stores_are_told_as_those_of_files(store, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no credentials")

    monkeypatch.setattr(type(store), "find", refuse)
    with pytest.raises(OSError, match="memory://in: no credentials"):
        find_urls(["memory://in"], "memory://out")
