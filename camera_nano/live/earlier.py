"""The shots in a folder that no session knows of: of earlier runs, or of another program that shoots there, too."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from camera_nano.live.shot import DNG, ORIGINAL, Shot

_FILE = re.compile(r"((\d{8}-\d{6})-(\d{3})(?:-\d+)?)(?:_(.+)\.(?:png|jpg)|\.dng)")


def earlier_shots(folder: Path) -> list[Shot]:
    """The shots by the names of their files, oldest first; links and what has another kind of name are passed over.

    Their ids are the milliseconds since 1970, so they stay the same while the time zone does, and are no session's.
    """
    parts: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    times: dict[str, datetime] = {}
    for entry in os.scandir(folder) if folder.is_dir() else ():
        match = _FILE.fullmatch(entry.name)
        if match is None or not entry.is_file(follow_symlinks=False):
            continue
        stem, second, ms, part = match.groups()
        try:
            at = datetime.strptime(second, "%Y%m%d-%H%M%S").replace(microsecond=1000 * int(ms)).astimezone()
        except (ValueError, OverflowError):  # no such day
            continue
        parts[stem][part or DNG] = Path(entry.path)
        times[stem] = at
    shots: dict[int, Shot] = {}
    for stem in sorted(parts, key=lambda stem: (times[stem], stem)):
        files = parts[stem]
        if ORIGINAL not in files:
            continue
        number = round(times[stem].timestamp() * 1000)
        while number in shots:  # two in one millisecond
            number += 1
        looks = {name: files[name] for name in sorted(files) if name != ORIGINAL}
        shots[number] = Shot(number, 0, times[stem], files[ORIGINAL], looks, 0.0, is_earlier=True)
    return list(shots.values())
