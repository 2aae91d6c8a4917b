"""Exceptions that do not like to be looked at: each is an error of its cell or call, and the engine lives."""

from __future__ import annotations

import pytest

from notebook import Notebook
from test_engine_completion import reply_to

#: What is raised, by what is odd about it.
ODD = {
    "its text is no Unicode": "raise ValueError('f\\udcff')",
    "its notes are no Unicode": "error = ValueError('n')\nerror.add_note('n\\udcff')\nraise error",
    "its notes cannot be shown": (
        "class Note:\n"
        "    def __str__(self): raise ValueError\n"
        "    __repr__ = __str__\n"
        "error = ValueError('n')\n"
        "error.__notes__ = [Note()]\n"
        "raise error"
    ),
    "its class has no name": (
        "class Meta(type):\n"
        "    @property\n"
        "    def __name__(cls): raise AttributeError('no name')\n"
        "class Nameless(Exception, metaclass=Meta): pass\n"
        "raise Nameless"
    ),
    "its cause cannot be looked at": (
        "class Closed(Exception):\n"
        "    def __getattribute__(self, name):\n"
        "        if name in ('__cause__', '__context__', '__notes__'): raise RuntimeError(name)\n"
        "        return super().__getattribute__(name)\n"
        "raise Closed"
    ),
    "its cause ends the process": (
        "class Leaves(Exception):\n"
        "    def __getattribute__(self, name):\n"
        "        if name in ('__cause__', '__context__'): raise SystemExit(3)\n"
        "        return super().__getattribute__(name)\n"
        "raise Leaves"
    ),
    "its text ends the process": (
        "class Exits(Exception):\n    def __str__(self): raise SystemExit(3)\nraise Exits"
    ),
    "its text is interrupted": (
        "class Interrupts(Exception):\n    def __str__(self): raise KeyboardInterrupt\nraise Interrupts"
    ),
}


def indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


@pytest.mark.parametrize("what", ODD)
def test_an_odd_exception_ends_no_engine(nb: Notebook, what: str) -> None:
    nb.run(f"%%px\n{ODD[what]}")
    cell = nb.run(
        "import ipyparallel as ipp\n"
        "rc = ipp.Client()\n"
        f"def odd():\n{indented(ODD[what])}"
        "for call in (lambda: rc[:].apply_sync(odd), lambda: rc[:].execute('odd()', block=True)):\n"
        "    rc[:].push({'odd': odd}, block=True)\n"
        "    try:\n"
        "        call()\n"
        "    except ipp.CompositeError as error:\n"
        "        print(len(error.elist), {one[0] for one in error.elist} - {'EngineError'} != set())\n"
    )
    assert cell.stdout == "4 True\n4 True\n", (cell.stdout, cell.error)
    assert nb.ok("print(rc.ids)").stdout == "[0, 1, 2, 3]\n"


def test_text_that_is_no_unicode_is_escaped(nb: Notebook) -> None:
    cell = nb.run("%%px -t 0\nraise ValueError('f\\udcff')")
    assert cell.reply["content"]["evalue"] == "f\\udcff"


def test_an_object_that_ends_the_process_is_inspected(nb: Notebook) -> None:
    nb.ok("%%px\nclass R:\n    def __repr__(self): raise SystemExit(4)\nr = R()", timeout=60)
    assert reply_to(nb, nb.client.inspect("%px r", 5))["status"] == "ok"
    assert nb.ok("%px 1").results


def test_the_place_of_a_syntax_error_in_a_call_is_shown(nb: Notebook) -> None:
    cell = nb.run(
        "import ipyparallel as ipp\n"
        "rc = ipp.Client()\n"
        "def load():\n"
        "    exec(compile('x = 1\\ny = = 2', 'a_module.py', 'exec'))\n"
        "try:\n"
        "    rc[0].apply_sync(load)\n"
        "except ipp.RemoteError as error:\n"
        "    print('\\n'.join(error.render_traceback()))\n"
    )
    assert "a_module.py" in cell.stdout and "y = = 2" in cell.stdout and "^" in cell.stdout


def test_what_is_in_an_exception_group_is_shown(nb: Notebook) -> None:
    cell = nb.run(
        "import ipyparallel as ipp\n"
        "rc = ipp.Client()\n"
        "def many():\n"
        "    raise ExceptionGroup('many', [ValueError(1), ExceptionGroup('in', [TypeError('deep')])])\n"
        "try:\n"
        "    rc[0].apply_sync(many)\n"
        "except ipp.RemoteError as error:\n"
        "    print('\\n'.join(error.render_traceback()))\n"
    )
    assert "ValueError: 1" in cell.stdout and "TypeError: deep" in cell.stdout, cell.stdout


def test_what_a_failed_call_was_given_is_let_go_of(nb: Notebook) -> None:
    pytest.importorskip("numpy")
    cell = nb.ok(
        "import gc, ipyparallel as ipp, numpy\n"
        "rc = ipp.Client()\n"
        "def files():\n"
        "    import os\n"
        "    with open('/proc/self/maps') as maps:\n"
        "        return sum('memfd:parallel-python' in line for line in maps)\n"
        "def bad(array):\n"
        "    raise ValueError('no')\n"
        "def unsendable(array):\n"
        "    return (one for one in array)\n"
        "rc[0].apply_sync(gc.disable)\n"
        "before = rc[0].apply_sync(files)\n"
        "for function in (bad, unsendable) * 5:\n"
        "    try:\n"
        "        rc[0].apply_sync(function, numpy.ones(100_000))\n"
        "    except ipp.RemoteError as error:\n"
        "        pass\n"
        "print(rc[0].apply_sync(files) - before)\n"
        "rc[0].apply_sync(gc.enable)"
    )
    assert cell.stdout == "0\n"


def test_a_handler_of_the_cells_own_stays_for_the_cell(nb: Notebook) -> None:
    cell = nb.ok(
        "%%px -t 0\n"
        "import os, signal\n"
        "stopped = []\n"
        "before = signal.signal(signal.SIGINT, lambda *_: stopped.append(1))\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "while not stopped: pass\n"
        "print(before is signal.default_int_handler, stopped)"
    )
    assert cell.stdout == "[stdout:0] True [1]\n"
    cell = nb.ok("%%px -t 0\nprint(signal.getsignal(2) is before)")
    assert cell.stdout == "[stdout:0] True\n", "the next cell begins as always"
