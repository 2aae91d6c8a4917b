"""What can be sent: functions and classes that were typed in, buffers, and what is said of what cannot."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest

from parallel_python import bulk
from parallel_python.serialize import dumps, loads
from parallel_python.serialize.diagnosis import refuse

PYTHON = Path(__file__).resolve().parents[2] / "python"

#: Typed in by a user: a ``__main__`` of its own, in a process of its own.
TYPED = """
import abc, collections, dataclasses, enum, functools, typing

def helper(): return 41
def with_helper(): return helper() + 1
def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def counter():
    count = 0
    def step():
        nonlocal count
        count += 1
        return count
    def read(): return count
    return step, read
def nested():
    def down(n): return n if n == 0 else down(n - 1)
    return down
def annotated(x: int, y=2, *, z: float = 3) -> float:
    "Adds."
    return x + y + z
def reads(): return only_there

class Base:
    def hi(self): return 'base'
class Point(Base):
    __slots__ = ('x',)
    def __init__(self, x): self.x = x
    def hi(self): return super().hi() + str(self.x)
class Outer:
    class Inner:
        value = 7
@dataclasses.dataclass
class Data:
    a: int
    b: list = dataclasses.field(default_factory=list)
    @property
    def double(self): return 2 * self.a
class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    def low(self): return self.name.lower()
class Flags(enum.IntFlag):
    A = 1
    B = 2
Pair = collections.namedtuple('Pair', 'x y', defaults=[5])
class Named(typing.NamedTuple):
    a: int
    b: str = 'q'
    def twice(self): return 2 * self.a
class Abstract(abc.ABC):
    @abc.abstractmethod
    def z(self): ...
class Concrete(Abstract):
    def z(self): return 'z'
    @functools.cached_property
    def cached(self): return 9
    @staticmethod
    def static(): return 's'
    @classmethod
    def named(cls): return cls.__name__
step, read = counter()
values = dict(
    with_helper=with_helper, factorial=factorial, even=even, step=step, read=read, down=nested(),
    annotated=annotated, reads=reads, point=Point(3), inner=Outer.Inner(), data=Data(1), Data=Data,
    colour=Colour.GREEN, flags=Flags.A | Flags.B, pair=Pair(1), named=Named(3),
    concrete=Concrete(), Abstract=Abstract,
    partial=functools.partial(factorial, 5), join=','.join, path=__import__('os').path.join,
)
"""

RECEIVED = """
assert values['with_helper']() == 42
assert values['factorial'](5) == 120 and values['even'](6) and not values['even'](5)
assert values['step']() == 1 and values['read']() == 1, 'two functions close over one variable'
assert values['down'](4) == 0
f = values['annotated']
assert f(1) == 6 and f.__annotations__ == {'x': int, 'z': float, 'return': float} and f.__doc__ == 'Adds.'
only_there = 'mine'
assert values['reads']() == 'mine', 'globals are those of where it runs'
assert values['point'].hi() == 'base3'
assert values['inner'].value == 7
assert values['Data'](2, [3]) == values['Data'](2, [3]) and values['data'].double == 2
import dataclasses
assert [field.name for field in dataclasses.fields(values['Data'])] == ['a', 'b']
assert dataclasses.replace(values['data'], a=4).a == 4
assert values['colour'].low() == 'green' and values['colour'] is type(values['colour']).GREEN
assert values['flags'] == 3 and type(values['flags']).B in values['flags']
assert values['pair'] == (1, 5) and values['pair']._replace(y=2).y == 2
assert values['named'].twice() == 6
c = values['concrete']
assert (c.z(), c.cached, c.static(), c.named()) == ('z', 9, 's', 'Concrete')
try: values['Abstract']()
except TypeError: pass
else: raise AssertionError('abstract')
assert values['partial']() == 120
again = loads(data)
assert type(again['point']) is type(values['point']) and again['colour'] is values['colour']
"""

BACK = """
assert type(back['point']) is Point and type(back['data']) is Data and back['colour'] is Colour.GREEN
assert type(back['pair']) is Pair and type(back['inner']) is Outer.Inner
"""


def run(source: str, data: bytes = b"") -> bytes:
    start = f"import sys; sys.path.insert(0, {str(PYTHON)!r})\n"
    start += "from parallel_python.serialize import dumps, loads\n"
    done = subprocess.run(
        [sys.executable, "-c", start + source], input=data, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_what_was_typed_in_travels_and_comes_back_as_what_it_was() -> None:
    write = "sys.stdout.buffer.write(dumps(values)[0])"
    data = run(TYPED + write)
    read = "data = sys.stdin.buffer.read(); values = loads(data)\n"
    run(read + RECEIVED, data)
    # There and back, in a process that has the classes.
    script = TYPED + textwrap.dedent(
        f"""
        import subprocess
        code = '''import sys; sys.path.insert(0, {str(PYTHON)!r})
        from parallel_python.serialize import dumps, loads
        sys.stdout.buffer.write(dumps(loads(sys.stdin.buffer.read()))[0])'''
        data = dumps(values)[0]
        done = subprocess.run([sys.executable, '-c', code], input=data, capture_output=True, check=True)
        back = loads(done.stdout)
        """
    )
    run(script + BACK)


def test_a_name_that_the_engine_has_is_the_engines() -> None:
    data = run("def helper(): return 'sent'\ndef f(): return helper()\nsys.stdout.buffer.write(dumps(f)[0])")
    run(
        "def helper(): return 'own'\nf = loads(sys.stdin.buffer.read())\n"
        "assert f() == 'own' and helper() == 'own'",
        data,
    )


def test_the_same_code_is_the_same_class_in_whatever_order_its_sets_are() -> None:
    typed = (
        "class Colour:\n    __firstlineno__ = {}\n"
        "    def known(self, name): return name in {{'red', 'green', 'blue', 'black', 'white'}}\n"
    )
    for number in range(3):
        data = run(typed.format(number) + "sys.stdout.buffer.write(dumps(Colour())[0])")
        run(typed.format(9) + "assert type(loads(sys.stdin.buffer.read())) is Colour", data)


def test_a_helper_that_was_changed_is_bound_anew() -> None:
    first, second = (
        run(f"def helper(): return {n}\ndef f(): return helper()\nsys.stdout.buffer.write(dumps(f)[0])")
        for n in (1, 2)
    )
    run(
        "data = sys.stdin.buffer.read()\n"
        f"assert loads(data[:{len(first)}])() == 1\nassert loads(data[{len(first)}:])() == 2",
        first + second,
    )


def test_a_helper_that_cannot_be_sent_stays_behind() -> None:
    run(
        "import threading\nlock = threading.Lock()\ndef maker(x=lock): return x\n"
        "def f(): return maker\ndumps(f)"
    )


def test_modules_that_a_function_names_come_along_where_they_are() -> None:
    data = run(
        "import math, types, json as j\ngone = types.ModuleType('no_such_module')\n"
        "def f(x): return math.sqrt(x) if x else gone\ndef g(): return j.dumps(1)\n"
        "sys.stdout.buffer.write(dumps((f, g))[0])"
    )
    run("f, g = loads(sys.stdin.buffer.read())\nassert f(4) == 2 and g() == '1'", data)


def test_functions_of_modules_go_by_name() -> None:
    data, _, _ = dumps(textwrap.dedent)
    assert b"dedent" in data and len(data) < 60


def test_large_buffers_stay_outside_and_arrive_writable() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(100_000.0)
    data, buffers, _ = dumps({"array": array, "small": array[:10].copy()})
    assert len(data) < 1000 and [buffer.nbytes for buffer in buffers] == [800_000]
    blobs, file = bulk.share(buffers)
    assert file is not None
    received = loads(data, bulk.receive(blobs))
    file.close()
    assert (received["array"] == array).all()
    received["array"][0] = received["small"][0] = 5
    assert array[0] == 0 and received["array"][0] == 5


def test_nothing_is_held_by_what_pickled_it() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.ones(100_000)
    gone = weakref.ref(array)
    gc.disable()
    try:
        dumps({"array": array})
        del array
        assert gone() is None
    finally:
        gc.enable()


def test_a_large_pickle_is_a_buffer_itself() -> None:
    value = {"text": "x" * 3_000_000, "numbers": list(range(500_000))}
    data, buffers, _ = dumps(value)
    assert len(data) < 1000 and len(buffers) == 1
    blobs, _file = bulk.share(buffers)
    assert loads(data, bulk.receive(blobs)) == value


def test_more_than_there_is_is_refused_with_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_free", lambda: 70e6)
    with pytest.raises(MemoryError, match=r"80 MB are to be shared with engines, and 70 MB of memory"):
        bulk.share([memoryview(bytearray(80_000_000))])


def test_kinds_of_arrays_survive() -> None:
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    record = numpy.zeros(3, dtype=[("a", int), ("b", "U4")])
    frame = pandas.DataFrame({"x": range(3), "y": list("abc")})
    objects = numpy.array([1, "a", None], dtype=object)
    fortran = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
    data, buffers, _ = dumps(
        [record, frame, objects, fortran, frame["x"], memoryview(b"abc").tobytes(), b"bytes"]
    )
    received = loads(data, buffers)
    assert (received[0] == record).all() and received[1].equals(frame) and list(received[2]) == [1, "a", None]
    assert received[3].flags.f_contiguous and (received[3] == fortran).all()


def test_views_of_memory_survive() -> None:
    numpy = pytest.importorskip("numpy")
    grid = numpy.arange(12).reshape(3, 4)
    large = memoryview(bytearray(1_000_000))
    views = [
        memoryview(b"abc"),
        memoryview(grid),
        memoryview(grid)[::2],
        memoryview(numpy.asfortranarray(grid)),
        memoryview(b""),
        large,
        memoryview(numpy.zeros(3, dtype=">i4")),
    ]
    data, buffers, _ = dumps(views)
    assert [buffer.nbytes for buffer in buffers] == [1_000_000], "what is large is not copied"
    found = loads(data, buffers)
    assert all(type(view) is memoryview for view in found)
    assert [view.tobytes() for view in found] == [view.tobytes() for view in views]
    assert found[1].tolist() == grid.tolist() and found[2].tolist() == grid[::2].tolist()
    assert found[1].format == "l" and found[3].tolist() == grid.tolist()
    assert loads(*dumps({"k": memoryview(b"x")})[:2])["k"] == b"x"


class Stubborn:
    def __reduce__(self) -> str:
        raise ValueError("not me")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"lock": threading.Lock()}, "x['lock'] is of type `_thread.lock`"),
        ([1, (2, threading.Lock())], "x[1][1] is of type `_thread.lock`"),
        ((lambda lock: lambda: lock)(threading.Lock()), "lock is of type `_thread.lock`"),
        (Stubborn(), "x is of type `test_serialize.Stubborn`"),
    ],
)
def test_what_cannot_be_pickled_is_named(value: object, where: str) -> None:
    with pytest.raises(Exception) as caught:
        dumps(value)
    told = refuse(caught.value, {"x": value})
    assert isinstance(told, pickle.PicklingError) and where in str(told)
