"""The clusters panel in JupyterLab, used by clicking. Numbers are rows of the reference."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from chromium import Page
from headless import assert_nothing_runs, engines, environment_in
from notebook import KERNEL
from server import TOKEN, Server
from test_lab import browser, shows  # noqa: F401  the fixture skips where there is no browser

TAB = ".jp-SideBar .lm-TabBar-tab[data-id=parallel-python-clusters]"
DIALOG = ".jp-Dialog"


def item(key: str, within: str = "") -> str:
    """Return the selector of a cluster in the list, or of something within it."""
    return f".pp-Cluster[data-cluster-id='{key}'] {within}".strip()


def says(key: str, text: str) -> str:
    """Return the condition that a cluster's item has a text in it."""
    return f"document.querySelector({json.dumps(item(key))})?.innerText.includes({text!r})"


def button(key: str, label: str) -> str:
    """Return the selector of a cluster's button that can be pressed."""
    return item(key, f"button[title^='{label} ']:not(:disabled)")


def right_click(page: Page, selector: str) -> None:
    """Open the menu of an element."""
    box = page.evaluate(
        f"(b => [b.x + 30, b.y + 10])(document.querySelector({selector!r}).getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        page("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="right", clickCount=1)
    page.wait_for("!!document.querySelector('.lm-Menu-item')")


def choose(page: Page, label: str) -> None:
    """Choose an entry of the open menu, which is the one that the mouse has come to."""
    entry = f"[...document.querySelectorAll('.lm-Menu-item')].find(one => one.innerText.includes({label!r}))"
    x, y = page.evaluate(f"(b => [b.x + 40, b.y + b.height / 2])({entry}.getBoundingClientRect())")
    page("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    for kind in ("mousePressed", "mouseReleased"):
        page("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def type_into(page: Page, number: int, text: str) -> None:
    """Type into one of the dialog's inputs."""
    page.evaluate(
        f"document.querySelectorAll('{DIALOG} input')[{number}].setAttribute('id', 'typed-{number}')"
    )
    page.click(f"#typed-{number}")
    page("Input.insertText", text=text)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """JupyterLab, in an environment in which nothing runs, with a notebook."""
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config/jupyter_lab_config.json").write_text('{"LabApp": {"expose_app_in_browser": true}}')
    spec = {"name": KERNEL, "display_name": "Parallel Python (Rust)", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": spec}, cells=[nbformat.v4.new_code_cell("")])
    nbformat.write(book, tmp_path / "book.ipynb")
    environment = environment_in(tmp_path)
    with Server(tmp_path, environment, "jupyterlab") as server:
        yield server
    assert_nothing_runs(environment)


def wait_for_lab(page: Page) -> None:
    """Wait until nothing covers the page any more."""
    page.wait_for("window.jupyterapp?.restored.then(() => !document.querySelector('#jupyterlab-splash'))")


def open_lab(page: Page, server: Server, path: str = "") -> None:
    """Open JupyterLab with its panel of clusters in front."""
    page("Page.navigate", url=f"http://{server.address}/lab{path}?token={TOKEN}")
    wait_for_lab(page)
    if path:
        # With it the list of files comes to the front.
        page.click(".jp-Notebook .jp-CodeCell .cm-content")
        page.wait_for("document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')")
    page.click(TAB)
    page.wait_for("document.querySelector('.pp-Clusters')?.getBoundingClientRect().width > 0")


def test_5_26_to_29_a_cluster_from_its_making_to_its_end(tmp_path: Path, server: Server) -> None:
    pictures = Path(os.environ.get("PARALLEL_PYTHON_PICTURES", tmp_path))
    with Page(tmp_path) as page:
        open_lab(page, server, "/tree/book.ipynb")
        assert "IPython Parallel" in page.evaluate(f"document.querySelector({TAB!r}).title")
        page.wait_for(says("default:", "State: Stopped"))
        assert page.evaluate(says("default:", "Number of engines: auto"))
        assert page.evaluate("document.querySelector('.pp-Clusters-label').innerText") == "CLUSTERS"
        page.screenshot(pictures / "clusters-0-nothing.png")

        page.click(
            ".pp-Clusters [data-command='parallel-python:new-cluster'], .pp-Clusters jp-button[data-command]"
        )
        page.wait_for(f"document.querySelectorAll('{DIALOG} input').length == 3")
        placeholders = f"[...document.querySelectorAll('{DIALOG} input')].map(one => one.placeholder).join()"
        assert page.evaluate(placeholders) == "default,auto,auto"
        for number, text in enumerate(["mpi", "one", "2"]):
            type_into(page, number, text)
        page.screenshot(pictures / "clusters-1-new.png")
        page.click(f"{DIALOG} .jp-mod-accept")
        page.wait_for(says("mpi:one", "Number of engines: 2"))
        assert page.evaluate(
            f"document.querySelector({item('mpi:one')!r}).classList.contains('jp-mod-active')"
        )

        page.note(says("mpi:one", "State: starting"))
        page.click(button("mpi:one", "Start"))
        page.wait_for(says("mpi:one", "State: running"))
        assert page.evaluate("noted.has(true)")
        page.wait_for("document.querySelectorAll('.pp-mod-notebook').length == 1")
        assert page.evaluate("document.querySelector('.pp-mod-notebook').innerText.includes('book.ipynb')")
        page.screenshot(pictures / "clusters-2-running.png")

        # Its code goes into a cell of the notebook and connects.
        page.wait_for("document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')")
        page.click(button("mpi:one", "Inject client code for"))
        cells = "document.querySelectorAll('.jp-Notebook .jp-CodeCell')"
        page.wait_for(f"{cells}[0].innerText.includes('ipp.Cluster.from_file')")
        page.click(".jp-Notebook .jp-CodeCell .cm-content")
        page.press("Enter", modifiers=8)
        page.wait_for(shows(0, "<Client"))
        page.screenshot(pictures / "clusters-3-connected.png")

        # Another number of them, by the menu.
        right_click(page, item("mpi:one"))
        page.screenshot(pictures / "clusters-4-menu.png")
        labels = page.evaluate("document.querySelector('.lm-Menu').innerText")
        for label in (
            "Inject IPython Client Connection Code",
            "Start Cluster",
            "Shutdown Cluster",
            "Scale Cluster…",
        ):
            assert label in labels
        choose(page, "Scale Cluster…")
        page.wait_for(f"document.querySelectorAll('{DIALOG} input').length == 1")
        page.evaluate(f"document.querySelector('{DIALOG} input').select()")
        page("Input.insertText", text="1")
        page.screenshot(pictures / "clusters-5-scale.png")
        page.click(f"{DIALOG} .jp-mod-accept")
        page.wait_for(says("mpi:one", "Number of engines: 1"))
        # The list is drawn anew with each state: a button may go from under the mouse.
        page.wait_for(says("mpi:one", "State: running"))

        # The dark theme, for a person to look at.
        page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        page.wait_for("document.body.dataset.jpThemeLight == 'false'")
        page.screenshot(pictures / "clusters-6-dark.png")

        page.click(button("mpi:one", "STOP"))
        page.wait_for(f"!document.querySelector({item('mpi:one')!r})")


def test_5_27_the_server_is_asked_only_while_somebody_looks(tmp_path: Path, server: Server) -> None:
    requests = "performance.getEntriesByType('resource').map(one => new URL(one.name).pathname)"
    asked = f"{requests}.filter(path => path.endsWith('/parallel-python/clusters')).length"
    with Page(tmp_path) as page:
        page("Page.navigate", url=f"http://{server.address}/lab?token={TOKEN}")
        wait_for_lab(page)
        page.evaluate("new Promise(done => setTimeout(done, 6000))")
        assert page.evaluate(asked) == 0
        page.click(TAB)
        # Something that was started elsewhere comes up by itself.
        engines(server.environment, "start", "-n", "1", "--profile", "elsewhere", "--daemonize")
        page.wait_for(says("elsewhere:", "State: running"), timeout=15)
        page.click(button("elsewhere:", "STOP"))
        page.wait_for(f"!document.querySelector({item('elsewhere:')!r})")
        # The panel is closed.
        page.click(TAB)
        page.wait_for("!(document.querySelector('.pp-Clusters')?.getBoundingClientRect().width > 0)")
        # The server may just have been asked.
        page.evaluate("new Promise(done => setTimeout(done, 3000))")
        before = page.evaluate(asked)
        page.evaluate("new Promise(done => setTimeout(done, 6000))")
        assert page.evaluate(asked) == before


def test_5_28_dragged_into_a_notebook(tmp_path: Path, server: Server) -> None:
    engines(server.environment, "start", "-n", "1", "--daemonize")
    with Page(tmp_path) as page:
        open_lab(page, server, "/tree/book.ipynb")
        page.wait_for(says("default:", "State: running"))
        page.wait_for("!!document.querySelector('.jp-Notebook .jp-CodeCell .cm-content')")
        places = [item("default:", ".pp-Cluster-title"), ".jp-Notebook .jp-CodeCell"]
        points = [
            page.evaluate(
                f"(b => [b.x + 40, b.y + 8])(document.querySelector({one!r}).getBoundingClientRect())"
            )
            for one in places
        ]
        (x, y), (to_x, to_y) = points
        page("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for step in range(1, 11):
            at = {"x": x + (to_x - x) * step / 10, "y": y + (to_y - y) * step / 10}
            page("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, **at)
        page("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, button="left", clickCount=1)
        page.wait_for(
            "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell')]"
            ".some(one => one.innerText.includes('ipp.Cluster.from_file'))"
        )
        page.click(button("default:", "STOP"))
        page.wait_for(says("default:", "State: Stopped"))


def test_what_goes_wrong_is_said(tmp_path: Path, server: Server) -> None:
    with Page(tmp_path) as page:
        open_lab(page, server)
        page.wait_for(says("default:", "State: Stopped"))
        # The button goes as soon as the list is asked for again.
        start = f"document.querySelector({button('default:', 'Start')!r})"
        assert page.evaluate(f"!!(window.startButton = {start})")
        # Started at a terminal meanwhile.
        engines(server.environment, "start", "-n", "1", "--daemonize")
        page.evaluate("window.startButton.click()")
        page.wait_for(f"document.querySelector('{DIALOG}')?.innerText.includes('runs already')")
        page.click(f"{DIALOG} .jp-Dialog-footer button")
        page.wait_for(says("default:", "State: running"))
        engines(server.environment, "stop")
        page.wait_for(says("default:", "State: Stopped"), timeout=15)
