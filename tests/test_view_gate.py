"""Who is let in: the real server on loopback, spoken to over a socket as a browser would, and as none would."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from store_samples import sample
from viewer import Served, made, make_images, make_store, served


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gate")
    images = make_images(folder / "images", 2)
    (folder / "secret.txt").write_text("secret")
    (folder / "images" / "unasked.png").write_bytes((folder / "images" / "0.png").read_bytes() + b"\0")
    make_store(folder / "run", [made(0, 0, images), made(0, 1, images), sample(1, 0)])
    with served(folder / "run", folder / "images") as viewer:
        yield viewer


def ask(
    at: Served, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """With a cookie unless it is given as empty; header names have _ for -."""
    host = urlsplit(at.root).netloc
    port = host.partition(":")[2]
    sent = {"Host": host, "Cookie": f"gadfly-{port}={at.token}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
        connection.endheaders(None if body is None else body.encode())
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


PATHS = ("/", "/live", "/probes", "/probe/1", "/label", "/static/view.css", "/thumb/x")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_the_token(at: Served, path: str) -> None:
    assert ask(at, path, Cookie="")[0] == 401
    assert ask(at, f"{path}?token=guess", Cookie="")[0] == 401
    port = urlsplit(at.root).port
    assert ask(at, path, Cookie=f"gadfly-{port}=guess")[0] == 401
    assert ask(at, path)[0] == (404 if path == "/thumb/x" else 200)


def test_the_token_gives_a_cookie_that_scripts_and_other_sites_cannot_use(at: Served) -> None:
    status, headers, _ = ask(at, f"/?token={at.token}", Cookie="")
    assert status == 303 and headers["Location"] == "/"  # the address bar keeps no token
    cookie = headers["Set-Cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "domain" not in cookie
    assert len(at.token) >= 43  # 32 random bytes


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "127.0.0.1:1", "localhost.example.org:{port}", ""])
def test_another_host_is_refused(at: Served, host: str) -> None:
    port = urlsplit(at.root).port
    assert 400 <= ask(at, "/probes", Host=host.format(port=port))[0] < 500


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1:1", "http://localhost.evil"])
def test_another_origin_is_refused(at: Served, origin: str) -> None:
    assert ask(at, "/probes", Origin=origin)[0] == 403
    assert ask(at, "/label", "POST", "number=1&verdict=RIGHT&drawn=1", Origin=origin)[0] == 403
    assert ask(at, "/label", "POST", "number=1&verdict=RIGHT&drawn=1")[0] == 403  # a form says where it comes from
    assert ask(at, "/live", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403


def test_it_listens_on_loopback_only(at: Served) -> None:
    import socket

    port = urlsplit(at.root).port
    assert urlsplit(at.root).hostname == "127.0.0.1"
    # Another address of the loopback network is refused, which a socket bound to all addresses would take.
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port or 0), timeout=5):
        pass


def test_pages_may_load_and_call_nothing_else(at: Served) -> None:
    for path in PATHS:
        headers = ask(at, path)[1]
        assert headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "..%2Fsecret.txt", "%2e%2e/secret.txt", "/etc/passwd", "%2Fetc%2Fpasswd", "0.png", "0" * 64],
)
def test_pictures_are_served_by_the_hash_of_what_the_run_asked_about_and_nothing_else(at: Served, name: str) -> None:
    for kind in ("image", "thumb", "static"):
        assert ask(at, f"/{kind}/{name}")[0] == 404
    import hashlib

    images = at.folder.parent / "images"
    asked = hashlib.sha256((images / "0.png").read_bytes()).hexdigest()
    unasked = hashlib.sha256((images / "unasked.png").read_bytes()).hexdigest()
    status, headers, data = ask(at, f"/image/{asked}")
    assert status == 200 and headers["Content-Type"] == "image/png" and data.startswith(b"\x89PNG")
    assert ask(at, f"/image/{unasked}")[0] == 404


def test_what_makes_no_sense_is_refused_not_a_crash(at: Served) -> None:
    own = at.root
    for body in ("", "number=1", "number=x&verdict=RIGHT", "number=1&verdict=BAD", "number=1&verdict=" + "x" * 9999):
        assert ask(at, "/label", "POST", body, Origin=own)[0] == 400
    assert ask(at, "/label", "POST", "number=999999&verdict=RIGHT", Origin=own)[0] == 404
    assert ask(at, "/probe/999999")[0] == 404
    assert ask(at, "/probe/99999999999999999999999")[0] == 404
    assert ask(at, "/", "DELETE")[0] == 405
    for query in ("before=x", "first=-1", "verdict=NO", "group=1.2", "skill=%00", "q=%22%20OR%20*", "q=%ff%00", "n=0"):
        assert ask(at, f"/probes?{query}")[0] == 200
        assert ask(at, f"/label?{query}&phase=%ff")[0] == 200
    # A redirect leads nowhere else.
    headers = ask(at, "/label", "POST", "number=1&verdict=RIGHT&back=//example.org", Origin=own)[1]
    assert headers["Location"] == "/label"


def test_the_viewer_looks_as_reports_do() -> None:
    """Every colour of the one is a colour of the other."""
    import re
    from importlib.resources import files

    css = (files("gadfly.view") / "static" / "view.css").read_text("utf-8")
    tokens = (files("gadfly.report") / "assets" / "tokens.css").read_text("utf-8")
    colours = set(re.findall(r"#[0-9a-f]{6}", css))
    assert len(colours) > 20 and colours <= set(re.findall(r"#[0-9a-f]{6}", tokens))


@pytest.mark.slow
def test_the_command_says_where_it_is_and_ends_with_ctrl_c(at: Served) -> None:
    import signal
    import subprocess
    import sys
    import urllib.request

    command = [sys.executable, "-m", "gadfly", "view", str(at.folder), "--no-open", "--labeller", "bob"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        address = line.split()[-1]
        assert address.startswith("http://127.0.0.1:") and "/?token=" in address
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert b"run-1" in opener.open(address, timeout=20).read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()
