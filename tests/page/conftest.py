"""The page, opened in a real browser."""

import pytest
from live_server import LOOKS


@pytest.fixture
def live(start_live):
    """A camera that plays itself, with looks."""
    live = start_live(pace_s=0.05)
    assert live.session.wait_proposal(0, timeout_s=60)
    return live


@pytest.fixture
def open_page(browser, live):
    """A function that opens the page, past its tour; console errors fail the test."""
    contexts, problems = [], []

    def _open(tour=False, **options):
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(live.url)
        page.wait_for_selector(f'.tile[data-look="{LOOKS[-1]}"][data-frame-id]')
        if not tour:
            page.click("#tour-done")
        return page

    yield _open
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page):
    """The page, open."""
    return open_page()
