"""Parallel Python's part of a Jupyter server: sets of engines over HTTP, for panels and scripts.

It runs in the Python of the Jupyter server and loads nothing of the engines' library: what it does, it has
the command ``parallel-python engines`` do. ``parallel-python install`` puts it beside that command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "parallel_python_server"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from parallel_python_server.clusters import Clusters
    from parallel_python_server.handlers import handlers

    web_app = server.web_app
    clusters = Clusters(server.root_dir)
    web_app.add_handlers(".*$", handlers(web_app.settings["base_url"], clusters))
    server.log.info("Parallel Python | clusters at /ipyparallel/clusters")
