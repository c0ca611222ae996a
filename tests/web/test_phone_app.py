"""The web app that needs no server, handed out beside the page."""

import json

import pytest

from camera_nano.cli import main
from camera_nano.web.pairing import Pairing


@pytest.fixture
def app_folder(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>app</title>")
    return folder


def test_devices_that_are_not_paired_may_have_it(start_live, app_folder):
    live = start_live(pairing=Pairing(lambda code: None), pairs_local=True, phone_app=app_folder)
    answer = live.get("/phone/")
    assert answer.status == 200 and b"app" in answer.read()
    assert "'wasm-unsafe-eval'" in answer.getheader("Content-Security-Policy")
    for path in ("/", "/phonebook", "/phone/../api/status"):
        other = live.get(path)
        assert other.status in (401, 404)
        assert other.status == 404 or "wasm" not in other.getheader("Content-Security-Policy")


@pytest.mark.browser
def test_the_page_leads_there(browser, start_live, app_folder):
    page = browser.new_page()
    for live, is_there in ((start_live(phone_app=app_folder), True), (start_live(), False)):
        assert json.loads(live.get("/api/status").read())["has_phone_app"] is is_there
        page.goto(live.url)
        page.wait_for_selector("body[data-settled=true]")
        page.click("[data-opens=settings]")
        assert page.is_visible("#phone-app a") is is_there
        if is_there:
            page.click("#phone-app a")
            page.wait_for_url(f"{live.url}phone/")
            assert page.title() == "app"
    page.close()


def test_it_is_not_there_unless_asked_for(start_live):
    assert start_live().get("/phone/").status == 404


def test_a_folder_that_holds_none_is_told(tmp_path, capsys):
    assert main(["live", "--phone-app", str(tmp_path), "--out", str(tmp_path / "shots")]) == 2
    assert "pwa.sh" in capsys.readouterr().err
