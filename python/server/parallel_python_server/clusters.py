"""`Clusters`: the clusters that a panel shows, and what can be done to them.

What runs is known to the registry of engines alone, and asked for anew each time. **State** of this server's
own are the clusters that somebody has made or started here, and what is being done at this moment. What was
started here does not end with the server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tornado.web import HTTPError

from parallel_python_server.command import Failed, engines, listed
from parallel_python_server.names import Name, checked, fresh_id, profile_of, profiles

#: How many engines there can be, as the command has it.
MOST = 4096


class Clusters:
    """The clusters of this user.

    Parameters
    ----------
    folder : str
        Where engines that are started here run.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        #: Made or started here, and not stopped; with how many engines, if that was said.
        self._made: dict[Name, int | None] = {}
        #: ``starting`` or ``stopping``.
        self._doing: dict[Name, str] = {}

    # What there is.

    async def models(self, notebooks: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return all clusters as JSON values: what runs first, then the default ones.

        Parameters
        ----------
        notebooks : mapping
            The paths of the notebooks that this server knows, by the ids of their kernels.
        """
        entries = await self._entries()
        models = [self._model(name, entries.get(name), notebooks) for name in self._names(entries)]
        return sorted(models, key=_order)

    async def model(self, key: str, notebooks: Mapping[str, str]) -> dict[str, Any]:
        """Return one cluster; unknown: 404."""
        entries = await self._entries()
        name = self._known(key, entries)
        return self._model(name, entries.get(name), notebooks)

    async def _entries(self) -> dict[Name, dict[str, Any]]:
        try:
            entries = await listed()
        except Failed as error:
            raise HTTPError(500, str(error)) from None
        # Of two of one name the one that was started for its own sake is meant.
        entries.sort(key=lambda entry: entry["kind"] == "headless")
        return {Name.of(entry["profile"]): entry for entry in entries}

    def _names(self, entries: Mapping[Name, Any]) -> set[Name]:
        return {*entries, *self._made, *(Name(profile, "") for profile in profiles())}

    def _known(self, key: str, entries: Mapping[Name, Any]) -> Name:
        name = Name.of(key)
        if name not in self._names(entries):
            raise HTTPError(404, f"No such cluster: {key}")
        return name

    def _model(
        self, name: Name, entry: dict[str, Any] | None, notebooks: Mapping[str, str]
    ) -> dict[str, Any]:
        state = self._doing.get(name) or ("running" if entry else "stopped")
        is_notebook = entry is not None and entry["kind"] == "kernel"
        n = entry["engines"] if entry else self._made.get(name)
        running = {"state": {"state": state, "pid": entry and entry["pid"]}}
        return {
            "id": name.key,
            "kind": "notebook" if is_notebook else "engines",
            "notebook": notebooks.get(name.profile.removeprefix("kernel-")) if is_notebook else None,
            "state": state,
            "cluster": {"profile": name.profile, "cluster_id": name.cluster_id, "n": n},
            "controller": None if state == "stopped" else running,
            "engines": {"class": "mpi", "n": n or 0, "sets": {"0": {"n": n}} if entry else {}},
            "cluster_file": entry and entry["file"],
        }

    # What can be done.

    async def create(self, body: Mapping[str, Any]) -> str:
        """Make a cluster that is to be started later; returns its key."""
        given = {key: body[key] for key in ("profile", "cluster_id") if body.get(key) not in (None, "")}
        n = count(body)
        try:
            profile = profile_of(given.get("profile", "default"))
            cluster_id = checked(given["cluster_id"], "cluster_id") if "cluster_id" in given else None
        except ValueError as error:
            raise HTTPError(400, str(error)) from None
        there = self._names(await self._entries())
        if cluster_id is None:
            # The first of a profile that was named is the one that needs no id.
            cluster_id = "" if "profile" in given and Name(profile, "") not in there else fresh_id()
        name = Name(profile, cluster_id)
        if name in there:
            raise HTTPError(409, f"Cluster {name.key} already exists")
        self._made[name] = n
        return name.key

    async def start(self, key: str, n: int | None) -> None:
        """Start a cluster and wait until its engines are up."""
        with self._do(key, "starting") as name:
            if await self._set(name):
                raise HTTPError(409, f"Cluster {key} runs already")
            n = n or self._made.get(name)
            words = [f"--profile={name.word}", *(["-n", str(n)] if n else [])]
            if not os.environ.get("PARALLEL_PYTHON"):
                words.append(f"--python={sys.executable}")
            await self._run("start", "--daemonize", *words)
            self._made[name] = n

    async def scale(self, key: str, n: int) -> None:
        """Give a cluster another number of engines: they are an MPI world, so all of them start afresh."""
        with self._do(key, "starting") as name:
            if await self._set(name):
                await self._run("restart", f"--profile={name.word}", "-n", str(n))
            self._made[name] = n

    async def stop(self, key: str) -> None:
        """Stop a cluster, if it runs, and forget it."""
        with self._do(key, "stopping") as name:
            if await self._set(name):
                await self._run("stop", f"--profile={name.word}")
            self._made.pop(name, None)

    async def _set(self, name: Name) -> bool:
        """Tell whether a cluster runs; what is a notebook's is refused."""
        entries = await self._entries()
        self._known(name.key, entries)
        if name in entries and entries[name]["kind"] != "headless":
            raise HTTPError(409, f"{name.key} are a notebook's engines: it starts and stops them itself")
        return name in entries

    @contextmanager
    def _do(self, key: str, what: str) -> Iterator[Name]:
        """One thing at a time is done to a cluster."""
        name = Name.of(key)
        if name in self._doing:
            raise HTTPError(409, f"Cluster {key} is {self._doing[name]}")
        self._doing[name] = what
        try:
            yield name
        finally:
            del self._doing[name]

    async def _run(self, *words: str) -> None:
        try:
            await engines(*words, folder=self._folder)
        except Failed as error:
            raise HTTPError(500, str(error)) from None


def count(body: Mapping[str, Any]) -> int | None:
    """Return how many engines are asked for; what is no number of engines: 400."""
    n = body.get("n")
    if n is None or n == "":
        return None
    if type(n) is not int or not 1 <= n <= MOST:
        raise HTTPError(400, f"n must be an integer from 1 to {MOST}, not {n!r}")
    return n


def _order(model: dict[str, Any]) -> tuple[object, ...]:
    profile, cluster_id = model["cluster"]["profile"], model["cluster"]["cluster_id"]
    is_notebook, is_stopped = model["kind"] == "notebook", model["state"] == "stopped"
    return is_notebook, is_stopped, profile != "default", cluster_id != "", profile, cluster_id
