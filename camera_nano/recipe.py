"""The recipe of a look's file: all that decides its bytes beside the photo, and how the file itself tells it.

Source types are IPTC's (cv.iptc.org/newscodes/digitalsourcetype); history and ancestry are those of XMP, part 2
(ISO 16684-1 and Adobe's "Additional Properties", 1.2.4 and 2.3). Nothing depends on when or where a file is made, so
that the same photo and recipe give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import exiv2

from camera_nano.blocks import RECIPE, xmp_texts
from camera_nano.encode import EXTENSION_OF_FORMAT
from camera_nano.metadata import SOFTWARE, Metadata, edit_xmp, plain
from camera_nano.metadata import xmp_texts as texts_of
from camera_nano.values import CONTROLS, Look, Pixels

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = "Xmp.iptcExt.DigitalSourceType"
CAPTURED, ENHANCED, COMPOSITE = "digitalCapture", "algorithmicallyEnhanced", "compositeWithTrainedAlgorithmicMedia"
_BY_WEIGHT = (CAPTURED, ENHANCED, COMPOSITE, "trainedAlgorithmicMedia")  # an edit never makes a mark lighter
_EVENT = re.compile(r"Xmp\.xmpMM\.History\[(\d+)\]")
_LARGEST_XMP = 50_000  # with its header inside one JPEG segment, with room for a gain map's directory
_LARGEST_CONTROL, _MOST_STEPS, _SEEDS = 16.0, 64, 1 << 53
_SAMPLE_STEP = 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides the bytes of an output beside its input.

    `model` is engine and digest of the weights; empty for plain curves, which no model has drawn. Where `is_live`, the
    field was steadied over the frames before: one frame alone gives nearly the same picture.
    """

    look: Look
    strength: float
    n_steps: int
    format: str
    model: str
    seed: int = 0
    is_live: bool = False

    @property
    def source_type(self) -> str | None:
        """IPTC's word for a picture made so; None at strength 0, which changes nothing."""
        return None if self.strength == 0 else COMPOSITE if self.model else ENHANCED

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the inverse of `from_dict`."""
        others = {name: getattr(self, name) for name in self.__slots__ if name != "look"}
        return {"look": self.look.as_dict(), **others}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Recipe:
        """Raises ValueError where it is none, or a number in it is not possible: files may say anything."""
        try:
            recipe = cls(**{**told, "look": Look(**told["look"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a recipe: {error}") from error
        numbers = {name: (getattr(recipe.look, name), -_LARGEST_CONTROL, _LARGEST_CONTROL) for name in CONTROLS}
        numbers["strength"] = recipe.strength, 0, 1
        whole = {"n_steps": (recipe.n_steps, 1, _MOST_STEPS), "seed": (recipe.seed, 0, _SEEDS)}
        for name, (value, low, high) in (numbers | whole).items():
            if type(value) not in ((int,) if name in whole else (int, float)) or not low <= value <= high:
                raise ValueError(f"the recipe is damaged: {name} is {value!r:.40}")
        if recipe.format not in ("auto", *EXTENSION_OF_FORMAT):
            raise ValueError(f"the recipe is damaged: format is {recipe.format!r:.40}")
        if not (isinstance(recipe.look.name, str) and isinstance(recipe.model, str)):
            raise ValueError("the recipe is damaged: the name of look or model is no text")
        return recipe

    def digest(self) -> str:
        """SHA-256, hex."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


def marked(metadata: Metadata, recipe: Recipe, origin: str, photo: Pixels | None = None) -> Metadata:
    """The metadata of a photo -> that of a look of it: what has changed the picture, and how to do it again.

    `origin` is the file name of the photo, `photo` its pixels (H, W, 3), which make the new file's own name unique.
    Foreign XMP too long to stand beside the marking in every format gives way.
    """
    done = (
        f"look {plain(recipe.look.name)}, strength {recipe.strength:g}, seed {recipe.seed}, {recipe.n_steps} steps, "
        f"model {plain(recipe.model) or 'none'}, of {plain(origin)}"
    )
    name = recipe.digest().encode() + origin.encode(errors="replace") + (metadata.exif or b"")
    if photo is not None:
        name += photo[::_SAMPLE_STEP, ::_SAMPLE_STEP].tobytes()

    def edit(found: exiv2.XmpData) -> None:
        was = xmp_texts(found)
        if recipe.source_type:
            _weigh(found, was, recipe.source_type)
        for key in was:
            if key.startswith("Xmp.xmpMM.DerivedFrom"):
                del found[key]
        found[RECIPE] = json.dumps(recipe.as_dict(), sort_keys=True)
        # the photo is the parent, and its first ancestor stays known
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


def marked_capture(metadata: Metadata, at: datetime) -> Metadata:
    """The metadata of a fresh picture -> that of one straight from a camera, whose exposure began `at`."""

    def edit(found: exiv2.XmpData) -> None:
        _weigh(found, {}, CAPTURED)
        event = {"action": "created", "when": at.isoformat(timespec="milliseconds")}
        _sign_in(found, {}, event, metadata.exif or b"")

    return replace(metadata, xmp=edit_xmp(metadata.xmp, edit))


def _weigh(found: exiv2.XmpData, was: dict[str, str], source_type: str) -> None:
    before = was.get(SOURCE_TYPE, "").strip().rpartition("/")[2]
    found[SOURCE_TYPE] = SOURCE_TYPES + [name for name in _BY_WEIGHT if name in (before, source_type)][-1]


def _sign_in(found: exiv2.XmpData, was: dict[str, str], event: dict[str, str], name: bytes) -> None:
    """One more event of the history, and the names that a new file has, made of what tells it from others."""
    of = hashlib.sha256(name + json.dumps(was).encode()).hexdigest()
    document, instance = (f"xmp.{kind}:{uuid.uuid5(uuid.NAMESPACE_OID, kind + of)}" for kind in ("did", "iid"))
    number = max((int(match[1]) for key in was if (match := _EVENT.match(key))), default=0) + 1
    if number == 1:
        events = exiv2.XmpTextValue()
        events.setXmpArrayType(exiv2.XmpValue.XmpArrayType.xaSeq)
        found["Xmp.xmpMM.History"] = events
    for key, text in (event | {"softwareAgent": SOFTWARE, "instanceID": instance}).items():
        found[f"Xmp.xmpMM.History[{number}]/stEvt:{key}"] = text
    first = was.get("Xmp.xmpMM.OriginalDocumentID") or was.get("Xmp.xmpMM.DocumentID")
    found["Xmp.xmpMM.InstanceID"], found["Xmp.xmpMM.DocumentID"] = instance, document
    found["Xmp.xmpMM.OriginalDocumentID"] = first or document
    found["Xmp.xmp.CreatorTool"] = SOFTWARE


def read_recipe(metadata: Metadata) -> Recipe:
    """The recipe in a file's metadata. Raises ValueError where there is none, or none that can be read."""
    text = texts_of(metadata.xmp).get(RECIPE) if metadata.xmp else None
    if text is None:
        raise ValueError("it carries no recipe: it was not made by camera_nano, or its XMP was removed")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a recipe: {error}") from error
    if not isinstance(told, dict):
        raise ValueError("not a recipe")
    return Recipe.from_dict(told)
