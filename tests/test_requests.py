"""What frontends ask besides running cells, and the parts of a reply that few look at."""

from __future__ import annotations

import time
from typing import Any

from notebook import Notebook


def asked(nb: Notebook, kind: str, content: dict[str, Any], **header: Any) -> str:
    """Send a request on the shell channel and return its id."""
    message = nb.client.session.msg(kind, content)
    message["header"].update(header)
    nb.client.shell_channel.send(message)
    return message["header"]["msg_id"]


def answers(nb: Notebook, *requests: str) -> dict[str, dict[str, Any]]:
    """Return the shell replies to requests, in whatever order they come."""
    found: dict[str, dict[str, Any]] = {}
    while not found.keys() >= set(requests):
        reply = nb.client.get_shell_msg(timeout=20)
        found[reply["parent_header"]["msg_id"]] = reply
    return found


def test_kernel_info_says_what_there_is(nb: Notebook) -> None:
    info = nb.control("kernel_info_request")
    assert info["protocol_version"] == "5.5"
    assert set(info["supported_features"]) >= {"kernel subshells", "debugger"}
    assert info["language_info"]["name"] == "python"
    assert info["language_info"]["file_extension"] == ".py"


def test_control_answers_while_python_holds_the_gil(nb: Notebook) -> None:
    request = nb.send("import ctypes\nprint('begun', flush=True)\nctypes.PyDLL(None).sleep(5)")
    while nb.client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    start = time.monotonic()
    assert nb.control("kernel_info_request")["status"] == "ok"
    assert nb.control("interrupt_request")["status"] == "ok"
    assert time.monotonic() - start < 4
    while True:
        message = nb.client.get_iopub_msg(timeout=20)
        idle = message["content"].get("execution_state") == "idle"
        if idle and message["parent_header"]["msg_id"] == request:
            break
    assert nb.client.get_shell_msg(timeout=20)["parent_header"]["msg_id"] == request
    assert nb.ok("1+1").results == ["2"]


def test_a_cell_sees_the_last_control_request(nb: Notebook) -> None:
    """Whoever answered it: the kernel by itself, or Python."""
    code = "_p = get_ipython().kernel.get_parent('control')['header']; _p['msg_type'], _p['msg_id']"
    for kind in ("kernel_info_request", "usage_request", "interrupt_request", "kernel_info_request"):
        ids = [nb.client.session.msg(kind)["header"]["msg_id"] for _ in range(2)]
        for msg_id in ids:
            nb.control(kind, msg_id=msg_id)
        assert nb.ok(code).results == [repr((kind, ids[-1]))]


def test_usage(nb: Notebook) -> None:
    usage = nb.control("usage_request")
    assert usage["kernel_memory"] > 0 and usage["pid"] > 0


def test_subshells_run_beside_the_main_shell(nb: Notebook) -> None:
    subshell = nb.control("create_subshell_request")["subshell_id"]
    assert nb.control("list_subshell_request")["subshell_id"] == [subshell]
    busy = nb.send("import time\nwhile not globals().get('let_go'): time.sleep(0.01)")
    request = asked(nb, "execute_request", {"code": "let_go = True; 6*7"}, subshell_id=subshell)
    replies = answers(nb, request, busy)
    assert {reply["content"]["status"] for reply in replies.values()} == {"ok"}
    assert nb.control("delete_subshell_request", {"subshell_id": subshell})["status"] == "ok"
    assert nb.control("list_subshell_request")["subshell_id"] == []
    gone = asked(nb, "execute_request", {"code": "1"}, subshell_id=subshell)
    assert answers(nb, gone)[gone]["content"]["status"] == "error"


class Debugger:
    """The debug adapter behind the control channel."""

    def __init__(self, nb: Notebook) -> None:
        self.nb, self.sequence = nb, 0

    def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        self.sequence += 1
        content = {"type": "request", "seq": self.sequence, "command": command, "arguments": arguments}
        reply = self.nb.control("debug_request", content)
        assert reply.get("success", True), reply
        return reply.get("body", {})

    def stopped(self) -> dict[str, Any]:
        while True:
            message = self.nb.client.get_iopub_msg(timeout=20)
            if message["msg_type"] == "debug_event" and message["content"]["event"] == "stopped":
                return message["content"]["body"]


def test_the_debugger_stops_shows_steps_and_goes_on(nb: Notebook) -> None:
    debug = Debugger(nb)
    debug("initialize", clientID="test", adapterID="", pathFormat="path", linesStartAt1=True)
    debug("attach")
    code = "def f(a):\n    b = a + 1\n    c = b * 2\n    return c\nf(20)"
    path = debug("dumpCell", code=code)["sourcePath"]
    debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}], sourceModified=False)
    debug("configurationDone")
    request = nb.send(code)
    thread = debug.stopped()["threadId"]
    frame = debug("stackTrace", threadId=thread)["stackFrames"][0]
    assert (frame["name"], frame["line"]) == ("f", 2)
    debug("next", threadId=thread)
    thread = debug.stopped()["threadId"]
    frame = debug("stackTrace", threadId=thread)["stackFrames"][0]
    assert frame["line"] == 3
    scope = debug("scopes", frameId=frame["id"])["scopes"][0]["variablesReference"]
    variables = {v["name"]: v["value"] for v in debug("variables", variablesReference=scope)["variables"]}
    assert (variables["a"], variables["b"]) == ("20", "21")
    debug("continue", threadId=thread)
    assert answers(nb, request)[request]["content"]["status"] == "ok"
    debug("disconnect", restart=False, terminateDebuggee=False)
    assert nb.ok("1+1").results == ["2"]


def test_is_complete_and_its_indent(nb: Notebook) -> None:
    def is_complete(code: str) -> dict[str, Any]:
        request = nb.client.is_complete(code)
        return answers(nb, request)[request]["content"]

    assert is_complete("1+1")["status"] == "complete"
    assert (is_complete("def f():")["status"], is_complete("def f():")["indent"]) == ("incomplete", "    ")
    assert is_complete("import = 7")["status"] == "invalid"
    assert is_complete("%px 1")["status"] == "complete"


def test_completion_by_jedi_and_of_magics(nb: Notebook) -> None:
    nb.ok("import os")
    reply = nb.client.complete("os.path.basen", reply=True, timeout=20)["content"]
    assert "basename" in "".join(reply["matches"])
    assert reply["metadata"]["_jupyter_types_experimental"]
    assert "%px" in nb.client.complete("%p", reply=True, timeout=20)["content"]["matches"]


def test_inspection(nb: Notebook) -> None:
    nb.ok("def documented():\n    '''What it does.'''")
    reply = nb.client.inspect("documented(", 5, reply=True, timeout=20)["content"]
    assert reply["found"] and "What it does." in reply["data"]["text/plain"]
    assert not nb.client.inspect("nowhere_defined", reply=True, timeout=20)["content"]["found"]


def test_history_over_local_and_parallel_cells(nb: Notebook) -> None:
    first = nb.ok("'local'").count
    nb.ok("%px 'parallel'")
    last = nb.ok("In[-2], In[-3]")
    assert last.count == first + 2
    # As IPython has it, `In` holds what became of the cell.
    assert "run_line_magic('px'" in last.results[0].replace("\\", "") and "'local'" in last.results[0]
    reply = nb.client.history(
        raw=True, hist_access_type="range", session=0, start=first, reply=True, timeout=20
    )
    codes = [code for _, _, code in reply["content"]["history"]]
    assert codes[:3] == ["'local'", "%px 'parallel'", "In[-2], In[-3]"]
    assert "%px 'parallel'" in nb.ok("%history -l 3").stdout
    recalled = nb.ok(f"%recall {first}")
    assert recalled.reply["content"]["payload"] == [
        {"source": "set_next_input", "text": "'local'", "replace": False}
    ]


def test_silent_cells_and_user_expressions(nb: Notebook) -> None:
    count = nb.ok("x = 5").count
    cell = nb.run("y = x + 1; y", silent=True)
    assert cell.status == "ok" and not cell.displays and not cell.of_type("execute_input")
    cell = nb.run("z = y + 1", store_history=False, user_expressions={"z": "z * 2", "no": "nowhere"})
    expressions = cell.reply["content"]["user_expressions"]
    assert expressions["z"]["data"]["text/plain"] == "14"
    assert expressions["no"]["ename"] == "NameError"
    assert nb.ok("1").count == count + 1


def test_payloads(nb: Notebook) -> None:
    payload = nb.ok("len?").reply["content"]["payload"]
    assert payload[0]["source"] == "page" and "Return the number" in payload[0]["data"]["text/plain"]
    nb.ok("get_ipython().set_next_input('next one')")


def test_comms_open_both_ways(nb: Notebook) -> None:
    nb.ok(
        "got = []\n"
        "def opened(comm, message):\n"
        "    comm.on_msg(lambda m: (got.append(m['content']['data']), comm.send({'echo': got[-1]})))\n"
        "get_ipython().kernel.comm_manager.register_target('t', opened)"
    )
    asked(nb, "comm_open", {"comm_id": "c1", "target_name": "t", "data": {}})
    asked(nb, "comm_msg", {"comm_id": "c1", "data": {"n": 1}})
    while (message := nb.client.get_iopub_msg(timeout=20))["msg_type"] != "comm_msg":
        pass
    assert message["content"]["data"] == {"echo": {"n": 1}}
    assert nb.client.comm_info("t", reply=True, timeout=20)["content"]["comms"] == {
        "c1": {"target_name": "t"}
    }
    asked(nb, "comm_close", {"comm_id": "c1", "data": {}})
    assert nb.ok("got").results == ["[{'n': 1}]"]
    assert nb.client.comm_info("t", reply=True, timeout=20)["content"]["comms"] == {}


def test_a_slider_calls_back(nb: Notebook) -> None:
    cell = nb.ok(
        "import ipywidgets\nslider = ipywidgets.IntSlider()\nmoved = []\n"
        "slider.observe(lambda change: (moved.append(change['new']), print('moved')), 'value')\nslider"
    )
    view = next(data for data in cell.displays if "application/vnd.jupyter.widget-view+json" in data)
    model = view["application/vnd.jupyter.widget-view+json"]["model_id"]
    update = {"method": "update", "state": {"value": 7}, "buffer_paths": []}
    asked(nb, "comm_msg", {"comm_id": model, "data": update})
    assert nb.ok("moved, slider.value").results == ["([7], 7)"]


def test_buffers_metadata_and_unknown_types_arrive_as_they_were_sent(nb: Notebook) -> None:
    cell = nb.ok(
        "from ipykernel.comm import Comm\ncomm = Comm('nobody', data={'k': [1, None]})\n"
        "comm.send({'d': 1}, metadata={'m': 2}, buffers=[b'\\x00\\xff', memoryview(b'two')])\n"
        "display({'application/x-odd': {'a': [1, 'ü']}}, raw=True,\n"
        "        metadata={'application/x-odd': {'w': 3}},\n"
        "        transient={'display_id': 'd1', 'own': True})"
    )
    message = next(m for m in cell.messages if m["msg_type"] == "comm_msg")
    assert [bytes(part) for part in message["buffers"]] == [b"\x00\xff", b"two"]
    assert message["metadata"]["m"] == 2
    (shown,) = cell.of_type("display_data")
    assert shown["data"] == {"application/x-odd": {"a": [1, "ü"]}}
    assert shown["metadata"] == {"application/x-odd": {"w": 3}}
    assert shown["transient"] == {"display_id": "d1", "own": True}


def test_every_header_answers_the_one_it_answers(nb: Notebook) -> None:
    """What a client puts into its header comes back in the parent header, whatever it is."""
    request = asked(nb, "execute_request", {"code": "1"}, own={"nested": [1, 2]})
    cell = nb.collect(request)
    for message in [*cell.messages, cell.reply]:
        assert message["parent_header"]["own"] == {"nested": [1, 2]}


def test_an_error_can_be_told_not_to_stop_the_queue(nb: Notebook) -> None:
    first, second = nb.send("1/0", stop_on_error=False), nb.send("'still run'")
    assert nb.collect(first).status == "error"
    assert nb.collect(second).results == ["'still run'"]
