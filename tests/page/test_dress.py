"""A look changed by formula in the browser, ahead of the model, beside what the model then says, in real Chromium."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import camera_nano.web
from camera_nano.light import condition, shrink
from camera_nano.light.render import render
from camera_nano.looks import RANGES
from camera_nano.sources.demo import DemoCamera
from camera_nano.values import CONTROLS, EditField, Frame

pytestmark = pytest.mark.browser

STATIC = Path(camera_nano.web.__file__).parent / "static"
REDRESSED = """async ({ grid, whiteEv, from, to }) => {
  const { redressed } = await import("/dress.js");
  const made = redressed({ grid: new Uint16Array(grid), whiteEv }, from, to);
  return { grid: Array.from(made.grid), whiteEv: made.whiteEv };
}"""
STEPS = {"ev": 0.5, "contrast": 0.2, "highlights": 0.7, "shadows": 0.8, "temperature": 0.5}


@pytest.fixture(scope="module")
def page(browser):
    """An empty page that has the modules alone."""
    page = browser.new_page()
    page.route("http://light.test/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.route("**/*.js", lambda route: route.fulfill(path=STATIC / route.request.url.rpartition("/")[2]))
    page.goto("http://light.test/")
    yield page
    page.close()


def halves(field):
    return field.grid.astype("<f2").view("<u2").ravel().tolist()


def redressed(page, field, look, wanted):
    asked = {"grid": halves(field), "whiteEv": field.white_ev}
    made = page.evaluate(REDRESSED, asked | {"from": look.named_controls(), "to": wanted.named_controls()})
    return EditField(np.array(made["grid"], np.float32).reshape(field.grid.shape), tuple(made["whiteEv"]))


@pytest.fixture(scope="module")
def captures(photo, dark_photo):
    """As a camera takes them: well lit, too dark, and with light that clips."""
    room, backlit = (next(DemoCamera(scene, (320, 180), pace=False).frames()).pixels for scene in ("room", "backlit"))
    return [shrink(photo, 256), shrink(dark_photo, 256), room, backlit]


@pytest.mark.parametrize("control", STEPS)
def test_it_is_near_to_what_the_model_says_then(page, captures, editor, control):
    errors = []
    for pixels in captures:
        seen = condition(Frame(pixels))
        for name in ("natural", "golden"):
            for step in (STEPS[control], -STEPS[control]):
                look = editor.looks[name]
                wanted = replace(look, **{control: getattr(look, control) + step})
                before, after = editor.propose(seen, [look, wanted], assume="captured")
                answer = render(pixels, after).astype(int)
                shown = (render(pixels, field) for field in (before, redressed(page, before, look, wanted)))
                errors.append([(abs(made - answer).mean(), np.percentile(abs(made - answer), 99)) for made in shown])
    (old_mean, old_p99), (mean, p99) = np.mean(errors, axis=0)
    print(f"{control}: mean {old_mean:.2f} -> {mean:.2f} codes, 99th percentile {old_p99:.1f} -> {p99:.1f}")
    assert mean < 0.6 * old_mean and p99 < 0.7 * old_p99


def test_nothing_wanted_changes_nothing(page, captures, editor):
    look = editor.looks["golden"]
    [field] = editor.propose(condition(Frame(captures[2])), [look], assume="captured")
    same = redressed(page, field, look, look)
    assert abs(same.grid - field.grid).max() < 0.01
    assert abs(np.subtract(same.white_ev, field.white_ev)).max() < 0.01
    assert np.array_equal(same.headroom_ev, field.headroom_ev.astype(np.float16).astype(np.float32))


@pytest.mark.training
def test_it_dresses_light_as_training_does(page, rng):
    import torch

    from camera_nano.nn.tone import dress

    light = rng.random((400, 3)) ** 3
    for _ in range(8):
        controls = {name: float(rng.uniform(*RANGES[name][:2])) for name in CONTROLS}
        controls["temperature"] *= 0.8  # beyond, training meets the end of its table of colours
        told = torch.tensor([[controls[name] for name in CONTROLS]])
        expected = dress(torch.tensor(light.T[None, :, :, None]).float(), told)[0, :, :, 0].T
        script = "async ({ light, controls }) => light.map((await import('/dress.js')).dress(controls))"
        made = page.evaluate(script, {"light": light.tolist(), "controls": controls})
        assert abs(np.array(made) - expected.numpy()).max() < 2e-3


def test_the_answer_takes_over_without_a_jump(page, captures, editor):
    look = editor.looks["golden"]
    wanted = replace(look, highlights=-0.7)
    seen = condition(Frame(captures[3]))
    before, after = editor.propose(seen, [look, wanted], assume="captured")
    fields = [
        {"look": "golden", "controls": of.named_controls(), "grid": halves(field), "whiteEv": field.white_ev}
        for of, field in ((look, before), (wanted, after))
    ]
    script = """async ({ fields, wanted }) => {
      const { Ahead } = await import("/ahead.js");
      let now = 0;
      performance.now = () => now;
      const ahead = new Ahead();
      const [before, after] = fields.map((field) => ({ ...field, grid: new Uint16Array(field.grid) }));
      const at = (ms, field) => {
        now = ms;
        return ahead.of(field, wanted);
      };
      const seen = [at(0, before), at(100, after), at(200, after)];
      now = 2000;
      const isOver = !ahead.isEasing; // also where nobody asks for this look any more
      seen.push(at(2000, after));
      const told = seen.slice(0, 3).map(({ field, isAhead }) => ({ grid: Array.from(field.grid), isAhead }));
      return [told, isOver && seen[3].field === after && !ahead.isEasing];
    }"""
    (first, second, third), has_ended = page.evaluate(script, {"fields": fields, "wanted": wanted.named_controls()})
    assert [each["isAhead"] for each in (first, second, third)] == [True, False, False]
    at_once = np.subtract(second["grid"], first["grid"])
    gap = after.grid.ravel() - first["grid"]
    assert abs(at_once).max() < 0.01 and abs(gap).max() > 0.1
    assert np.allclose(np.subtract(third["grid"], first["grid"]), 0.4 * gap, atol=0.01)
    assert has_ended
