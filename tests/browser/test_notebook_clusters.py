"""The clusters' tab in Jupyter Notebook 7, as the classic notebook had it. Numbers are rows."""

from __future__ import annotations

import os
from pathlib import Path

from chromium import Page
from headless import assert_nothing_runs, engines, environment_in
from server import TOKEN, Server
from test_lab import browser  # noqa: F401  the fixture skips where there is no browser

ROW = ".pp-Tab tr[data-cluster-id='default:']"


def test_5_30_engines_are_started_and_stopped_in_the_tab(tmp_path: Path) -> None:
    environment = environment_in(tmp_path)
    pictures = Path(os.environ.get("PARALLEL_PYTHON_PICTURES", tmp_path))
    status = f"document.querySelector({ROW!r})?.cells[2].innerText"
    with Server(tmp_path, environment, "notebook") as server, Page(tmp_path) as page:
        page("Page.navigate", url=f"http://{server.address}/tree?token={TOKEN}")
        tabs = "[...document.querySelectorAll('.lm-TabBar-tab')]"
        tab = f"{tabs}.find(one => one.innerText == 'IPython Clusters')"
        page.wait_for(f"!!{tab}")
        page.evaluate(f"{tab}.setAttribute('data-clusters', '')")
        page.wait_for("!document.querySelector('#jupyterlab-splash')")
        page.click("[data-clusters]")
        page.wait_for(f"{status} == 'stopped'")
        heads = "[...document.querySelectorAll('.pp-Tab th')].map(one => one.innerText).join()"
        assert page.evaluate(heads) == "profile,cluster id,status,# of engines,action"
        page.screenshot(pictures / "notebook-0-stopped.png")

        page.click(f"{ROW} input")
        page("Input.insertText", text="many")
        page.click(f"{ROW} button")
        page.wait_for(f"{status} == 'invalid engine #'")
        page.evaluate(f"document.querySelector({f'{ROW} input'!r}).select()")
        page("Input.insertText", text="1")
        page.note(status)
        page.click(f"{ROW} button")
        page.wait_for(f"{status} == 'running'")
        assert page.evaluate("noted.has('starting')")
        assert page.evaluate(f"document.querySelector({ROW!r}).cells[3].innerText") == "1"
        assert engines(environment, "list").startswith("default  headless  1 engines")
        page.screenshot(pictures / "notebook-1-running.png")

        page.click(f"{ROW} button[title^='Stop']")
        page.wait_for(f"{status} == 'stopped'")
        assert page.evaluate("noted.has('stopping')")
    assert_nothing_runs(environment)
