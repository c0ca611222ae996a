"""Closed by default: what foreign pages, foreign names, strangers on the network and endless requests get."""

import http.client
import json
import re
import socket
import threading
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from live_server import hear, say, see
from websockets.exceptions import InvalidStatus

import camera_nano.web
from camera_nano.cli import main
from camera_nano.web import server
from camera_nano.web.guard import SECURITY_HEADERS
from camera_nano.web.pairing import COOKIE, Pairing

TRAVERSALS = (
    "../server.py ..%2fserver.py %2e%2e/server.py %2e%2e%2fserver.py %252e%252e%252fserver.py ..\\server.py "
    "..%5cserver.py /etc/passwd %2fetc%2fpasswd app.js%00 ..;/server.py ....//server.py static/../../server.py C:/x"
)
STATE_CHANGES = [("DELETE", "/api/shots/1"), ("POST", "/api/pair")]


@pytest.fixture
def network(start_live, monkeypatch):
    """A server that pairs, which takes every client for one of the network."""
    codes = []
    monkeypatch.setattr("camera_nano.web.guard._is_on_this_device", lambda scope: False)
    live = start_live(pairing=Pairing(codes.append))
    live.codes = codes
    return live


STATIC = Path(camera_nano.web.__file__).parent / "static"


def post(live, path, body, **headers):
    with closing(http.client.HTTPConnection(live.address, timeout=30)) as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer


def pair(live, code):
    return post(live, "/api/pair", json.dumps({"code": code}))


def test_on_the_network_nothing_is_there_until_a_code_is_used(network):
    for path in ("/", "/api/status", "/api/shots", "/api/shots/1/original", "/stream.mjpg", "/api/moments/1.jpg"):
        assert network.get(path).status == 401, path
    for path in ("/ws", "/ws/camera"):
        with pytest.raises(InvalidStatus, match="403"):
            network.open(path=path)
    assert network.get("/api/shots/1", "DELETE").status == 401
    for path in ("/pair", "/static/pair.js", "/static/style.css"):
        assert network.get(path).status == 200, path
    assert pair(network, "wrong").status == 403
    answer = pair(network, network.codes[-1])
    assert answer.status == 204
    cookie, *flags = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith(f"{COOKIE}=") and {"HttpOnly", "SameSite=strict", "Path=/"} <= set(flags)
    assert network.get("/api/status", cookie=cookie).status == 200
    network.open(additional_headers={"Cookie": cookie})
    for wrong in (f"{COOKIE}=", f"{COOKIE}={'x' * 43}", "other=1", f'{COOKIE}="', "é=1"):
        assert network.get("/api/status", cookie=wrong.encode()).status == 401, wrong


def test_a_code_works_once_and_the_next_one_is_shown(network):
    [code] = network.codes
    assert pair(network, code).status == 204 and pair(network, code).status == 403
    assert len(network.codes) == 2 and pair(network, network.codes[-1]).status == 204
    assert len(set(network.codes)) == 3 and min(map(len, network.codes)) >= 43  # 32 bytes


def test_who_guesses_is_not_listened_to_and_the_code_stays(network):
    assert [pair(network, "guess").status for _ in range(25)] == [403] * 20 + [429] * 5
    assert pair(network, network.codes[0]).status == 429
    neighbour = post(network, "/api/pair", json.dumps({"code": network.codes[0]}), **{"X-Forwarded-For": "192.0.2.7"})
    assert neighbour.status == 204 and len(network.codes) == 2


def test_what_is_no_code_is_refused_in_words(network):
    for body in (
        "",
        "{}",
        "[]",
        '{"code": 5}',
        '{"code": "é"}',
        '{"code": "\\ud800"}',
        "not json",
        "[" * 16_000,
        "9" * 400,
    ):
        assert post(network, "/api/pair", body.encode()).status == 403, body[:20]


def test_this_device_needs_no_code(start_live):
    live = start_live(pairing=Pairing())
    assert live.get("/api/status").status == 200
    live.open()


def test_the_network_is_let_in_only_when_asked_for(capsys, tmp_path):
    assert main(["live", "--source", "demo", "--host", "0.0.0.0", "--out", str(tmp_path)]) == 2
    assert "--lan" in capsys.readouterr().err
    assert main(["live", "--source", "demo", "--tls-cert", "a.pem", "--out", str(tmp_path)]) == 2


@pytest.mark.parametrize(("method", "path"), STATE_CHANGES)
def test_only_our_own_page_changes_anything(start_live, method, path):
    live = start_live()
    own = f"http://{live.address}"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": own.replace("http", "ftp")},
        {"Origin": own, "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    ):
        assert live.get(path, method, **headers).status == 403, headers
    # nothing to delete, nobody to pair: past the guard it is another answer
    passed = {"DELETE": (404, b"there is no shot 1"), "POST": (403, b"this code is not valid (any more)\n")}[method]
    for headers in ({}, {"Origin": own}, {"Origin": own, "Sec_Fetch_Site": "same-origin"}):
        answer = live.get(path, method, content_length="0", **headers)
        assert (answer.status, answer.read()) == passed, headers


def test_no_get_changes_anything_and_there_are_no_docs(live):
    for path in ("/docs", "/redoc", "/openapi.json", "/admin", "/api", "/api/shoot"):
        assert live.get(path).status == 404, path
    for method in ("POST", "PUT", "PATCH"):
        assert live.get("/api/shots/1", method, content_length="0").status == 405


def test_odd_numbers_names_and_origins_are_refused_in_words(live):
    digits = "9" * 400
    for path, headers in {
        f"/api/shots/{digits}": {},
        f"/api/shots/{digits * 20}/original": {},
        f"/api/moments/{digits}.jpg": {},
        f"/api/hdr/{digits}/{digits}/golden.jpg?strength={digits}": {},
        "/api/hdr/1/1/golden.jpg?strength=nan": {},
        "/api/shots/1": {"origin": "http://[x"},
        "/api/shots/2": {"origin": "[" * 16_000},
        "/api/shots/3": {"host": "[" * 16_000},
        "/api/shots/4": {"content_length": digits},
        "/api/shots/5": {"content_length": "٣".encode()},
        "/api/shots/6": {"cookie": "[" * 16_000},
    }.items():
        for method in ("GET", "DELETE"):
            answer = live.get(path, method, **headers)
            assert 400 <= answer.status < 500 or (answer.status == 200 and "/api/hdr" in path), (
                path[:60],
                answer.status,
            )
            if "content_length" not in headers:  # those are refused before there is a request
                assert {name: answer.getheader(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS, path[:60]
    socket_ = live.open()
    for number in (digits, f"-{digits}", "1e400", "NaN", digits * 20):
        for text in (
            f'{{"type": "tone", "highlights": {number}, "shadows": 0}}',
            f'{{"type": "strength", "value": {number}}}',
        ):
            socket_.send(text)
            assert hear(socket_, "error")["message"]


def test_an_error_of_ours_has_the_security_headers(live, monkeypatch):
    monkeypatch.setattr(live.session, "status", lambda: 1 // 0)
    answer = live.get("/api/status")
    assert answer.status == 500 and b"terminal" in answer.read()
    assert {name: answer.getheader(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: "])
@pytest.mark.parametrize("homes", [["127.0.0.1"], ["127.0.0.2"], [f"127.0.1.{n}" for n in range(10)]])
def test_half_open_connections_lock_nobody_out(start_live, begun, homes):
    live = start_live()
    host, _, port = live.address.partition(":")
    with ExitStack() as opened:
        for n in range(260):
            source = (homes[n % len(homes)], 0)
            half = opened.enter_context(closing(socket.create_connection((host, int(port)), 30, source_address=source)))
            half.sendall(begun)
        assert live.get("/api/status").status == 200
        live.open()


def test_traversal_finds_nothing(live, tmp_path):
    (tmp_path / "shots").mkdir(exist_ok=True)
    for secret in TRAVERSALS.split():
        for root in ("/static/", "/api/shots/1/", "/static/../", "/"):
            answer = live.get(root + secret)
            assert answer.status in (400, 404), root + secret
            assert b"uvicorn" not in answer.read()
    assert live.get("/static/app.js").status == 200


def test_an_endless_upload_is_cut_early(live):
    process = psutil.Process()
    before = process.memory_info().rss
    answer = live.get("/api/pair", "POST", content_length=str(2 << 30))
    assert answer.status == 413
    with closing(socket.create_connection(live.address.split(":"), timeout=30)) as stream:
        stream.sendall(
            f"POST /api/pair HTTP/1.1\r\nHost: {live.address}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        n_sent = 0
        with pytest.raises(OSError):
            for _ in range(2 << 14):
                stream.sendall(chunk)
                n_sent += len(chunk)
            raise AssertionError("two gigabytes were taken")
    assert n_sent < 64 << 20
    assert process.memory_info().rss - before < 64 << 20
    assert live.get("/api/status").status == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nHost: ", b"POST /api/pair HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\n{"]
)
def test_a_request_that_trickles_is_cut_while_others_are_served(start_live, monkeypatch, begun):
    monkeypatch.setattr(server, "_REQUEST_S", 0.5)
    live = start_live()
    with closing(socket.create_connection(live.address.split(":"), timeout=30)) as slow:
        slow.sendall(begun.replace(b"%s", live.address.encode()))
        assert live.get("/api/status").status == 200
        try:
            while True:
                slow.settimeout(0.1)
                try:
                    if slow.recv(1000) == b"":
                        break
                except TimeoutError:
                    slow.sendall(b"x")  # it does go on, but for ever
        except OSError:
            pass
    socket_ = live.open()  # a WebSocket is not a request that never ends
    live.release()
    see(socket_, lambda header: True)
    threading.Event().wait(1)
    live.release()
    say(socket_, "ready")
    see(socket_, lambda header: header["frame_id"] == 1)


def test_a_foreign_host_is_refused(start_live):
    live = start_live()
    port = live.address.partition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "user@127.0.0.1", "[::1", "a:b"):
        for path in ("/", "/api/status", "/static/app.js", "/stream.mjpg"):
            assert live.get(path, host=host).status == 403, host
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example"):
        with pytest.raises(InvalidStatus, match="403"):
            live.open(host)
    for host in ("127.0.0.1", f"localhost:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert live.get("/", host=host).status == 200, host


def test_another_sites_page_cannot_use_the_camera(start_live):
    live = start_live()
    own = f"http://{live.address}"
    refused = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": own.replace("127.0.0.1", "localhost")},
        {"Origin": own + ".evil.example"},
        {"Origin": own.replace("http", "file")},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    )
    for headers in refused:
        with pytest.raises(InvalidStatus, match="403"):
            live.open(additional_headers=headers)
    for headers in ({}, {"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}):
        assert hear(live.open(additional_headers=headers), "status")["source"] == "playback"
    assert live.get("/stream.mjpg", sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status == 403
    assert live.get("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200


def test_another_sites_page_is_not_told_which_shots_there_are(live):
    live.session.commit(1, None, []).result(30)
    embedded = (("cross-site", "no-cors", "image"), ("same-site", "no-cors", "image"), ("same-site", "cors", "empty"))
    framed = [
        (site, "navigate", dest) for site in ("cross-site", "same-site") for dest in ("iframe", "object", "embed")
    ]
    for site, mode, dest in (*embedded, *framed):
        named = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": dest}
        answers = [live.get(f"/api/shots/{number}/original", **named) for number in (1, 2)]
        assert [(answer.status, answer.read()) for answer in answers] == 2 * [
            (403, b"another site's page may not use the camera\n")
        ], named
    own = {"sec_fetch_site": "same-origin", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    assert [live.get(f"/api/shots/{number}/original", **own).status for number in (1, 2)] == [200, 404]
    linked = {"sec_fetch_site": "same-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert live.get("/", **linked).status == 200


def test_security_headers_are_on_every_answer(start_live):
    live = start_live()
    for path, status in {"/": 200, "/static/app.js": 200, "/api/status": 200, "/nothing": 404}.items():
        answer = live.get(path)
        assert answer.status == status
        assert {name: answer.getheader(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert live.get("/", host="evil.example").getheader("content-security-policy")
    assert live.get("/static/../server.py").status == live.get("/static/%2e%2e/server.py").status == 404
    assert live.get("/", method="POST").status == live.get("/api/status", method="POST").status == 405
    assert live.get("/docs").status == live.get("/openapi.json").status == 404


def test_nothing_served_reaches_outside_or_runs_inline(start_live):
    live = start_live()
    paths = ["/", *(f"/static/{path.name}" for path in STATIC.iterdir())]
    assert {"/static/index.html", "/static/app.js", "/static/style.css", "/static/icon.svg"} < set(paths)
    for path in paths:
        answer = live.get(path)
        text = answer.read().decode()
        assert answer.status == 200 and text
        addresses = re.findall(r"(?:https?|wss?)://[\w.]+[^\s\"'`<]*", text)
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path  # a name, not a place
        assert not re.search(r"(?:src|href|url\(|@import|from)\s*=?\s*[\"']?//", text), path
        if path.endswith((".html", "/")):
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text)


PRESS = """new Promise((done) => {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws`);
  const press = { type: "shoot", frame_id: 1, proposal_id: null, look: null, strength: 1 };
  socket.onopen = () => socket.send(JSON.stringify(press));
  socket.onmessage = ({ data }) => {
    if (typeof data === "string" && JSON.parse(data).type === "shot") done(JSON.parse(data).frame_id);
  };
})"""
HOSTILE = Path(__file__).with_name("hostile.html").read_text(encoding="utf-8")


@contextmanager
def serving(page):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://localhost:{httpd.server_port}"  # another site than 127.0.0.1
        httpd.shutdown()
        thread.join()


@pytest.mark.browser
def test_a_hostile_page_in_a_real_browser(browser, live):
    """It fires no shutter and reads nothing, while our own page can do each of these things."""
    target = f"http://{live.address}"
    live.session.commit(1, None, []).result(30)
    with serving(HOSTILE.replace("TARGET", target)) as foreign:
        page = browser.new_page()
        page.goto(foreign)
        page.wait_for_function("document.title === 'done'", timeout=60_000)
        found = page.evaluate("window.found")
        page.close()
    assert found == {"status": "", "delete": "", "post": found["post"], "image": "", "socket": "", "frame": ""}
    assert len(live.session.album.shots()) == 1
    own = browser.new_page()
    own.goto(f"{target}/pair")
    assert "source" in own.evaluate("fetch('/api/status').then(r => r.text())")
    assert own.evaluate(PRESS) == 1 and len(live.session.album.shots()) == 2
    assert own.evaluate("fetch('/api/shots/1', {method: 'DELETE'}).then(r => r.status)") == 204
    own.close()


@pytest.mark.browser
def test_a_phone_pairs_by_the_address_that_is_shown(browser, network):
    page = browser.new_page()
    page.goto(f"http://{network.address}/pair#{network.codes[0]}")
    page.wait_for_url(f"http://{network.address}/")
    network.release()
    page.wait_for_selector("#view[data-frame-id]")
    page.close()
    late = browser.new_context()  # another phone, with the code that was used
    page = late.new_page()
    page.goto(f"http://{network.address}/pair#{network.codes[0]}")
    page.wait_for_selector("#code-form:not([hidden])")
    assert "not valid any more" in page.inner_text("#said") and "#" not in page.url
    late.close()
