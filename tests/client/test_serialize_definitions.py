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
        values = A(), B, Plugin
        """,
        """
        a, B, Plugin = values
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
