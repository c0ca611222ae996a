"""Words for light: the web app's parser beside the package's."""

import json

import pytest
from static_site import Site

from camera_nano.looks import known_phrases, parse
from camera_nano.values import CONTROLS

pytestmark = pytest.mark.browser

PHRASES = [
    "golden", "warm evening light", "slightly darker with open shadows", "+0.5 EV, saturation -20%", "half dramatic",
    "between natural and golden", "evening light, slightly darker, saturation -20%", "very warm", "30% golden",
    "darker by 0.5 EV", "contrast +20%", "+30 mired", "much brighter, hold the sky", "Warm Light From The Left!",
    "golden, slightly cooler", "−1 EV", "less contrast", "high-key", "golden-hour", "extremely vivid", "hdr 50%",
    "a bit more saturation", "50% dramatic and warm", "shadows +1", "ev 0.3", "from behind", "", "bananas", "warm cool",
    "5600 K", "+20", "very", "between golden", "between golden and warm", "less golden", "exposure +9",
    "night, saturation 0%", "contrast 200%", "1.5 stops brighter", "it is the mood of a photo", "golden 0 ev",
    "warm 12", "brighter by 3 EV",
]  # fmt: skip
PARSED = """async ({ url, phrases }) => {
  const { parse } = await import(`${url}pwa/words.js`);
  const { constants } = await import(`${url}pwa/constants.js`);
  const looks = new Map(Object.entries(constants.looks));
  return phrases.map((text) => {
    try { return parse(text, looks); } catch (error) { return { refused: error.message }; }
  });
}"""


def told(text, looks):
    try:
        understood = parse(text, looks)
    except ValueError as error:
        return {"refused": str(error)}
    controls = {name: getattr(understood.look, name) for name in CONTROLS}
    return {"name": understood.look.name, "controls": controls, "parts": [list(part) for part in understood.parts]}


def test_every_phrase_is_understood_alike(browser, app_folder, editor):
    known = known_phrases(editor.looks)
    phrases = [*PHRASES, *known, *(f"slightly {a}, {b}" for a, b in zip(known, known[7:], strict=False))]
    site, page = Site(app_folder), browser.new_page()
    try:
        page.goto(f"{site.url}static/icon.svg")
        made = page.evaluate(PARSED, {"url": site.url, "phrases": phrases})
    finally:
        page.close()
        site.close()
    n_refused = 0
    for text, ours in zip(phrases, made, strict=True):
        wanted = told(text, editor.looks)
        assert ("refused" in ours) == ("refused" in wanted), (text, ours, wanted)
        if "refused" in wanted:
            n_refused += 1
            continue
        assert ours["name"] == wanted["name"] and json.dumps(ours["parts"]) == json.dumps(wanted["parts"]), text
        assert ours["controls"] == pytest.approx(wanted["controls"], abs=1e-4), text
    assert 10 < n_refused < len(phrases) / 2
