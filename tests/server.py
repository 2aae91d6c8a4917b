"""A Jupyter server, driven as JupyterLab drives it: kernels over HTTP, messages over websockets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import websocket

from notebook import descendants, wait_until_gone

TOKEN = "a-token-for-tests"


@dataclass
class Shown:
    """What one cell showed."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    def contents(self, kind: str) -> list[dict[str, Any]]:
        """Return the contents of messages of this type."""
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def stdout(self) -> str:
        return "".join(part["text"] for part in self.contents("stream") if part["name"] == "stdout")

    @property
    def result(self) -> str:
        return "".join(part["data"]["text/plain"] for part in self.contents("execute_result"))

    @property
    def error(self) -> str:
        return "".join(part["ename"] for part in self.contents("error"))


class Channels:
    """One kernel's websocket. A second one with the same session takes up where the first one ended."""

    def __init__(self, url: str) -> None:
        self.socket = websocket.create_connection(url, timeout=60)

    def __enter__(self) -> Channels:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, code: str) -> str:
        """Ask for a cell and return the request's id."""
        request = uuid.uuid4().hex
        header = {"msg_id": request, "msg_type": "execute_request", "session": "tests", "username": "tests"}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {"channel": "shell", "parent_header": {}, "metadata": {}, "buffers": []}
        self.socket.send(json.dumps({**message, "header": {**header, "version": "5.5"}, "content": content}))
        return request

    def receive(self, request: str) -> dict[str, Any]:
        """Return the next iopub message of a request."""
        while True:
            message = json.loads(self.socket.recv())
            if message["channel"] == "iopub" and message["parent_header"].get("msg_id") == request:
                return message

    def wait_for(self, request: str, text: str) -> None:
        """Read until a request has printed something."""
        while text not in self.receive(request)["content"].get("text", ""):
            pass

    def collect(self, request: str, when: tuple[str, Callable[[], object]] | None = None) -> Shown:
        """Read to the end of a request; call back once, when a text has been printed."""
        cell = Shown()
        while True:
            message = self.receive(request)
            cell.messages.append(message)
            if when and when[0] in cell.stdout:
                when[1]()
                when = None
            if message["content"].get("execution_state") == "idle":
                return cell

    def run(self, code: str, when: tuple[str, Callable[[], object]] | None = None) -> Shown:
        """Run a cell to its end."""
        return self.collect(self.send(code), when)


class Server:
    """A server with its notebooks and its settings in a folder of the test's. Use as a context manager.

    Parameters
    ----------
    folder : Path
        Where notebooks are.
    environment : dict
        Of the server, and so of its kernels.
    module : str
        What to run: ``jupyter_server`` or ``jupyterlab``.
    """

    def __init__(self, folder: Path, environment: dict[str, str], module: str = "jupyter_server") -> None:
        self.folder = folder
        self.environment = {**environment, "JUPYTER_CONFIG_DIR": str(folder / ".config")}
        self.module = module

    def __enter__(self) -> Server:
        options = ["--no-browser", "--port=0", "--allow-root", f"--ServerApp.root_dir={self.folder}"]
        options.append(f"--IdentityProvider.token={TOKEN}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, *options],
            cwd=self.folder,
            env=self.environment,
            stderr=(self.folder / "server.log").open("wb"),
        )
        self.address = self._address()
        return self

    def __exit__(self, *_: object) -> None:
        below = self.processes_below()
        self.process.terminate()
        self.process.wait(timeout=30)
        assert not wait_until_gone(below, 15), "the server left processes"

    def _address(self) -> str:
        """Wait until the server says where it is, and answers there."""
        deadline = time.monotonic() + 60
        log = self.folder / "server.log"
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"http://(127\.0\.0\.1):(\d+)/", log.read_text())
            if found:
                with socket.socket() as end:
                    if end.connect_ex((found[1], int(found[2]))) == 0:
                        return f"{found[1]}:{found[2]}"
            time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{log.read_text()}")

    def ask(self, method: str, path: str, token: str = TOKEN, **options: Any) -> requests.Response:
        """Send a request and return the answer, whatever it is."""
        headers = {"Authorization": f"token {token}"}
        return requests.request(
            method, f"http://{self.address}/{path}", headers=headers, timeout=60, **options
        )

    def _request(self, method: str, path: str, **options: Any) -> Any:
        reply = self.ask(method, f"api/{path}", **options)
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def post(self, path: str, /, **content: Any) -> Any:
        """Ask the server to do something."""
        return self._request("POST", path, json=content)

    def delete(self, path: str) -> None:
        """Ask the server to delete something."""
        self._request("DELETE", path)

    def start_kernel(self, name: str) -> str:
        """Start a kernel and return its id."""
        return self.post("kernels", name=name)["id"]

    def connect(self, kernel: str, session: str = "a-browser-tab") -> Channels:
        """Open a kernel's websocket."""
        path = f"api/kernels/{kernel}/channels?session_id={session}&token={TOKEN}"
        return Channels(f"ws://{self.address}/{path}")

    def processes_below(self) -> set[int]:
        """Return the processes that the server has started."""
        return descendants(self.process.pid) if os.path.exists(f"/proc/{self.process.pid}") else set()
