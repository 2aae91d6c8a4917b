"""The addresses: ``/ipyparallel/clusters`` as ipyparallel has them, and the same below ``/parallel-python``.

Whoever asks is authenticated and authorized as for any other part of the server; an answer is JSON, an error
too.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async, url_path_join
from tornado import web

from parallel_python_server.clusters import Clusters, count

#: Where ipyparallel is installed too, the first address is its own.
ROOT = "/(?:ipyparallel|parallel-python)/clusters"


def handlers(base_url: str, clusters: Clusters) -> list[tuple[Any, ...]]:
    """Return what a web application is to add."""
    known = {"clusters": clusters}
    return [
        (url_path_join(base_url, ROOT), ClustersHandler, known),
        (url_path_join(base_url, ROOT, "(?P<key>[^/]+)"), ClusterHandler, known),
    ]


class Handler(APIHandler):
    """What both addresses have in common."""

    auth_resource = "parallel_python"
    clusters: Clusters

    def initialize(self, clusters: Clusters) -> None:
        """Take the clusters."""
        super().initialize()
        self.clusters = clusters

    def body(self) -> dict[str, Any]:
        """Return what was sent; nothing is an empty object."""
        body = self.get_json_body() or {}
        if not isinstance(body, dict):
            raise web.HTTPError(400, f"an object is needed, not {body!r}")
        return body

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with what went wrong, as it was said: tornado doubles each ``%`` for its log."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, web.HTTPError) and error.log_message and not error.args:
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps({"message": error.log_message.replace("%%", "%"), "reason": error.reason}))
        else:
            super().write_error(status_code, **kwargs)

    async def notebooks(self) -> dict[str, str]:
        """Return the paths of the notebooks that have a kernel of this server, by the kernel's id."""
        sessions = await ensure_async(self.session_manager.list_sessions())
        return {session["kernel"]["id"]: session["path"] for session in sessions if session.get("kernel")}

    async def show(self, key: str) -> None:
        """Answer with a cluster as it is now."""
        self.finish(json.dumps(await self.clusters.model(key, await self.notebooks())))


class ClustersHandler(Handler):
    """All clusters."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        self.finish(json.dumps(await self.clusters.models(await self.notebooks())))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make one, without starting it."""
        await self.show(await self.clusters.create(self.body()))


class ClusterHandler(Handler):
    """One cluster."""

    @web.authenticated
    @authorized
    async def get(self, key: str) -> None:
        """Show it."""
        await self.show(key)

    @web.authenticated
    @authorized
    async def post(self, key: str) -> None:
        """Start it."""
        await self.clusters.start(key, count(self.body()))
        await self.show(key)

    @web.authenticated
    @authorized
    async def patch(self, key: str) -> None:
        """Give it another number of engines."""
        n = count(self.body())
        if n is None:
            raise web.HTTPError(400, "n, the number of engines, is missing")
        await self.clusters.scale(key, n)
        await self.show(key)

    @web.authenticated
    @authorized
    async def delete(self, key: str) -> None:
        """Stop and forget it."""
        await self.clusters.stop(key)
        self.set_status(204)
        self.finish()
