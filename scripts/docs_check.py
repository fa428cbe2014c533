"""Visit every page of a built site in headless Chromium.

    python scripts/docs_check.py SITE [--screenshots FOLDER] [--chromium PROGRAM] [PAGE ...]

Fails where a page writes an error to the console, a request fails or leaves this machine, a picture
is not drawn, or the search finds nothing. Pages are paths such as guides/table/; default all.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
    "--hide-scrollbars", "--window-size=1280,900",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
MAX_HEIGHT = 2400  # of a screenshot
LATE = "[...document.images].forEach(i => i.loading = 'eager')"
BROKEN = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src).join()"
SEARCH = """(async () => {
  const input = document.querySelector('.md-search__input');
  input.focus(); input.value = 'coupling';
  for (const kind of ['input', 'keyup', 'change']) input.dispatchEvent(new Event(kind));
  for (let i = 0; i < 50; i++) {
    await new Promise(done => setTimeout(done, 100));
    const count = document.querySelectorAll('.md-search-result__item').length;
    if (count) return count;
  }
  return 0;
})()"""


class Browser:
    """Chromium by the DevTools protocol over a pair of pipes."""

    def __init__(self, program: str, folder: str):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = ["sh", "-c", script, program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._number, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """The result of a command; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression: str):
        """The value of an expression of JavaScript on the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    def _read(self):
        while b"\0" not in self._buffer:
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError("Chromium ended")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def visit(self, url: str) -> list[str]:
        """What went wrong on a page."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + 30
        while self.evaluate("document.readyState") != "complete":
            if time.monotonic() > deadline:
                return ["did not load within 30 seconds"]
            time.sleep(0.05)
        self.evaluate(LATE)
        time.sleep(0.3)
        broken = self.evaluate(BROKEN)
        errors = [f"picture not drawn: {broken}"] if broken else []
        return errors + [text for text in map(_error, self.events) if text]

    def screenshot(self, path: Path) -> None:
        """A picture of the page, down to `MAX_HEIGHT` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "scale": 1}
        clip["height"] = min(size["height"], MAX_HEIGHT)
        answer = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self):
        """End the browser."""
        self._process.terminate()
        self._process.wait()


def _error(event):
    method, content = event.get("method"), event.get("params", {})
    if method == "Log.entryAdded" and content["entry"]["level"] == "error":
        return f"console: {content['entry']['text']} {content['entry'].get('url', '')}"
    if method == "Runtime.exceptionThrown":
        return f"exception: {content['exceptionDetails'].get('text')}"
    if method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning"):
        return f"console: {[value.get('value') for value in content['args']]}"
    if method == "Network.loadingFailed" and not content.get("canceled"):
        return f"request failed: {content['errorText']}"
    if method == "Network.responseReceived" and content["response"]["status"] >= 400:
        return f"status {content['response']['status']}: {content['response']['url']}"
    return None


@contextlib.contextmanager
def serving(site: Path):
    """The address of a server of the site, on a free port of this machine."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def main():
    """Visit the pages, and fail if anything went wrong on one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("pages", nargs="*")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--chromium", default="chromium")
    arguments = parser.parse_intermixed_args()
    files = arguments.site.rglob("index.html")
    every = sorted(f"{f.parent.relative_to(arguments.site).as_posix()}/" for f in files)
    found = []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        serving(arguments.site) as address,
    ):
        browser = Browser(arguments.chromium, folder)
        try:
            for page in arguments.pages or every:
                found += [f"{page}: {error}" for error in browser.visit(f"{address}{page}")]
                if arguments.screenshots:
                    browser.screenshot(arguments.screenshots / f"{page.replace('/', '_')}.png")
            if not browser.evaluate(SEARCH):
                found.append("the search for 'coupling' finds nothing")
        finally:
            browser.close()
    print("\n".join(found) or f"{len(arguments.pages or every)} pages are as they should be")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
