"""A client that answers a notebook's questions from a script, for any kernel.

One thread reads what is published and what is asked, whichever comes first; a question is answered when it
has arrived, and never before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from nbformat.v4 import output_from_msg


class Scripted:
    """A client of a running kernel.

    Parameters
    ----------
    client : BlockingKernelClient
        Its channels have been started and the kernel is ready.
    """

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.poller = zmq.Poller()
        for channel in (client.iopub_channel, client.stdin_channel, client.shell_channel):
            self.poller.register(channel.socket, zmq.POLLIN)

    def run(self, code: str, answers: Sequence[str] = (), timeout: float = 60) -> tuple[list[str], list[Any]]:
        """Run a cell; return the questions it asked, and its outputs as a notebook keeps them."""
        request = self.client.execute(code, allow_stdin=True)
        waiting, asked, outputs = list(answers), [], []
        missing = {"reply", "idle"}
        deadline = time.monotonic() + timeout
        while missing:
            ready = dict(self.poller.poll(max(0.0, deadline - time.monotonic()) * 1000))
            assert ready, f"{code!r}: nothing came in {timeout} s; asked so far: {asked}"
            for socket in ready:
                _, message = self.client.session.recv(socket, zmq.NOBLOCK)
                if message is None or message["parent_header"].get("msg_id") != request:
                    continue
                kind, content = message["msg_type"], message["content"]
                if kind == "input_request":
                    asked.append(content["prompt"])
                    self.client.input(waiting.pop(0))
                elif kind == "execute_reply":
                    missing.discard("reply")
                elif kind == "status":
                    missing -= {content["execution_state"]}
                elif kind in ("stream", "display_data", "execute_result", "error"):
                    outputs.append(output_from_msg(message))
        assert not waiting, f"{code!r} asked only {asked}"
        return asked, outputs
