"""Chromium without a window, driven over its own protocol: navigate, evaluate, click, type, look.

One page of one browser, whose profile is a folder of the test's.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import requests
import websocket

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Whether an element is where it was two frames ago, and is what a click there would hit.
STAYS = """(async selector => {
  const box = () => document.querySelector(selector)?.getBoundingClientRect();
  const before = box();
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
  const now = box();
  if (!before || !now?.width || JSON.stringify(before) !== JSON.stringify(now)) return false;
  const hit = document.elementFromPoint(now.x + now.width / 2, now.y + now.height / 2);
  const element = document.querySelector(selector);
  return element.contains(hit) && !element.disabled;
})(%s)"""


class Page:
    """A browser with one page. Use as a context manager.

    Parameters
    ----------
    folder : Path
        Where the browser keeps its profile and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages = 0

    def __enter__(self) -> Page:
        assert EXECUTABLE is not None, "there is no Chromium"
        log = self.folder / "chromium.log"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        options += ["--remote-allow-origins=*", "--window-size=1200,1000", "--hide-scrollbars"]
        options += [f"--user-data-dir={self.folder / 'profile'}", "about:blank"]
        self.process = subprocess.Popen([EXECUTABLE, *options], stderr=log.open("wb"))
        port = self._port(log)
        pages = requests.get(f"http://127.0.0.1:{port}/json", timeout=30).json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.socket = websocket.create_connection(address, timeout=60)
        self("Page.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.process.kill()
        self.process.wait()

    def _port(self, log: Path) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(
                r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", log.read_text("utf-8", "replace")
            ):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"Chromium did not start:\n{log.read_text('utf-8', 'replace')}")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the browser's protocol."""
        self.messages += 1
        self.socket.send(json.dumps({"id": self.messages, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.messages:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str, timeout: float = 60) -> Any:
        """Wait until an expression is true, and return its value."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if value := self.evaluate(expression):
                return value
            self.evaluate("new Promise(done => setTimeout(done, 100))")
        self.screenshot(self.folder / "timed-out.png")
        raise AssertionError(f"not within {timeout} s: {expression}; see {self.folder}/timed-out.png")

    def note(self, expression: str) -> None:
        """Have the page keep each value that an expression takes from now on, in the set `noted`."""
        self.evaluate(
            f"""(() => {{
              window.noted = new Set();
              const changed = {{ childList: true, characterData: true, subtree: true }};
              new MutationObserver(() => window.noted.add({expression})).observe(document.body, changed);
            }})()"""
        )

    def click(self, selector: str) -> None:
        """Click in the middle of the first element that matches, once it stays and nothing covers it."""
        self.wait_for(STAYS % json.dumps(selector))
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.evaluate(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, modifiers: int = 0, code: int = 13) -> None:
        """Press and release a key; Shift is modifier 8."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
                **(text if kind == "keyDown" else {}),
            )

    def screenshot(self, path: Path) -> None:
        """Keep what the page looks like."""
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot")["data"]))
