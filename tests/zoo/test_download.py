"""Servers that send too much, nothing more, or elsewhere."""

import functools
import http.server
import threading
import time
import types
import urllib.request

import pytest
from marks import once

from tfflows import zoo
from tfflows.zoo import download
from tfflows.zoo.model_card import MAX_CARD_BYTES, read_card, write_card

pytestmark = once


@pytest.fixture
def server(zoo_model, tmp_path, monkeypatch):
    """A server of `zoo_model` whose `bad` answers for the files that it names."""
    monkeypatch.setenv("TFFLOWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFFLOWS_ZOO", raising=False)
    state = types.SimpleNamespace(bad={}, sent=0)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            answer = state.bad.get(self.path.rpartition("/")[2])
            try:
                answer(self) if answer else super().do_GET()
            except OSError:  # the client is gone
                self.close_connection = True

    handler = functools.partial(Handler, directory=zoo_model.parent)
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{served.server_port}/realnvp-digits"
    yield state
    served.shutdown()
    served.server_close()


def flood(state, handler):
    handler.send_response(200)
    handler.end_headers()
    while state.sent < 2**26:
        handler.wfile.write(b" " * 2**16)
        state.sent += 2**16


def stall(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.wfile.flush()
    time.sleep(2)


@pytest.mark.parametrize("name", ["config.json", "card.json"])
def test_a_download_stops_at_its_length(server, zoo_model, tmp_path, name):
    server.bad[name] = functools.partial(flood, server)
    length = read_card(zoo_model).files.get(name)
    limit = MAX_CARD_BYTES if length is None else length.bytes
    with pytest.raises(ValueError, match=f"{name}: Expected at most {limit:,} bytes"):
        zoo.find(server.url)
    assert server.sent < 2**25  # what is under way in sockets
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))


def test_a_silent_server_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.3)
    server.bad["config.json"] = stall
    start = time.monotonic()
    with pytest.raises(OSError, match=r"could not be downloaded .*nothing came for 0\.3 s"):
        zoo.find(server.url)
    assert time.monotonic() - start < 2


def test_a_card_that_fills_the_disk_is_refused(server, zoo_model, tmp_path):
    card = read_card(zoo_model)
    huge = card.files["config.json"].model_copy(update={"bytes": 10**18})
    copy = tmp_path / "realnvp-digits"
    copy.mkdir()
    write_card(card.model_copy(update={"files": {**card.files, "config.json": huge}}), copy)

    def served(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write((copy / "card.json").read_bytes())

    server.bad["card.json"] = served
    with pytest.raises(OSError, match=r"Expected 1,000,000,000,.* bytes of free space"):
        zoo.find(server.url)


@pytest.mark.parametrize(
    ("before", "after", "is_safe"),
    [
        ("https", "https", True),
        ("http", "http", True),
        ("http", "https", True),
        ("https", "http", False),
        ("https", "ftp", False),
        ("http", "ftp", False),
    ],
)
def test_a_server_sends_on_to_no_less_safe_place(before, after, is_safe):
    request = urllib.request.Request(f"{before}://host/zoo/card.json")
    arguments = (request, None, 302, "Found", {}, f"{after}://other/card.json")
    if is_safe:
        assert download._SameSafety().redirect_request(*arguments).full_url.startswith(after)
        return
    with pytest.raises(OSError, match=f"redirects to {after}://other.*not protected"):
        download._SameSafety().redirect_request(*arguments)


@pytest.mark.parametrize("depth", [150, 500, 50_000])
def test_a_deep_card_is_one_line(tmp_path, depth):
    (tmp_path / "card.json").write_text('{"name":' + "[" * depth + "]" * depth + "}")
    with pytest.raises(ValueError, match=r"card\.json is not a card: .* levels") as error:
        read_card(tmp_path)
    assert len(str(error.value)) < 300
    (tmp_path / "card.json").write_text(" " * (MAX_CARD_BYTES + 1))
    with pytest.raises(ValueError, match=r"card\.json is not a card: Expected at most"):
        read_card(tmp_path)
