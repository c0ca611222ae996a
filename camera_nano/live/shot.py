"""One press of the shutter, as it is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

ORIGINAL, DNG = "original", "dng"


@dataclass(frozen=True, slots=True)
class Shot:
    """One press of the shutter, on disk."""

    id: int
    frame_id: int
    taken_at: datetime  # of the exposure
    original: Path
    looks: Mapping[str, Path]
    took_ms: float
    n_merged: int = 1  # frames that the looks are made of
    headroom: Literal["measured", "estimated"] | None = None  # light above white of the looks; None where there is none
    note: str = ""  # why the looks are of one frame, where more were wanted
    is_earlier: bool = False  # of another run: its files may be anybody's

    @property
    def parts(self) -> dict[str, Path]:
        """Every file, by what it is: "original" or the name of a look."""
        return {ORIGINAL: self.original, **self.looks}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "shot_id": self.id,
            "frame_id": self.frame_id,
            "taken_at": self.taken_at.isoformat(timespec="milliseconds"),
            "original": str(self.original),
            "looks": {name: str(path) for name, path in self.looks.items()},
            "took_ms": self.took_ms,
            "n_merged": self.n_merged,
            "headroom": self.headroom,
            "note": self.note,
        }
