"""Classes whose definition does more than to run their bodies: hooks, metaclasses, type parameters."""

from __future__ import annotations

import textwrap
import threading
from typing import Any

from parallel_python.serialize import creation
from test_serialize import run

seen: list[str] = []


class Base:
    def __init_subclass__(cls) -> None:
        seen.append(cls.__name__)


class Meta(type):
    """Has another thread define a class while one is made."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        other = threading.Thread(target=lambda: type("Other", (Base,), {}))
        other.start()
        other.join(10)
        return super().__new__(mcs, name, bases, namespace)


SEND = "\nsys.stdout.buffer.write(dumps(values)[0])"
RECEIVE = "values = loads(sys.stdin.buffer.read())\n"


def sent(typed: str, received: str) -> None:
    """Run what is typed in, send its `values`, and run the rest where they arrive."""
    run(RECEIVE + textwrap.dedent(received), run(textwrap.dedent(typed) + SEND))


def test_a_hook_of_a_base_has_run_when_a_class_arrives() -> None:
    sent(
        """
        class Plugin:
            known = {}
            def __init_subclass__(cls, /, name, **keywords):
                super().__init_subclass__(**keywords)
                cls.plugin_name = name
                Plugin.known[name] = cls
        class A(Plugin, name='a'):
            def hi(self): return 'A' + self.plugin_name
        class B(A, name='b'): pass
        class Sized:
            def __init_subclass__(cls, /, size): cls.size = size
        class Small(Sized, size=1): pass
        values = A(), B, Plugin, Small()
        """,
        """
        a, B, Plugin, small = values
        assert small.size == 1
        assert a.hi() == 'Aa' and B().hi() == 'Ab'
        assert Plugin.known == {'a': type(a), 'b': B}
        class C(B, name='c'): pass
        assert C().hi() == 'Ac' and Plugin.known['c'] is C, 'it runs for what is defined here'
        """,
    )


def test_a_hook_of_a_module_is_as_it_was_when_a_class_has_been_made() -> None:
    hook = Base.__dict__["__init_subclass__"]
    made: Any = creation.new_class(Meta, "Made", (Base,), {"x": 1})
    assert type(made) is Meta and made.x == 1
    assert seen == ["Other"] and Base.__dict__["__init_subclass__"] is hook


def test_a_metaclass_that_was_typed_in_has_run_when_a_class_arrives() -> None:
    sent(
        """
        import abc
        class Meta(abc.ABCMeta):
            made = []
            def __new__(mcs, name, bases, namespace, *, tag):
                return super().__new__(mcs, name, bases, {**namespace, 'tag': tag})
            def __init__(cls, name, bases, namespace, *, tag):
                super().__init__(name, bases, namespace)
                Meta.made.append(name)
            def shout(cls): return cls.tag.upper()
        class A(metaclass=Meta, tag='a'):
            @abc.abstractmethod
            def z(self): ...
        class B(A, tag='b'):
            def z(self): return 'z'
        values = A, B()
        """,
        """
        A, b = values
        assert A.shout() == 'A' and type(b).shout() == 'B' and b.z() == 'z'
        assert isinstance(b, A) and type(A).made == ['A', 'B']
        try: A()
        except TypeError: pass
        else: raise AssertionError('abstract')
        """,
    )


def test_generic_classes_are_generic_where_they_arrive() -> None:
    sent(
        """
        from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar
        from typing import TypeVarTuple, Unpack, runtime_checkable
        T = TypeVar('T')
        N = TypeVar('N', int, float)
        Ts = TypeVarTuple('Ts')
        class Hooked:
            def __init_subclass__(cls, /, name, **keywords):
                super().__init_subclass__(**keywords)
                cls.hooked = name
        class Box(Generic[T]):
            def __init__(self, item: T) -> None: self.item = item
            def get(self) -> T: return self.item
        class Ints(Box[int]): pass
        class Both(Generic[T, N], Hooked, name='both'): pass
        class Many(Generic[Unpack[Ts]]): pass
        class Row(NamedTuple, Generic[T]):
            a: T
            b: int = 5
        class Plain(NamedTuple):
            a: int
        class Movie(TypedDict, total=False):
            "A film."
            title: str
            box: Box[int]
        class More(Movie):
            year: int
        class Table(TypedDict, Generic[T]):
            rows: list[T]
        @runtime_checkable
        class Closes(Protocol):
            def close(self) -> None: ...
        class Door(Closes):
            def close(self) -> None: self.closed = True
        values = (T, Box, Ints(3), Both, Many, Row(1), Plain(2), Movie, More, Table, Closes, Door())
        """,
        """
        import io, typing
        T, Box, ints, Both, Many, row, plain, Movie, More, Table, Closes, door = values
        assert Box[int](3).get() == 3 and Box.__parameters__ == (T,)
        assert Box.get.__annotations__['return'] is T
        assert ints.get() == 3 and isinstance(ints, Box) and type(ints).__orig_bases__ == (Box[int],)
        class Derived(Box[T]): pass
        assert Derived[str]('a').get() == 'a'
        assert Both.hooked == 'both' and len(Both.__parameters__) == 2 and Both[int, float]
        assert Both.__parameters__[1].__constraints__ == (int, float)
        assert Many[int, str]
        assert row == (1, 5) and row.a == 1 and type(row)[int](2).b == 5
        assert plain.a == 2 and plain._replace(a=3) == (3,)
        assert typing.is_typeddict(Movie) and Movie(title='x') == {'title': 'x'}
        assert Movie.__doc__ == 'A film.'
        assert Movie.__total__ is False and Movie.__optional_keys__ == {'title', 'box'}
        assert Movie.__annotations__['box'] == Box[int]
        assert More.__required_keys__ == {'year'} and set(More.__annotations__) == {'title', 'box', 'year'}
        assert Table[int](rows=[1]) == {'rows': [1]} and Table.__parameters__ == (T,)
        assert isinstance(door, Closes) and isinstance(io.StringIO(), Closes) and not isinstance(3, Closes)
        door.close()
        assert door.closed
        try: Closes()
        except TypeError: pass
        else: raise AssertionError('protocol')
        """,
    )


def test_annotations_name_what_was_typed_in() -> None:
    sent(
        """
        from typing import Callable, NewType, Optional, ParamSpec, TypedDict, TypeVar
        T = TypeVar('T', bound='Callable')
        P = ParamSpec('P')
        UserId = NewType('UserId', int)
        Admin = NewType('Admin', UserId)
        class Movie(TypedDict):
            title: str
        def f(x: T, y: list[T] | None = None, z: Optional[UserId] = None) -> T: return x
        def g(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: return call(*args, **kwargs)
        def h(movie: Movie, admin: Admin) -> str: return movie['title']
        def use(): return Admin(3), Movie(title='y')
        values = (f, g, h, T, P, UserId, Admin, use)
        """,
        """
        import typing
        f, g, h, T, P, UserId, Admin, use = values
        assert f(3) == 3 and g(max, 1, 2) == 2 and h({'title': 'x'}, 1) == 'x'
        assert f.__annotations__['x'] is T is f.__annotations__['return'] and T.__module__ == '__main__'
        assert f.__annotations__['z'] == typing.Optional[UserId] and UserId(3) == 3
        assert g.__annotations__['args'] == P.args and g.__annotations__['kwargs'] == P.kwargs
        assert Admin.__supertype__ is UserId and h.__annotations__['admin'] is Admin
        assert use() == (3, {'title': 'y'})
        again = loads(dumps(values)[0])
        assert again[3] is T and again[4] is P and again[5] is UserId
        """,
    )


def test_what_cannot_be_sent_stays_and_all_else_that_a_function_names_comes_along() -> None:
    data = run(
        textwrap.dedent(
            """
            import threading
            class Cache: lock = threading.Lock()
            def odd(n): return bool(n) and even(n - 1)
            def even(n): return not n or odd(n - 1) or Cache is None
            def helper(x): return x + 1 if even(4) else Cache()
            def f(x, use=False): return Cache() if use else helper(x)
            values = f
            """
        )
        + SEND
    )
    run(
        RECEIVE
        + textwrap.dedent(
            """
            assert values(1) == 2
            try:
                values(1, use=True)
            except NameError as error:
                assert error.name == 'Cache'
            else:
                raise AssertionError
            """
        ),
        data,
    )
