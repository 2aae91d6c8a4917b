"""Where a cluster's engines live: with the notebook's kernel, or in a process that the cluster starts.

A home knows the conversation with its engines and how they come and go. **Invariant**: what a cluster started
ends with the process that started it, however that ends, unless it was asked to stay; what it has neither
started nor reached it does not end.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from parallel_python.client import registry
from parallel_python.client.connecting import connect, has_own_engines
from parallel_python.client.errors import EngineError
from parallel_python.client.link import Conversation


class Home(Protocol):
    """Where engines are."""

    def conversation(self) -> Conversation:
        """Return the way to the engines."""
        ...

    async def start(self, n: int | None) -> None:
        """Have them up: `n`, or as many as there are or usually are."""
        ...

    async def stop(self) -> None:
        """End them; they can be started again, for the same clients."""
        ...

    async def end(self) -> None:
        """End what has them, if that is not the notebook's kernel."""
        ...


def home_of(profile: str, cluster_id: str, stays: bool, file: str) -> Home:
    """Return where a cluster of this name has its engines; the file of a set says more than a name."""
    if has_own_engines() and not (file and registry.at(file)):
        return OwnEngines()
    return SetOfEngines(profile, cluster_id, stays, file)


class OwnEngines:
    """The engines of this notebook's kernel, which may be up already."""

    def conversation(self) -> Conversation:
        """Return the way to the kernel."""
        return connect()

    async def start(self, n: int | None) -> None:
        """Have them up; another number of them means other ones."""
        conversation = connect()
        engines = conversation.engines
        if engines.phase in ("", "launching"):
            await asyncio.to_thread(self._settle, conversation)
        count = len(engines.ids)
        if engines.phase != "up" or (n is not None and n != count) or count != len(engines.table):
            print(f"Starting {'the' if n is None else n} engines")
            action = "start" if engines.phase in ("", "off", "failed") else "restart"
            await asyncio.wrap_future(conversation.ask("engines", action, n))

    @staticmethod
    def _settle(conversation: Conversation) -> None:
        """Wait until the engines are up, or are not coming up."""
        engines = conversation.engines
        if engines.phase == "":
            conversation.link.open()
        engines.wait(lambda: engines.phase not in ("", "launching"))

    async def stop(self) -> None:
        """Stop them; the kernel goes on."""
        await asyncio.wrap_future(connect().ask("engines", "stop", None))

    async def end(self) -> None:
        """Do nothing: the kernel is the notebook's."""


class SetOfEngines:
    """Engines of a process beside this one, ``parallel-python engines start``.

    Parameters
    ----------
    profile, cluster_id : str
        Their name.
    stays : bool
        Whether they stay when this process ends.
    file : str
        Their file, where they run already; empty: the name says which they are.
    """

    def __init__(self, profile: str, cluster_id: str, stays: bool, file: str = "") -> None:
        self._profile, self._cluster_id, self._stays, self._file = profile, cluster_id, stays, file
        self._process: subprocess.Popen[str] | None = None
        #: Whether the set of this name is this cluster's: another one may have had the name before.
        self._reached = False

    @property
    def name(self) -> str:
        """The name under which they are found."""
        return registry.set_name(self._profile, self._cluster_id) or "default"

    def conversation(self) -> Conversation:
        """Return the way to them."""
        conversation = connect(self._profile, self._cluster_id, self._file or None)
        self._reached = True
        return conversation

    def _there(self) -> Conversation | None:
        """Return the way to the process, if it was reached and has not ended."""
        try:
            return self.conversation() if self._reached else None
        except OSError:
            return None

    async def start(self, n: int | None) -> None:
        """Have engines up in the process that runs, or in one that is started for them."""
        print(f"Starting {'the' if n is None else n} engines")
        conversation = self._there()
        if conversation is None:
            await asyncio.to_thread(self._start, n)
        else:
            await asyncio.wrap_future(conversation.ask("engines", "start", n))

    def _start(self, n: int | None) -> None:
        count = [] if n is None else ["-n", str(n)]
        # A process of ours ends with its standard input, which ends with us.
        command = [*_program(), "start", "--profile", self.name, "--python", sys.executable, *count]
        command.append("--daemonize" if self._stays else "--owned")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if self._stays else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None
        with process.stdout, process.stderr:
            if not process.stdout.readline():
                said = process.stderr.read().strip()
                process.wait()
                raise RuntimeError(f"the engines did not start: {said.removeprefix('parallel-python: ')}")
        self._process = None if self._stays else process
        self._reached = True

    async def stop(self) -> None:
        """Stop them; the process stays, and so do those who are connected to it."""
        conversation = self._there()
        if conversation is not None:
            with suppress(EngineError):  # The process ended meanwhile, and they with it.
                await asyncio.wrap_future(conversation.ask("engines", "stop", None))

    async def end(self) -> None:
        """End the process, and its engines if there are any."""
        if self._reached:
            self._reached = False
            await asyncio.to_thread(self._end)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
            return
        ended = subprocess.run(
            [*_program(), "stop", "--profile", self.name], capture_output=True, text=True, check=False
        )
        if ended.returncode and "no engines" not in ended.stderr:
            raise RuntimeError(ended.stderr.strip().removeprefix("parallel-python: "))


def _program() -> list[str]:
    import _parallel_python

    # In a notebook's own process the module is part of the executable.
    beside = getattr(_parallel_python, "__file__", None) or os.readlink("/proc/self/exe")
    return [str(Path(beside).with_name("parallel-python")), "engines"]
