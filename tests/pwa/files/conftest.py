"""The web app's modules in an empty page of real Chromium, which is served nothing else."""

import base64
import json
from pathlib import Path

import pytest

import camera_nano.web

WEB = Path(camera_nano.web.__file__).parent
ORIGIN = "https://pwa.test/"  # a browser hashes, and keeps files, for secure origins only


@pytest.fixture
def page(browser):
    """An empty page that may import modules; `page.files` are more files, by their paths."""
    context = browser.new_context()
    page = context.new_page()
    page.files = {"": b"<!doctype html><title>empty</title>"}

    def answer(route):
        path = route.request.url.removeprefix(ORIGIN)
        if path in page.files:
            kind = "text/html" if not path else "application/octet-stream"
            route.fulfill(body=page.files[path], content_type=kind)
        else:
            route.fulfill(path=WEB / path, content_type="text/javascript")

    context.route(f"{ORIGIN}**", answer)
    page.goto(ORIGIN)
    yield page
    context.close()


@pytest.fixture
def run(page):
    """A function that runs an async JavaScript function in the page; a Blob that it gives comes back as bytes."""

    def _run(function, value=None):
        told = page.evaluate(
            """async (asked) => {
              const made = await (0, eval)(asked.function)(asked.value);
              if (!(made instanceof Blob)) return { value: made };
              return new Promise((then) => {
                const reader = new FileReader();
                reader.onload = () => then({ bytes: reader.result.split(",")[1] });
                reader.readAsDataURL(made);
              });
            }""",
            {"function": f"({function})", "value": json.loads(json.dumps(value))},
        )
        return base64.b64decode(told["bytes"]) if "bytes" in told else told.get("value")

    return _run
