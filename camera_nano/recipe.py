"""What decides the bytes of a look's file, apart from the photo: how the look is made, and what is written with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from camera_nano.formats import WRITTEN
from camera_nano.values import ASSUMED, CONTROLS, Assume, Look

# IPTC's words for how a picture was made (cv.iptc.org/newscodes/digitalsourcetype)
CAPTURED, ENHANCED, COMPOSITE = "digitalCapture", "algorithmicallyEnhanced", "compositeWithTrainedAlgorithmicMedia"
MERGED = "computationalCapture"  # several frames to one, without a trained model
ASPECTS = ("", "1:1", "4:3", "16:9")  # "" is the photo's own
_LARGEST_CONTROL, _MOST_STEPS, SEEDS = 16.0, 64, 1 << 53


@dataclass(frozen=True, slots=True)
class Merging:
    """What a picture was merged from: photos, or frames of a camera, which have no names; and what came of it."""

    n_used: int  # how many of them count, see `merge.Merged`
    range_ev: float  # stops above the white of one of them that were measured, not estimated by the model
    photos: tuple[tuple[str, str], ...] = ()  # the name of each file, and its photo's `photo_digest`

    @classmethod
    def from_values(cls, values: Any) -> Merging:
        """Read what a recipe's `as_dict` gave. Raises ValueError for anything else."""
        try:
            photos = tuple((str(name), str(digest)) for name, digest in values["photos"])
            return cls(int(values["n_used"]), float(values["range_ev"]), photos)
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError("the recipe is damaged: it does not say what was merged") from error

    @property
    def told(self) -> str:
        """One line for people."""
        names = ", ".join(name for name, _ in self.photos)
        measured = f", {self.range_ev:.1f} EV above white measured" if self.range_ev else ""
        if not self.photos:
            return f"merged from {self.n_used} frames{measured}"
        return f"merged from {names}: {self.n_used} of {len(self.photos)} used{measured}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a look is made. The same photo, recipe and `Labels` give the same bytes.

    `model` is the engine and the digest of its weights (`model_id`); it is empty where formulas made the look instead
    of a model. Where `is_live`, the edit field was smoothed over the frames before: the frame alone gives nearly the
    same picture. `assume` is what the photo was taken for, see `seams.Editor`; `aspect` is what the look was cut to,
    one of `ASPECTS`. `photo` is the `photo_digest` of that which a file was made of: it decides nothing, and is empty
    in a recipe that comes from no file. So it is with `merging`, which is None where nothing was merged.
    """

    look: Look
    strength: float
    n_steps: int
    format: str
    model: str
    seed: int = 0
    is_live: bool = False
    assume: Assume = "auto"
    aspect: str = ""
    photo: str = field(default="", compare=False)
    merging: Merging | None = field(default=None, compare=False)

    @property
    def source_type(self) -> str | None:
        """IPTC's word for a picture made like this; None at strength 0, which changes nothing."""
        return None if self.strength == 0 else COMPOSITE if self.model else ENHANCED

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the inverse of `from_dict`."""
        late = ("aspect", "photo")  # said where they are set: older recipes keep their digests
        others = {name: getattr(self, name) for name in self.__slots__ if name not in ("look", "merging", *late)}
        others |= {name: value for name in late if (value := getattr(self, name))}
        others |= {"merging": asdict(self.merging)} if self.merging else {}
        return {"look": self.look.as_dict(), **others}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Read what `as_dict` gave. Raises ValueError for anything else, as a file may hold anything."""
        try:
            merging = Merging.from_values(values["merging"]) if values.get("merging") else None
            recipe = cls(**{**values, "look": Look(**values["look"]), "merging": merging})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a recipe: {error}") from error
        numbers = {name: (getattr(recipe.look, name), -_LARGEST_CONTROL, _LARGEST_CONTROL) for name in CONTROLS}
        numbers["strength"] = recipe.strength, 0, 1
        whole = {"n_steps": (recipe.n_steps, 1, _MOST_STEPS), "seed": (recipe.seed, 0, SEEDS)}
        for name, (value, low, high) in (numbers | whole).items():
            if type(value) not in ((int,) if name in whole else (int, float)) or not low <= value <= high:
                raise ValueError(f"the recipe is damaged: {name} is {value!r:.40}")
        if recipe.format not in ("auto", *WRITTEN):
            raise ValueError(f"the recipe is damaged: format is {recipe.format!r:.40}")
        if recipe.assume not in ASSUMED:
            raise ValueError(f"the recipe is damaged: assume is {recipe.assume!r:.40}")
        if recipe.aspect not in ASPECTS:
            raise ValueError(f"the recipe is damaged: aspect is {recipe.aspect!r:.40}")
        if not all(isinstance(text, str) for text in (recipe.look.name, recipe.model, recipe.photo)):
            raise ValueError("the recipe is damaged: the name of look, model or photo is no text")
        return recipe

    def digest(self) -> str:
        """SHA-256, hex."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Labels:
    """What goes into a file besides the pixels."""

    marking: bool = True  # source type, history and recipe
    location: bool = True  # where the photo was taken, if it says so
    signature: bool = False  # Content Credentials, by this device's own key (extra `c2pa`)

    def key(self, recipe: Recipe) -> str:
        """SHA-256, hex, of a recipe and these labels: the key by which a journal knows what was asked for."""
        text = json.dumps([recipe.digest(), asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
