"""Shots in the browser's own files: saved, listed, read, removed; killed half-way, no room, no files at all."""

import re

import pytest

pytestmark = pytest.mark.browser

STORE = 'await import("/pwa/store.js")'
PICTURE = 'new Blob([new Uint8Array({size}).fill({byte})], {{ type: "image/{kind}" }})'
NOON = 1769857200007


def blob(size=5, byte=1, kind="jpeg"):
    return PICTURE.format(size=size, byte=byte, kind=kind)


def save(run, id=NOON, original=None, looks=None):
    files = ", ".join(f'"{name}": {file}' for name, file in (looks or {"golden": blob()}).items())
    shot = f"{{ id: {id}, original: {original or blob(9, 7, 'png')}, looks: async () => ({{ {files} }}), took_ms: 3 }}"
    return run(f"async () => ({STORE}).saveShot({shot})")


def listed(run):
    return run(f"async () => ({STORE}).list()")


def read(run, name):
    return run(f'async () => ({STORE}).read("{name}")')


def entries(run):
    return run("""async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("shots", { create: true });
      const found = {};
      for await (const [name, handle] of folder) found[name] = (await handle.getFile()).size;
      return found;
    }""")


def test_a_shot_is_saved_listed_read_and_removed(page, run):
    shot = save(run, looks={"soft": blob(4, 2), "golden": blob(3, 1)})
    assert {name: shot[name] for name in ("shot_id", "n_merged", "headroom", "note")} == {
        "shot_id": NOON,
        "n_merged": 1,
        "headroom": None,
        "note": "",
    }
    assert re.fullmatch(r"202601\d\d-\d{6}-007_original\.png", shot["original"]) and shot["took_ms"] >= 3
    stem = shot["original"].removesuffix("original.png")
    assert shot["looks"] == {"golden": f"{stem}golden.jpg", "soft": f"{stem}soft.jpg"}
    page.reload()
    [found] = listed(run)
    assert found["id"] == NOON and found["taken_at"] == shot["taken_at"] == "2026-01-31T11:00:00.007Z"
    names = [(part["part"], part["name"], part["bytes"]) for part in found["parts"]]
    assert names == [
        ("original", shot["original"], 9),
        ("golden", shot["looks"]["golden"], 3),
        ("soft", shot["looks"]["soft"], 4),
    ]
    assert read(run, shot["original"]) == bytes([7] * 9) and read(run, shot["looks"]["soft"]) == bytes([2] * 4)
    run(f"async () => ({STORE}).remove({NOON})")
    assert listed(run) == [] and entries(run) == {}
    with pytest.raises(Exception, match="there is no picture"):
        read(run, shot["original"])


def test_newest_first_and_two_of_one_moment(run):
    ids = [save(run, id)["shot_id"] for id in (NOON, NOON + 5000, NOON)]
    assert ids == [NOON, NOON + 5000, NOON + 1]
    assert [shot["id"] for shot in listed(run)] == sorted(ids, reverse=True)
    run(f"async () => ({STORE}).remove({NOON})")
    assert [shot["id"] for shot in listed(run)] == [NOON + 5000, NOON + 1]


def test_shots_at_once_are_all_there(run):
    shot = f"{{ id: {NOON}, original: {blob(9, 7, 'png')}, looks: async () => ({{ golden: {blob()} }}), took_ms: 0 }}"
    run(f"async () => {{ const store = {STORE}; await Promise.all([1, 2, 3].map(() => store.saveShot({shot}))); }}")
    shots = listed(run)
    assert len(shots) == 3 and all(len(shot["parts"]) == 2 for shot in shots)


def test_the_original_is_whole_before_a_look_is_begun(page, run):
    """It is there while a look is made; what goes wrong with a look leaves it, and nothing half-written."""
    page.evaluate(f"window.shot = {{ id: {NOON}, original: {blob(9, 7, 'png')}, took_ms: 0 }}")
    with pytest.raises(Exception, match="no light"):
        run(f"""async () => {{
          const {{ saveShot, read }} = {STORE};
          const looks = async (origin) => {{
            window.seen = (await read(origin)).size;
            throw new Error("no light");
          }};
          await saveShot({{ ...shot, looks }});
        }}""")
    assert page.evaluate("seen") == 9
    with pytest.raises(Exception, match="no more bytes"):
        save(run, looks={"golden": '({ type: "image/jpeg", get data() { throw new Error("no more bytes"); } })'})
    shots = listed(run)
    assert [[part["part"] for part in shot["parts"]] for shot in shots] == [["original"]] * 2 and len(entries(run)) == 2


def test_a_file_that_the_browser_still_holds_hides_no_error(page, run):
    page.evaluate("""() => {
      const remove = FileSystemDirectoryHandle.prototype.removeEntry;
      let n = 0;
      FileSystemDirectoryHandle.prototype.removeEntry = async function (name) {
        if (n++ < 2) throw new DOMException("held", "NoModificationAllowedError");
        return remove.call(this, name);
      };
    }""")
    with pytest.raises(Exception, match="no more bytes"):
        save(run, looks={"golden": '({ type: "image/jpeg", get data() { throw new Error("no more bytes"); } })'})
    assert len(entries(run)) == 1


def test_a_page_killed_half_way_leaves_nothing_that_is_listed(page, run):
    """It is closed while the look is being written: its first bytes are written, and it never ends."""
    save(run)
    other = page.context.new_page()
    other.goto(page.url)
    other.evaluate(f"""async () => {{
      const store = {STORE};
      const write = FileSystemWritableFileStream.prototype.write;
      await new Promise((then) => {{
        FileSystemWritableFileStream.prototype.write = async function (file) {{
          await write.call(this, file);
          if (file.size === 77) {{ then(); await new Promise(() => {{}}); }}
        }};
        const files = {{ original: {blob(9, 7, "png")}, looks: async () => ({{ golden: {blob(77)} }}) }};
        store.saveShot({{ id: {NOON + 9}, took_ms: 0, ...files }});
      }});
    }}""")
    run(f"async () => ({STORE}).sweep()")  # somebody writes: nothing is touched
    assert 0 in entries(run).values()
    assert [[part["part"] for part in shot["parts"]] for shot in listed(run)] == [["original"], ["original", "golden"]]
    other.close()
    shots = listed(run)
    assert [[part["part"] for part in shot["parts"]] for shot in shots] == [["original"], ["original", "golden"]]
    page.wait_for_function("async () => (await navigator.locks.query()).held.length === 0")
    run(f"async () => ({STORE}).sweep()")
    assert sorted(entries(run).values()) == [5, 9, 9] and listed(run) == shots


def test_no_room_is_one_line_and_leaves_what_was_whole(page, run):
    quota = page.context.new_cdp_session(page)
    quota.send("Storage.overrideQuotaForOrigin", {"origin": page.url.rstrip("/"), "quotaSize": 1 << 20})
    with pytest.raises(Exception, match=r"this browser has no room for \S+_golden.jpg: delete some shots"):
        save(run, looks={"golden": blob(1 << 21)})
    [shot] = listed(run)
    assert [part["part"] for part in shot["parts"]] == ["original"] and len(entries(run)) == 1
    quota.send("Storage.overrideQuotaForOrigin", {"origin": page.url.rstrip("/")})
    save(run, NOON + 1, looks={"golden": blob(1 << 21)})
    assert len(listed(run)) == 2


IN_AN_OLDER_WORKER = """async (made) => {
  const code = `delete FileSystemFileHandle.prototype.createWritable;
    onmessage = async () => {
      const store = await import("https://pwa.test/pwa/store.js");
      const data = (size, byte, type) => new Blob([new Uint8Array(size).fill(byte)], { type });
      const shot = { id: 1769857200007, original: data(9000001, 7, "image/png"), took_ms: 0 };
      const save = async (looks) => ({ ...(await store.saveShot({ ...shot, looks })) });
      const told = [await save(async () => ({ golden: data(5, 1, "image/jpeg") }))];
      const broken = { type: "image/jpeg", size: 9, slice: () => { throw new Error("no more bytes"); } };
      told.push(await save(async () => ({ golden: broken })).catch((error) => error.message));
      postMessage(told);
    };`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(null);
  });
}"""


def test_a_browser_whose_files_have_no_streams_keeps_shots_all_the_same(run):
    """As Safari before 26: what is being written has another name, so nothing half-written is ever listed."""
    shot, broken = run(IN_AN_OLDER_WORKER)
    assert broken == "no more bytes"
    assert entries(run) == {shot["original"]: 9000001, shot["looks"]["golden"]: 5} | {
        name: 9000001 for name in entries(run) if name.endswith("-008_original.png")
    }
    assert [[part["part"] for part in listed_["parts"]] for listed_ in listed(run)] == [
        ["original"],
        ["original", "golden"],
    ]
    assert read(run, shot["original"]) == bytes([7]) * 9000001


def test_a_private_window_that_refuses_files_says_so(page, run):
    page.evaluate("""() => {
      const refused = new DOMException("The operation is insecure.", "SecurityError");
      StorageManager.prototype.getDirectory = () => Promise.reject(refused);
    }""")
    with pytest.raises(Exception, match=r"this browser keeps no files .* no private window"):
        save(run)


def test_a_browser_without_files_says_so(page, run):
    page.evaluate("delete StorageManager.prototype.getDirectory")
    with pytest.raises(Exception, match="this browser keeps no files"):
        save(run)


def test_other_files_are_passed_over(run):
    run("""async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("shots", { create: true });
      for (const name of ["note.txt", "20260131-120000-000_golden.jpg"]) {
        const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
        await writable.write("something");
        await writable.close();
      }
    }""")
    assert listed(run) == []
