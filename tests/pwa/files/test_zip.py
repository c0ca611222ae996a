"""Many files as one ZIP file that a browser makes, read by Python's own reader."""

import io
import zipfile
import zlib

import pytest

pytestmark = pytest.mark.browser

ZIPPED = '(await import("/pwa/zip.js")).zipped'


def test_files_come_out_as_they_went_in(run):
    large = bytes(range(256)) * (5 << 12)  # more than is read at once
    data = run(f"""async () => {{
      const bytes = new Uint8Array({len(large)}).map((_, i) => i % 256);
      const at = new Date(2026, 0, 31, 23, 59, 58).getTime();
      const file = (name, ...parts) => new File(parts, name, {{ lastModified: at }});
      window.told = [];
      const files = [file("a_original.png", bytes), file("grün 日.jpg", "light"), file("empty.jpg")];
      return ({ZIPPED})(files, (share) => told.push(share));
    }}""")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
        assert [info.filename for info in infos] == ["a_original.png", "grün 日.jpg", "empty.jpg"]
        assert [archive.read(info) for info in infos] == [large, b"light", b""]
        assert zlib.crc32(large) == infos[0].CRC and infos[0].compress_type == zipfile.ZIP_STORED
        assert {info.date_time for info in infos} == {(2026, 1, 31, 23, 59, 58)}
    told = run("() => told")
    assert told == sorted(told) and 0 < told[0] < 1 and told[-1] == 1


def test_nothing_is_a_whole_archive_too(run):
    assert zipfile.ZipFile(io.BytesIO(run(f"async () => ({ZIPPED})([])"))).namelist() == []


def test_more_than_an_archive_holds_is_refused_before_anything_is_read(run):
    with pytest.raises(Exception, match="more than a ZIP file holds"):
        run(f'async () => ({ZIPPED})([{{ name: "a.png", size: 3e9 }}, {{ name: "b.png", size: 3e9 }}])')
