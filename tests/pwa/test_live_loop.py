"""The web app's live loop goes on, whatever fails on its way once, and says what failed."""

import pytest
from test_app import LIVE, App

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# `failing` is how often a step is to fail from now on
FAILS = """
window.failing = 0;
const fails = (owner, name, how) => {
  const whole = owner[name];
  owner[name] = function (...given) {
    const of = window.failing > 0 && how(given);
    if (!of) return whole.apply(this, given);
    window.failing--;
    window.isGivenUpSoon = true;
    return of();
  };
};
const refused = () => Promise.reject(new Error("no room for a picture"));
const thrown = () => { throw new Error("no room for a picture"); };
const never = () => new Promise(() => {});
const asks = (name, how) => fails(window, "createImageBitmap", ([of, options]) => {
  if (of instanceof HTMLVideoElement) return name === "camera" && how;
  return name === (options?.colorSpaceConversion ? "view" : "model") && of instanceof HTMLCanvasElement && how;
});
"""
STEPS = {
    "the camera's picture": "asks('camera', refused);",
    "the picture for the model": "asks('model', refused);",
    "the picture that is drawn": "asks('view', refused);",
    "the question to the model": "fails(Worker.prototype, 'postMessage', ([of]) => of.asked && thrown);",
}
NEVER = """
const clock = window.setTimeout;
window.setTimeout = (then, ms, ...given) => {
  const isShort = ms === 60_000 && window.isGivenUpSoon; // the longest wait, of the step that has just failed
  if (isShort) window.isGivenUpSoon = false;
  return clock(then, isShort ? 2000 : ms, ...given);
};
"""
SILENT = {
    "a camera's picture that never comes": "asks('camera', never);",
    "a drawing that never ends": "asks('view', never);",
    "a model that never answers": "fails(Worker.prototype, 'postMessage', ([of]) => of.asked && (() => {}));",
}
UNSAID = "fails(HTMLVideoElement.prototype, 'requestVideoFrameCallback', () => () => 0);"


@pytest.fixture
def live(browser, site):
    """A function that opens the app with this script, and waits for looks of its camera, if it has one."""
    opened = []

    def _live(init, has_camera=True):
        opened.append(App(browser, site, has_camera=has_camera, init=FAILS + init))
        if has_camera:
            opened[-1].wait_looks()
        return opened[-1]

    yield _live
    for app in opened:
        app.close()
        assert app.problems == []


def wait_for_news(app, n=2):
    """Wait for views of new proposals of new frames."""
    for _ in range(n):
        shown = {name: app.page.get_attribute("#view", f"data-{name}-id") for name in ("proposal", "frame")}
        olds = "".join(f':not([data-{name}-id="{number}"])' for name, number in shown.items())
        app.page.wait_for_selector(f"#view{olds}")


def fail(app, n=1):
    """Let the step fail, and wait until it has."""
    app.page.evaluate(f"window.failing = {n}")
    app.page.wait_for_function("() => window.failing === 0")


@pytest.mark.parametrize("step", STEPS)
def test_what_fails_is_told_and_tried_again(live, step):
    app = live(STEPS[step])
    fail(app)
    app.page.wait_for_selector(".toast.error:has-text('no room for a picture')", state="attached")
    wait_for_news(app)


@pytest.mark.parametrize("step", SILENT)
def test_what_is_never_answered_is_given_up_and_told(live, step):
    app = live(NEVER + SILENT[step])
    fail(app)
    app.page.wait_for_selector(".toast.error", state="attached")
    wait_for_news(app)


def test_pictures_that_the_browser_does_not_announce_are_shown(live):
    app = live(UNSAID)
    fail(app, n=2)
    wait_for_news(app)


def test_a_photo_whose_looks_fail_is_tried_again(live):
    app = live(STEPS["the question to the model"], has_camera=False)
    app.page.evaluate("window.failing = 1")
    app.open_photo(LIVE)
    assert app.page.evaluate("window.failing") == 0


def test_the_camera_starts_however_late_the_page_comes(browser, site):
    context = browser.new_context(permissions=["camera"])
    page, held = context.new_page(), []
    page.route("**/static/app.js", lambda route: held.append(route))
    page.goto(site.url, wait_until="commit")
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/pwa/offline.js'))"
    )
    for _ in range(20):  # what the start of the app asks first has been answered by then
        page.evaluate("navigator.permissions.query({ name: 'camera' }).then(() => new Promise(requestAnimationFrame))")
    held[0].continue_()
    page.wait_for_selector("#view[data-frame-id]")
    context.close()
