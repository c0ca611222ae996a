"""What became of the photos of a run: one by one, and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from camera_nano.batch.journal import Made
from camera_nano.batch.plan import JobAt
from camera_nano.recipe import Merging


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job."""

    job: JobAt[Any]
    # kept: nothing made, as `kept` is there; unmerged: photos that were to be merged and do not fit stay single
    status: Literal["done", "skipped", "kept", "failed", "unmerged"]
    error: str | None = None  # one line, where it failed
    notes: tuple[str, ...] = ()  # for people, a line each
    is_disk_full: bool = False
    took_ms: float = 0.0
    made: tuple[Made, ...] = ()
    kept: tuple[str, ...] = ()  # outputs left alone: others have made or changed what is there
    input_stamp: tuple[int, int] = (0, 0)  # as in `Files.stamp`, before the photo was read
    input_digest: str = ""
    is_lasting: bool = False  # it failed because of the photo itself, so it would fail again
    looks_finished: bool = False  # so the model left its light as it is
    was_done: bool = False  # counted as done before, and gone at the end of the run
    is_old: bool = False  # it failed in an earlier run, and was not tried again
    merging: Merging | None = None  # where it was merged now

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "input": str(self.job.input),
            "outputs": [str(path) for path in self.job.outputs],
            "status": self.status,
            "error": self.error,
            "notes": list(self.notes),
            "kept": list(self.kept),
            "looks_finished": self.looks_finished,
            "merged_from": [str(photo) for photo in self.job.photos] if self.job.others else [],
            "n_used": self.merging and self.merging.n_used,
            "measured_ev": self.merging and self.merging.range_ev,
            "took_ms": self.took_ms,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of photos; `not_started` is above 0 only where the run was stopped."""

    done: int
    skipped: int
    failed: int
    failed_before: int  # of those that failed: in an earlier run, and not tried again
    not_started: int
    out_of_space: bool
    is_interrupted: bool = False
    look_finished: int = 0  # of those that are done: the model left their light as it is
    kept: int = 0  # outputs, not photos: left alone, as others have made or changed what is there
    merged: int = 0  # of those that are done: of several photos
    unmerged: int = 0  # groups that do not fit after all

    def __str__(self) -> str:
        text = f"{self.done} done, {self.skipped} there already, {self.failed} failed"
        if self.merged:
            text += f"; {self.merged} of those done are merged from several photos (--merge off leaves that)"
        if self.unmerged:
            text += f"; {self.unmerged} groups do not fit, and stay single photos"
        if self.look_finished:
            text += f"; {self.look_finished} look finished and keep their light (--assume captured changes that)"
        if self.kept:
            text += f"; {self.kept} outputs left alone, as what is there is not as batch made it (--force replaces it)"
        if self.failed_before:
            text += f" ({self.failed_before} of them in an earlier run: --retry-failed tries them again)"
        if self.out_of_space:
            text += f", {self.not_started} not started: no space left; free some and start again"
        elif self.not_started:
            why = "interrupted, start again to go on" if self.is_interrupted else "too many failures"
            text += f", {self.not_started} not started: {why}"
        return text


class Tally:
    """Counts results as they come, and keeps none of them: there may be millions."""

    def __init__(self) -> None:
        self.n_new_failures, self.n_finished, self.n_kept, self.is_disk_full = 0, 0, 0, False
        self.n_merged = 0
        self._counts: Counter[str] = Counter()

    def add(self, result: Result) -> None:
        """Count one more."""
        self._counts[result.status] += 1
        self._counts["done"] -= result.was_done
        self.n_new_failures += result.status == "failed" and not result.is_old
        self.n_finished += result.looks_finished
        self.n_merged += bool(result.job.others) and (result.status == "done") - result.was_done
        self.n_kept += len(result.kept)
        self.is_disk_full |= result.is_disk_full

    def summary(self, n_jobs: int | None = None, *, is_interrupted: bool = False) -> Summary:
        """The counts of a run of `n_jobs`; None says that all of them were started."""
        done, skipped, failed = (self._counts[status] for status in ("done", "skipped", "failed"))
        not_started = 0 if n_jobs is None else n_jobs - self._counts.total()
        old = failed - self.n_new_failures
        is_full, kept = self.is_disk_full, self.n_kept
        return Summary(
            done, skipped, failed, old, not_started, is_full, is_interrupted, self.n_finished, kept,
            self.n_merged, self._counts["unmerged"],
        )  # fmt: skip


def one_line(job: JobAt[Any], error: Exception, path: Path | None) -> str:
    """Why a job failed, for people. `path` is where its photo was read, which may be a copy."""
    if isinstance(error, MemoryError):
        text = f"{job.input} needs more memory than there is: use fewer --threads, or reduce it"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or job.input}: {error.strerror}"
    elif isinstance(error, ValueError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    if path is not None:
        text = text.replace(str(path), str(job.input))
    if str(job.input) not in text:
        text = f"{job.input}: {text}"
    return " ".join(text.split())
