"""Widgets that are made on engines, alive both ways."""

from __future__ import annotations

import os
import signal
from typing import Any

from notebook import Cell, Notebook

SLIDER = """%%px{options}
import ipywidgets
slider = ipywidgets.IntSlider(value=mpi_rank)
slider.observe(lambda change: print("moved to", change["new"]), "value")
display(slider)"""


def sliders(cell: Cell) -> dict[int, str]:
    """Return the comm of every engine's slider, from what opened it."""
    found = {}
    for message in cell.messages:
        if message["msg_type"] == "comm_open":
            state = message["content"]["data"]["state"]
            if state["_model_name"] == "IntSliderModel":
                found[state["value"]] = message["content"]["comm_id"]
    return found


def tell(nb: Notebook, comm_id: str, msg_type: str = "comm_msg", **data: Any) -> str:
    """Say something to a comm as a frontend does; return the message's id."""
    content = {"comm_id": comm_id, "data": data}
    message = nb.client.session.msg(msg_type, content)
    nb.client.shell_channel.send(message)
    return message["header"]["msg_id"]


def move(nb: Notebook, comm_id: str, value: int) -> str:
    return tell(nb, comm_id, method="update", state={"value": value}, buffer_paths=[])


def until_idle(nb: Notebook, request: str) -> Cell:
    """Take in what comes of a message that has no reply."""
    cell = Cell("")
    while True:
        message = nb.client.get_iopub_msg(timeout=20)
        if message["parent_header"].get("msg_id") != request:
            continue
        cell.messages.append(message)
        if message["content"].get("execution_state") == "idle":
            return cell


def comms(nb: Notebook, target: str | None = None) -> dict[str, Any]:
    request = nb.client.comm_info(target)
    while True:
        reply = nb.client.get_shell_msg(timeout=20)
        if reply["parent_header"]["msg_id"] == request:
            return reply["content"]["comms"]


def test_a_slider_on_every_engine_calls_back_where_it_was_made(nb: Notebook) -> None:
    cell = nb.ok(SLIDER.format(options=""), timeout=120)
    found = sliders(cell)
    assert sorted(found) == [0, 1, 2, 3]
    views = [data for data in cell.displays if "application/vnd.jupyter.widget-view+json" in data]
    assert len(views) == 4
    for rank in (2, 0):
        answer = until_idle(nb, move(nb, found[rank], 40 + rank))
        assert answer.stdout == f"[stdout:{rank}] moved to {40 + rank}\n"
        kinds = [message["msg_type"] for message in answer.messages]
        assert kinds[0] == kinds[-1] == "status"
    assert sorted(nb.ok("%px print(slider.value)").stdout.splitlines()) == [
        "[stdout:0] 40",
        "[stdout:1] 1",
        "[stdout:2] 42",
        "[stdout:3] 3",
    ]


def test_what_an_engine_changes_is_told_to_the_frontend(nb: Notebook) -> None:
    cell = nb.ok(SLIDER.format(options=" -t 1"))
    comm_id = sliders(cell)[1]
    cell = nb.ok("%%px -t 1\nslider.value = 9")
    updates = [part for part in cell.of_type("comm_msg") if part["comm_id"] == comm_id]
    assert updates[-1]["data"]["state"]["value"] == 9
    assert "moved to 9" in cell.stdout


def test_the_comms_of_engines_and_of_the_notebook_are_listed_together(nb: Notebook) -> None:
    nb.ok("import ipywidgets\nlocal = ipywidgets.IntSlider()")
    there = sliders(nb.ok(SLIDER.format(options=" -t 3")))[3]
    local = nb.ok("print(local.comm.comm_id)").stdout.strip()
    listed = comms(nb)
    assert listed[there] == listed[local] == {"target_name": "jupyter.widget"}
    assert there in comms(nb, "jupyter.widget")
    assert there not in comms(nb, "another.target")
    answer = until_idle(nb, tell(nb, local, method="update", state={"value": 5}, buffer_paths=[]))
    assert nb.ok("print(local.value)").stdout == "5\n"
    assert answer.stdout == ""


def test_a_message_waits_for_the_cell_on_its_engine_and_not_for_the_notebooks(nb: Notebook) -> None:
    comm_id = sliders(nb.ok(SLIDER.format(options=" -t 0")))[0]
    nb.ok("import os, tempfile; gate = os.path.join(tempfile.mkdtemp(), 'gate'); os.mkfifo(gate)")
    gate = nb.ok("print(gate)").stdout.strip()
    request = nb.send("open(gate).read()")
    moved = move(nb, comm_id, 7)
    assert until_idle(nb, moved).stdout == "[stdout:0] moved to 7\n"
    with open(gate, "w"):
        pass
    until_idle(nb, request)
    assert nb.client.get_shell_msg(timeout=20)["content"]["status"] == "ok"


def test_a_callbacks_error_is_shown(nb: Notebook) -> None:
    code = SLIDER.format(options=" -t 2").replace('print("moved to", change["new"])', "1 / 0")
    comm_id = sliders(nb.ok(code))[2]
    answer = until_idle(nb, move(nb, comm_id, 50))
    assert "ZeroDivisionError" in answer.error + answer.stderr
    assert nb.ok("%px 1").status == "ok"


def test_an_output_widget_captures_what_its_callback_prints(nb: Notebook) -> None:
    cell = nb.ok(
        "%%px -t 1\nimport ipywidgets\n@ipywidgets.interact(n=(0, 9))\ndef show(n=3):\n    print('n is', n)"
    )
    request = cell.messages[0]["parent_header"]["msg_id"]
    captured = [part["data"].get("state", {}).get("msg_id") for part in cell.of_type("comm_msg")]
    assert request in captured and "" in captured
    opened = {part["data"]["state"]["_model_name"]: part["comm_id"] for part in cell.of_type("comm_open")}
    moved = move(nb, opened["IntSliderModel"], 5)
    answer = until_idle(nb, moved)
    captured = [part["data"].get("state", {}).get("msg_id") for part in answer.of_type("comm_msg")]
    assert moved in captured
    assert answer.stdout == "[stdout:1] n is 5\n"


def test_binary_state_arrives_both_ways(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 3\nimport ipywidgets\npicture = ipywidgets.Image(value=b'\\x00\\xff' * 5)")
    opened = [message for message in cell.messages if message["msg_type"] == "comm_open"]
    image = next(
        message
        for message in opened
        if message["content"]["data"]["state"].get("_model_name") == "ImageModel"
    )
    assert [bytes(buffer) for buffer in image["buffers"]] == [b"\x00\xff" * 5]
    content = {
        "comm_id": image["content"]["comm_id"],
        "data": {"method": "update", "state": {}, "buffer_paths": [["value"]]},
    }
    message = nb.client.session.msg("comm_msg", content)
    nb.client.session.send(nb.client.shell_channel.socket, message, buffers=[b"\x01\x02"])
    until_idle(nb, message["header"]["msg_id"])
    assert nb.ok("%%px -t 3\nprint(bytes(picture.value))").stdout == "[stdout:3] b'\\x01\\x02'\n"


def test_a_progress_bar_for_notebooks_works(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 0,1\nfrom tqdm.notebook import tqdm\nfor _ in tqdm(range(3)): pass")
    finished = [part["data"].get("state", {}).get("value") for part in cell.of_type("comm_msg")]
    assert finished.count(3.0) + finished.count(3) >= 2


def test_a_frontend_that_asks_for_all_widgets_is_sent_to_each(nb: Notebook) -> None:
    content = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}
    message = nb.client.session.msg("comm_open", content)
    nb.client.shell_channel.send(message)
    answer = until_idle(nb, message["header"]["msg_id"])
    assert [part["comm_id"] for part in answer.of_type("comm_close")] == ["control"]


def test_a_closed_comm_is_forgotten(nb: Notebook) -> None:
    comm_id = sliders(nb.ok(SLIDER.format(options=" -t 2")))[2]
    until_idle(nb, tell(nb, comm_id, "comm_close"))
    assert comm_id not in comms(nb)
    known = nb.ok("%%px -t 2\nimport comm\nprint(slider.comm.comm_id in comm.get_comm_manager().comms)")
    assert known.stdout == "[stdout:2] False\n"


def test_the_comms_of_an_engine_end_with_it(nb: Notebook) -> None:
    """Last in this file: the set is a new one afterwards."""
    found = sliders(nb.ok(SLIDER.format(options="")))
    os.kill(nb.engines()[2]["pid"], signal.SIGKILL)
    while True:
        message = nb.client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "comm_close" and message["content"]["comm_id"] == found[2]:
            break
    listed = comms(nb)
    assert found[2] not in listed and found[1] in listed
    answer = until_idle(nb, move(nb, found[1], 77))
    assert answer.stdout == "[stdout:1] moved to 77\n"
    nb.ok("%engines restart", timeout=120)
    assert not set(found.values()) & set(comms(nb))
