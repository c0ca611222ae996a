"""The recipe of a look's file: all that decides its bytes beside the photo, and where the file itself carries it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from camera_nano.metadata import Metadata
from camera_nano.values import Look
from camera_nano.version import __version__
from camera_nano.xmp import get, parse_xmp, with_properties

# IPTC NewsCodes, digital source type; see also IPTC's guidance on AI in photo metadata
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
CAPTURE, EDITED_BY_MODEL = f"{_SOURCE_TYPES}digitalCapture", f"{_SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
_AGENT = f"camera_nano {__version__}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides the bytes of an output beside its input. `model` is a digest of the weights."""

    look: Look
    strength: float
    n_steps: int
    format: str
    model: str
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the inverse of `from_dict`."""
        others = {name: getattr(self, name) for name in self.__slots__ if name != "look"}
        return {"look": self.look.as_dict(), **others}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Recipe:
        """Raises ValueError where it is none."""
        try:
            return cls(**{**told, "look": Look(**told["look"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a recipe: {error}") from error

    def digest(self) -> str:
        """SHA-256, hex."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


def marked(metadata: Metadata, recipe: Recipe, origin: str) -> Metadata:
    """Metadata that says what was done: that a trained model has changed the picture, and how to do it again.

    `origin` is the name of the photo. Strength 0 has changed nothing, so the source type stays what it was.
    """
    told = {"xmp:CreatorTool": _AGENT, "cameraNano:recipe": json.dumps(recipe.as_dict(), sort_keys=True)}
    if recipe.strength > 0:
        told["Iptc4xmpExt:DigitalSourceType"] = EDITED_BY_MODEL
    done = f"look {recipe.look.name}, strength {recipe.strength:g}, seed {recipe.seed}, of {origin}"
    event = {"action": "edited", "softwareAgent": _AGENT, "parameters": done}
    return replace(metadata, xmp=with_properties(metadata.xmp, told, event))


def marked_capture(metadata: Metadata) -> Metadata:
    """Metadata that says: straight from a camera."""
    told = {"xmp:CreatorTool": _AGENT, "Iptc4xmpExt:DigitalSourceType": CAPTURE}
    return replace(metadata, xmp=with_properties(metadata.xmp, told, {}))


def read_recipe(metadata: Metadata) -> Recipe:
    """The recipe in a file's metadata. Raises ValueError where there is none, or none that can be read."""
    packet = metadata.xmp
    text = get(parse_xmp(packet), "cameraNano:recipe") if packet else None
    if text is None:
        raise ValueError("it carries no recipe: it was not made by camera_nano, or its XMP was removed")
    try:
        told = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not a recipe: {error}") from error
    if not isinstance(told, dict):
        raise ValueError("not a recipe")
    return Recipe.from_dict(told)
