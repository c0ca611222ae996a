"""Folders of photos through the same looks. Other rooms take what they need from here; Ray's runner is in `ray`.

jobs = plan([photos], out, looks, "auto")
with Journal(out) as journal, Decoder() as decoder:
    print(run(jobs, Maker(editor, recipes, decoder), journal))
"""

from camera_nano.batch.estimate import Estimate, estimate
from camera_nano.batch.journal import FOLDER, Journal
from camera_nano.batch.merging import MergedPhotos, developed, digest_of, merge_photos, open_photos
from camera_nano.batch.photo import Maker, check_other, looks_of, make_look
from camera_nano.batch.plan import NOTHING_MADE, Claims, Job, JobAt, PhotoAt, arrange, find, plan, shard
from camera_nano.batch.report import write_contact_sheet, write_html
from camera_nano.batch.results import Result, Summary, Tally
from camera_nano.batch.run import RunPolicy, run
from camera_nano.batch.scenes import add_groups
from camera_nano.batch.watch import watch

__all__ = [
    "FOLDER",
    "NOTHING_MADE",
    "Claims",
    "Estimate",
    "Job",
    "JobAt",
    "Journal",
    "Maker",
    "MergedPhotos",
    "PhotoAt",
    "Result",
    "RunPolicy",
    "Summary",
    "Tally",
    "add_groups",
    "arrange",
    "check_other",
    "developed",
    "digest_of",
    "estimate",
    "find",
    "looks_of",
    "make_look",
    "merge_photos",
    "open_photos",
    "plan",
    "run",
    "shard",
    "watch",
    "write_contact_sheet",
    "write_html",
]
