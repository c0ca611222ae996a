"""Marks in a file's XMP that say how it was made: source type, history, ancestry and recipe.

Source types are IPTC's (cv.iptc.org/newscodes/digitalsourcetype); history and ancestry are those of XMP, part 2
(ISO 16684-1 and Adobe's "Additional Properties", 1.2.4 and 2.3). Nothing depends on when or where a file is made: the
same photo and recipe give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import replace
from datetime import datetime

from camera_nano.files.metadata import SOFTWARE, Metadata, edit_xmp, xmp_texts
from camera_nano.files.xmp import Properties, plain
from camera_nano.recipe import CAPTURED, COMPOSITE, ENHANCED, MERGED, Merging, Recipe
from camera_nano.values import Pixels

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
RECIPE = "Xmp.cameraNano.recipe"
SOURCE_TYPE = "Xmp.iptcExt.DigitalSourceType"
_BY_WEIGHT = (
    CAPTURED,
    MERGED,
    ENHANCED,
    COMPOSITE,
    "trainedAlgorithmicMedia",
)  # from the least change to the most: a mark keeps the heaviest
_PARENT, _HISTORY = re.compile(r"^Xmp\.xmpMM\.DerivedFrom"), re.compile(r"^Xmp\.xmpMM\.History")
_EVENT = re.compile(r"Xmp\.xmpMM\.History\[(\d+)\]")
_LARGEST_XMP = 50_000  # bytes; leaves room for a gain map's directory in the one segment that a JPEG has for XMP
_SAMPLE_STEP = 32


def marked(metadata: Metadata, recipe: Recipe, origin: str, samples: Pixels | None = None) -> Metadata:
    """The metadata of a photo -> that of a look of it, with marks that say what was changed, and the recipe.

    `origin` is the file name of the photo. `samples` are some of its pixels, see `samples_of`: the ids of the new file
    are made from them, too, so that they are unique. XMP of the photo that is too long to stand in every format beside
    the marks is left out, with a line in `problems`.
    """
    done = (
        f"look {plain(recipe.look.name)}, strength {recipe.strength:g}, seed {recipe.seed}, {recipe.n_steps} steps, "
        f"model {plain(recipe.model) or 'none'}, of {plain(origin)}"
    )
    done += f", {plain(recipe.merging.told)}" if recipe.merging else ""
    name = recipe.digest().encode() + origin.encode(errors="replace") + (metadata.exif or b"")
    if samples is not None:
        name += samples.tobytes()

    def edit(found: Properties) -> None:
        was = found.texts()
        if recipe.source_type:
            _weigh(found, was, recipe.source_type)
        found.drop(_PARENT)
        photo = "" if samples is None else photo_digest(samples)
        found[RECIPE] = json.dumps(replace(recipe, photo=photo).as_dict(), sort_keys=True)
        # the photo is the parent of the new file; `_sign_in` keeps the first ancestor
        for part in ("DocumentID", "InstanceID"):
            if parent := was.get(f"Xmp.xmpMM.{part}"):
                found[f"Xmp.xmpMM.DerivedFrom/stRef:{part[0].lower()}{part[1:]}"] = parent
        found["Xmp.xmpMM.DerivedFrom/stRef:filePath"] = plain(origin)
        _sign_in(found, was, {"action": "edited", "parameters": done}, name)

    packet = edit_xmp(metadata.xmp, edit)
    if len(packet or b"") <= _LARGEST_XMP:
        return replace(metadata, xmp=packet)
    problem = f"the photo's XMP of {len(metadata.xmp or b'')} bytes is too long to stand beside the marking: left out"
    return replace(metadata, xmp=edit_xmp(None, edit), problems=(*metadata.problems, problem))


def samples_of(photo: Pixels) -> Pixels:
    """Some of the pixels of a photo (H, W, 3), enough to tell it from others."""
    return photo[::_SAMPLE_STEP, ::_SAMPLE_STEP]


def photo_digest(samples: Pixels) -> str:
    """What tells a photo from others in the files made of it: SHA-256, hex, of its `samples_of`."""
    return hashlib.sha256(samples.tobytes()).hexdigest()


def marked_capture(metadata: Metadata, at: datetime) -> Metadata:
    """The metadata of a new picture, with marks that say that a camera took it; `at` is when its exposure began."""

    def edit(found: Properties) -> None:
        _weigh(found, {}, CAPTURED)
        event = {"action": "created", "when": at.isoformat(timespec="milliseconds")}
        _sign_in(found, {}, event, metadata.exif or b"")

    return replace(metadata, xmp=edit_xmp(metadata.xmp, edit))


def marked_merge(metadata: Metadata, merging: Merging) -> Metadata:
    """The metadata of a photo -> that of light merged from it and others, with marks that say so."""

    def edit(found: Properties) -> None:
        was = found.texts()
        _weigh(found, was, MERGED)
        _sign_in(found, was, {"action": "edited", "parameters": plain(merging.told)}, repr(merging).encode())

    return replace(metadata, xmp=edit_xmp(metadata.xmp, edit))


def _weigh(found: Properties, was: dict[str, str], source_type: str) -> None:
    before = was.get(SOURCE_TYPE, "").strip().rpartition("/")[2]
    found[SOURCE_TYPE] = SOURCE_TYPES + [name for name in _BY_WEIGHT if name in (before, source_type)][-1]


def _sign_in(found: Properties, was: dict[str, str], event: dict[str, str], name: bytes) -> None:
    """Add an event to the history, and the ids of the new file, made from `name`: what tells it from other files."""
    of = hashlib.sha256(name + json.dumps(was).encode()).hexdigest()
    document, instance = (f"xmp.{kind}:{uuid.uuid5(uuid.NAMESPACE_OID, kind + of)}" for kind in ("did", "iid"))
    number = max((int(match[1]) for key in was if (match := _EVENT.match(key))), default=0) + 1
    if number == 1:
        found.drop(_HISTORY)  # one of another form
    for key, text in (event | {"softwareAgent": SOFTWARE, "instanceID": instance}).items():
        found[f"Xmp.xmpMM.History[{number}]/stEvt:{key}"] = text
    first = was.get("Xmp.xmpMM.OriginalDocumentID") or was.get("Xmp.xmpMM.DocumentID")
    found["Xmp.xmpMM.InstanceID"], found["Xmp.xmpMM.DocumentID"] = instance, document
    found["Xmp.xmpMM.OriginalDocumentID"] = first or document
    found["Xmp.xmp.CreatorTool"] = SOFTWARE


def read_recipe(metadata: Metadata) -> Recipe:
    """The recipe in a file's metadata. Raises ValueError if there is none, or it cannot be read."""
    text = xmp_texts(metadata.xmp).get(RECIPE) if metadata.xmp else None
    if text is None:
        raise ValueError("it carries no recipe: it was not made by camera_nano, or its XMP was removed")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a recipe: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("not a recipe")
    return Recipe.from_dict(values)
