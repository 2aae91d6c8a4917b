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


def test_bound_methods_are_the_ones_that_were_meant() -> None:
    data = run(
        textwrap.dedent(
            """
            def timed(f):
                def wrapper(self, x): return f(self, x) + 1
                return wrapper
            class Base:
                def who(self, x): return "base"
            class Sim(Base):
                @timed
                def step(self, x): return x * 10
                square = lambda self, x: x * x
                def __own(self, x): return -x
                def who(self, x): return "sim"
                @classmethod
                def made(cls, x): return cls.__name__
                def methods(self):
                    return self.step, self.square, self.__own, self.who, super().who, self.made
            values = Sim().methods()
            """
        )
        + SEND
    )
    run(RECEIVE + 'assert [method(3) for method in values] == [31, 9, -3, "sim", "base", "Sim"]', data)


def test_functions_with_a_cache_travel_and_come_along() -> None:
    data = run(
        textwrap.dedent(
            """
            import fnmatch, functools
            @functools.lru_cache(maxsize=7, typed=True)
            def fib(n):
                "Adds up."
                return n if n < 2 else fib(n - 1) + fib(n - 2)
            @functools.cache
            def base(): return 10
            def use(n): return fib(n) + base()
            class Squares:
                @functools.lru_cache
                def of(self, n): return n * n + base()
                @staticmethod
                @functools.cache
                def three(): return 3
            fib(5)
            values = fib, use, Squares(), functools.lru_cache(len), fnmatch._compile_pattern
            """
        )
        + SEND
    )
    run(
        RECEIVE
        + textwrap.dedent(
            """
            fib, use, squares, length, compile_pattern = values
            assert fib.cache_info().currsize == 0 and fib(30) == 832040 and fib.cache_info().hits == 28
            assert fib.cache_parameters() == {'maxsize': 7, 'typed': True} and fib.__doc__ == 'Adds up.'
            assert fib.__name__ == 'fib' and fib.__module__ == '__main__'
            assert use(10) == 65 and squares.of(3) == 19 and squares.three() == 3 and length('ab') == 2
            import fnmatch
            assert compile_pattern is fnmatch._compile_pattern, 'what can be imported goes by name'
            assert loads(dumps(fib)[0])(20) == 6765
            """
        ),
        data,
    )


def test_what_was_made_of_functions_comes_along() -> None:
    data = run(
        textwrap.dedent(
            """
            import functools
            def add(a, b): return a + b
            inc = functools.partial(add, 1)
            twice = functools.partial(functools.partial(inc))
            class Counted:
                def __init__(self, function):
                    functools.update_wrapper(self, function)
                    self.function, self.calls = function, 0
                def __call__(self, *args):
                    self.calls += 1
                    return self.function(*args)
            @Counted
            def three(): return 3
            class Model:
                def __call__(self): return 'data'
            model = Model()
            def use(): return inc(2), twice(3), three()
            def stays(): return model()
            values = use, stays
            """
        )
        + SEND
    )
    run(
        RECEIVE
        + textwrap.dedent(
            """
            use, stays = values
            assert use() == (3, 4, 3) and three.calls == 1
            try: stays()
            except NameError: pass
            else: raise AssertionError('data does not come along')
            """
        ),
        data,
    )


def test_vectorized_functions_come_along() -> None:
    pytest.importorskip("numpy")
    data = run(
        "import numpy\n@numpy.vectorize\ndef f(x): return x + 1\ndef use(): return f([1, 2]).tolist()\n"
        "values = use" + SEND
    )
    run(RECEIVE + "assert values() == [2, 3]", data)


def test_functions_that_dispatch_by_type_travel_and_come_along() -> None:
    data = run(
        textwrap.dedent(
            """
            import functools
            class Point: pass
            @functools.singledispatch
            def kind(value):
                "Says what it is."
                return 'something'
            @kind.register
            def _(value: int): return 'a number'
            @kind.register(list)
            def of_list(value): return [kind(item) for item in value]
            @kind.register
            def _(value: Point): return 'a point'
            class Shower:
                @functools.singledispatchmethod
                def show(self, value): return 'what'
                @show.register
                def _(self, value: str): return value
            def use(): return kind([1, 'x', Point()])
            values = kind, use, Shower()
            """
        )
        + SEND
    )
    run(
        RECEIVE
        + textwrap.dedent(
            """
            kind, use, shower = values
            assert kind(3) == 'a number' and kind(None) == 'something' and kind.__doc__ == 'Says what it is.'
            assert use() == ['a number', 'something', 'a point']
            assert shower.show(1) == 'what' and shower.show('x') == 'x'
            @kind.register
            def _(value: dict): return 'a dict'
            assert kind({}) == 'a dict'
            """
        ),
        data,
    )
