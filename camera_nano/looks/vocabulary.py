"""The vocabulary of light: phrases, and what each changes in the controls of a look."""

from __future__ import annotations

from itertools import product

# of each control: the range that the model was trained on, and the unit
RANGES: dict[str, tuple[float, float, str]] = {
    "ev": (-2.0, 1.5, "EV"),
    "hdr": (0.0, 1.0, ""),
    "contrast": (-0.5, 0.6, ""),
    "highlights": (-1.5, 2.0, "EV"),
    "shadows": (-1.5, 1.5, "EV"),
    "temperature": (-1.2, 1.2, "hundred mired"),
    "saturation": (-0.6, 0.5, ""),
}
Change = dict[str, float]


def _each(words: str, meaning: Change) -> dict[str, Change]:
    """Phrases separated by commas, all with this meaning."""
    return {phrase.strip(): meaning for phrase in words.split(",")}


def _paired(first: str, second: str, meaning: Change) -> dict[str, Change]:
    """Every word of the first list followed by every word of the second, all with this meaning."""
    return {f"{a} {b}": meaning for a, b in product(first.split(), second.split())}


SYNONYMS = {
    "natural": "neutral, plain, well lit, balanced",
    "hdr": "high dynamic range, wide range",
    "bright": "high key, airy",
    "golden": "golden hour, sunset, sunrise, evening, late afternoon, low sun",
    "blue-hour": "dusk, twilight, dawn",
    "dramatic": "moody, low key",
    "soft": "gentle, dreamy, pastel",
    "night": "nighttime, moonlight, moonlit, midnight",
}
CHANGES: dict[str, Change] = {
    **_each("warm, warmer, amber", {"temperature": 0.5}),
    **_each("cool, cooler, cold, colder, bluish", {"temperature": -0.5}),
    **_each("candlelit, candlelight", {"temperature": 0.9, "ev": -0.4}),
    **_each("sunny", {"temperature": 0.2, "ev": 0.2, "contrast": 0.15, "saturation": 0.1}),
    **_each("morning", {"temperature": 0.25, "ev": 0.15, "contrast": -0.05}),
    **_each("overcast, cloudy", {"temperature": -0.15, "contrast": -0.2, "saturation": -0.1}),
    **_each("brighter, lighter", {"ev": 0.5}),
    **_each("dark, darker, dim, dimmer", {"ev": -0.5}),
    **_each("contrasty, punchy, crisp, hard, harder", {"contrast": 0.2}),
    **_each("flat, flatter, softer, matte", {"contrast": -0.2}),
    **_each("vivid, colourful, colorful, saturated, rich, richer", {"saturation": 0.25}),
    **_each("muted, pale, paler, faded, desaturated, washed out", {"saturation": -0.25}),
    **_paired("open opened lift lifted bright brighter lighter", "shadow shadows", {"shadows": 0.8}),
    **_paired("deep deeper dark darker crushed", "shadow shadows", {"shadows": -0.8}),
    **_paired("hold held recover recovered soft softer dark darker", "highlights sky", {"highlights": -0.7}),
    **_paired("bright brighter glowing", "highlights sky lamps", {"highlights": 0.7}),
}
NOUNS: dict[str, Change] = {  # may take a number; without one, they change by this step
    **_each("exposure, brightness, ev", {"ev": 0.5}),
    **_each("contrast", {"contrast": 0.2}),
    **_each("highlights", {"highlights": 0.7}),
    **_each("shadows", {"shadows": 0.8}),
    **_each("temperature, warmth", {"temperature": 0.5}),
    **_each("saturation, colour, color", {"saturation": 0.25}),
}
DEGREES = {
    **dict.fromkeys(("slightly", "a bit", "a little", "a touch", "somewhat", "half"), 0.5),
    **dict.fromkeys(("very", "much", "a lot", "strongly"), 1.6),
    **dict.fromkeys(("extremely",), 2.2),
    **dict.fromkeys(("more", "high", "higher"), 1.0),
    **dict.fromkeys(("less", "low", "lower"), -1.0),
}
_LEFT, _RIGHT, _BACK = {"light_azimuth_deg": -90.0}, {"light_azimuth_deg": 90.0}, {"light_azimuth_deg": 180.0}
DIRECTIONS: dict[str, Change] = {  # kept in the look, but without effect in this model
    **_each("from the left, from left, left, window light", _LEFT),
    **_each("from the right, from right, right, from the side, sidelit, side light", _RIGHT),
    **_each("from behind, from the back, behind, backlit, backlight, rim light", _BACK),
    **_each("from above, above, top light, overhead", {"light_elevation_deg": 80.0}),
    **_each("from the front, frontal", {"light_azimuth_deg": 0.0}),
}
# words without a meaning of their own
FILLERS = frozenset(
    _each(
        "a, an, and, at, but, by, colors, colours, feeling, for, give, image, in, is, it, light, lighting, lights, "
        "lit, look, looks, make, mood, of, photo, picture, please, the, to, tone, tones, with",
        {},
    )
)
