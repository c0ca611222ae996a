"""Behind a proxy on the same machine, where everybody seems to be local; with a real nginx where there is one."""

import json
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection

import pytest
from live_server import say, see
from websockets.sync.client import connect

from camera_nano.cli import main
from camera_nano.web import server
from camera_nano.web.pairing import COOKIE, Pairing

FORWARDED = ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything"]
TELL = """proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"""


@pytest.fixture
def start_nginx(tmp_path):
    """A function that starts nginx with these lines in its server; gives the port it listens on."""
    missing = [program for program in ("nginx", "openssl") if shutil.which(program, path="/usr/sbin:/usr/bin") is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed: apt-get install nginx-light openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", cert], check=True, capture_output=True)
    running = []

    def _start(lines):
        with server.bind("127.0.0.1", 0) as free:
            port = free.getsockname()[1]
        folders = " ".join(
            f"{kind}_temp_path {tmp_path}/t;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = tmp_path / "nginx.conf"
        config.write_text(
            f"""daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}}
            http {{ access_log off; {folders}
            map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
            server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; {lines} }} }}"""
        )
        nginx = subprocess.Popen(
            [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", config], stderr=subprocess.PIPE
        )
        running.append(nginx)
        while nginx.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=30).close()
                return port
            except ConnectionRefusedError:
                continue
        raise AssertionError(nginx.stderr.read())

    yield _start
    for nginx in running:
        nginx.terminate()
        nginx.wait(30)
        nginx.stderr.close()


def unverified():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def status_of(port, path, **headers):
    with closing(HTTPSConnection("127.0.0.1", port, timeout=30, context=unverified())) as connection:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status


@pytest.mark.parametrize("header", FORWARDED)
def test_what_was_forwarded_is_not_local(start_live, header):
    live = start_live(pairing=Pairing())
    assert live.get("/api/status").status == 200
    assert live.get("/api/status", **{header: "127.0.0.1"}).status == 401


def test_without_pairing_nobody_is_passed_on(start_live):
    live = start_live()
    assert live.get("/api/status").status == 200 and live.get("/api/status", via="1.1 proxy").status == 401


def test_this_device_can_be_made_to_pair(start_live):
    live = start_live(pairing=Pairing(), pairs_local=True)
    assert live.get("/api/status").status == 401 and live.get("/pair").status == 200


def test_other_names_and_a_final_dot(start_live):
    live = start_live(allow_hosts=["photos.example.org"])
    for host in ("photos.example.org", "Photos.Example.ORG.", "photos.example.org:443", "localhost."):
        assert live.get("/", host=host).status == 200, host
    for host in ("example.org", "photos.example.org..", "photos.example.org.evil.example", "."):
        assert live.get("/", host=host).status == 403, host


@pytest.mark.parametrize("host", ["::1", "::"])
def test_the_address_that_is_printed_for_ipv6_opens_the_page(start_live, host):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        server.bind(host, 0).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error.strerror}")
    live = start_live(pairing=Pairing(), host=host)
    with closing(HTTPConnection(live.address, timeout=30)) as connection:
        connection.request("GET", "/pair")
        assert connection.getresponse().status == 200
    port = live.address.rpartition(":")[2]
    with closing(HTTPConnection("127.0.0.1" if host == "::" else "::1", int(port), timeout=30)) as connection:
        connection.request("GET", "/api/status")  # it comes from ::ffff:127.0.0.1: local all the same
        assert connection.getresponse().status == 200


def test_a_plain_nginx_lets_nobody_in(start_live, start_nginx):
    live = start_live(pairing=Pairing())
    port = start_nginx(f"location / {{ proxy_pass http://{live.address}; }}")
    assert live.get("/api/status").status == 200
    for path in ("/", "/api/status", "/api/shots", "/stream.mjpg"):
        assert status_of(port, path) == 401, path


@pytest.mark.parametrize("end", ["", "/"], ids=["with its path", "without its path"])
def test_a_site_shows_the_page_at_a_path(start_live, start_nginx, end):
    codes = []
    live = start_live(
        pairing=Pairing(codes.append), pairs_local=True, root_path="/camera", allow_hosts=["photos.example.org"]
    )
    port = start_nginx(f"location /camera/ {{ proxy_pass http://{live.address}{end}; {TELL} }}")
    site = {"Host": "photos.example.org"}
    assert status_of(port, "/camera/", **site) == 401 and status_of(port, "/camera/pair", **site) == 200
    with closing(HTTPSConnection("127.0.0.1", port, timeout=30, context=unverified())) as connection:
        body = json.dumps({"code": codes[0]})
        foreign = site | {"Origin": "https://evil.example"}
        for headers, status in ((foreign, 403), (site | {"Origin": "https://photos.example.org"}, 204)):
            connection.request("POST", "/camera/api/pair", body, headers)
            answer = connection.getresponse()
            assert answer.status == status, answer.read()
            answer.read()
    cookie, *flags = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith(COOKIE) and {"Path=/camera", "Secure", "HttpOnly", "SameSite=strict"} <= set(flags)
    for path in ("/camera/", "/camera/api/status", "/camera/static/app.js"):
        assert status_of(port, path, Cookie=cookie, **site) == 200, path
    live.release()
    origin = {"origin": "https://photos.example.org", "additional_headers": {"Cookie": cookie}}
    at = {"sock": socket.create_connection(("127.0.0.1", port), timeout=30), "ssl": unverified(), "proxy": None}
    with connect("wss://photos.example.org/camera/ws", max_size=None, **origin, **at) as page:
        see(page, lambda header: header["frame_id"] == 0)
        say(page, "ready")


@pytest.mark.browser
def test_a_browser_pairs_and_looks_through_a_proxy(browser, start_live, start_nginx):
    codes = []
    live = start_live(pace_s=0.05, pairing=Pairing(codes.append), pairs_local=True, root_path="/camera")
    port = start_nginx(f"location /camera/ {{ proxy_pass http://{live.address}/; {TELL} }}")
    context = browser.new_context(ignore_https_errors=True)
    with closing(context):
        page = context.new_page()
        page.goto(f"https://localhost:{port}/camera/pair#{codes[0]}")
        page.wait_for_url(f"https://localhost:{port}/camera/")
        page.wait_for_selector("#view[data-frame-id]")
        page.keyboard.press("Space")
        page.wait_for_selector(".toast[data-original]")
        page.click("[data-opens=gallery]")
        page.click(".shot")
        page.wait_for_function("() => document.getElementById('pair-original').naturalWidth === 512")
        [cookie] = context.cookies()
        assert cookie["secure"] and cookie["httpOnly"] and cookie["path"] == "/camera"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "99999"], "no port"),
        (["--port", "-1"], "no port"),
        (["--allow-host", "https://x/"], "no name"),
        (["--root-path", "/a b"], "no path"),
    ],
)
def test_addresses_that_cannot_be_are_told_with_code_2(flags, words, tmp_path, capsys):
    assert main(["live", "--source", "demo", "--out", str(tmp_path), *flags]) == 2
    assert words in capsys.readouterr().err


def test_a_taken_port_and_an_old_server_are_told_with_code_3(tmp_path, capsys, monkeypatch):
    with server.bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert main(["live", "--source", "demo", "--out", str(tmp_path), "--port", port]) == 3
    assert port in capsys.readouterr().err
    monkeypatch.setattr(server.uvicorn, "__version__", "0.9.1")
    assert main(["live", "--source", "demo", "--out", str(tmp_path), "--port", "0"]) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert "uvicorn 0.9.1 is too old" in said and "pip install" in said
