"""Functions of the notebook that a decorator of a module has made something else of."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from test_serialize import run

SEND = "\nsys.stdout.buffer.write(dumps(values)[0])"
RECEIVE = "values = loads(sys.stdin.buffer.read())\n"


def test_a_context_manager_is_one_where_it_arrives() -> None:
    data = run(
        textwrap.dedent(
            """
            from contextlib import contextmanager
            def five(): return 5
            @contextmanager
            def opened(): yield five()
            def use():
                with opened() as value: return value
            class Pool:
                @contextmanager
                def taken(self): yield five()
            values = opened, use, Pool()
            """
        )
        + SEND
    )
    run(
        RECEIVE
        + textwrap.dedent(
            """
            opened, use, pool = values
            with opened() as value: assert value == 5
            with pool.taken() as value: assert value == 5
            assert use() == 5
            import contextlib
            assert opened.__globals__ is contextlib.__dict__, 'they are the library itself'
            assert opened.__module__ == '__main__' and opened.__name__ == 'opened'
            assert 'GeneratorContextManager' not in globals()
            """
        ),
        data,
    )


@pytest.mark.parametrize("wraps", ["@functools.wraps(function)", ""])
def test_a_decorator_of_the_users_module_sees_that_module(tmp_path: Path, wraps: str) -> None:
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            f"""
            import functools
            def tripled(value): return 3 * value
            def triple(function):
                {wraps or "pass"}
                def inner(*args): return tripled(function(*args))
                return inner
            """
        )
    )
    path = f"sys.path.insert(0, {str(tmp_path)!r})\n"
    data = run(
        path + "import mine\ndef one(): return 1\n@mine.triple\ndef f(x): return x + one()\n"
        "def g(): return f(1)\nvalues = f, g" + SEND
    )
    run(path + RECEIVE + "assert values[0](1) == 6 and values[1]() == 6", data)
