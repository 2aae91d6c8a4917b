"""Enumerations of the notebook, whatever makes their members."""

from __future__ import annotations

from test_serialize import run

TYPED = """
import dataclasses, datetime, enum, functools

class Planet(enum.Enum):
    EARTH = (5.97e24, 6.37e6)
    MARS = (6.4e23, 3.39e6)
    WORLD = (5.97e24, 6.37e6)
    def __init__(self, mass, radius):
        made.append(self.name)
        self.mass, self.radius = mass, radius
    @property
    def gravity(self): return 6.67e-11 * self.mass / self.radius ** 2
class Coord(bytes, enum.Enum):
    def __new__(cls, value, label):
        self = bytes.__new__(cls, [value])
        self._value_, self.label = value, label
        return self
    PX = (0, 'P.X')
    PY = (1, 'P.Y')
class Pair(tuple, enum.Enum):
    A = (1, 2)
class Day(datetime.date, enum.Enum):
    FIRST = 2026, 1, 1
class Number(float, enum.Enum):
    HALF = 0.5
    def __len__(self): return 3
@dataclasses.dataclass
class Legs:
    size: str
    legs: int
class Creature(Legs, enum.Enum):
    BEETLE = 'small', 6
class Ordinal(enum.Enum):
    @staticmethod
    def _generate_next_value_(name, start, count, last): return name.lower()
    ONE = enum.auto()
    TWO = enum.auto()
class Status(enum.IntEnum):
    OK = 200
    FINE = 200
    @classmethod
    def _missing_(cls, value): return cls.OK
class Perm(enum.Flag):
    R = enum.auto()
    W = enum.auto()
    RW = R | W
    def __contains__(self, other): return 'mine'
class Mask(enum.IntFlag, boundary=enum.KEEP):
    A = 1
    B = 8
class Bits(enum.Flag, boundary=enum.CONFORM):
    LOW = 1
    HIGH = 4
class Labelled(enum.IntFlag):
    def __new__(cls, value, label='made'):
        self = int.__new__(cls, value)
        self._value_, self.label = value, label
        return self
    X = 1, 'x'
    Y = 2, 'y'
class Lists(enum.Enum):
    A = [1]
    B = [2]
    C = [1]
class Operation(enum.Enum):
    ADD = enum.member(functools.partial(max))
    def run(self, *args): return self.value(*args)
class Base(enum.Enum):
    def __init__(self, number): self.twice = 2 * number
class Derived(Base):
    ONE = 1
Functional = enum.Enum('Functional', 'RED GREEN')
Text = enum.StrEnum('Text', {'A': 'a'})
"""

VALUES = """
values = (
    Planet, Planet.EARTH, Coord.PY, Pair.A, Day.FIRST, Number.HALF, Creature.BEETLE, Ordinal.TWO, Status.OK,
    Perm.R | Perm.W, Mask.A | Mask.B, Bits.LOW, Labelled.X | Labelled.Y, Lists.C, Operation.ADD, Derived.ONE,
    Functional.GREEN, Text.A,
)
sys.stdout.buffer.write(dumps(values)[0])
"""

RECEIVED = """
import enum
made = []
data = sys.stdin.buffer.read()
values = loads(data)
Planet, earth, py, pair, day, half, beetle, two, ok, *others = values
rw, mask, low, xy, lists, add, derived, green, text = others
assert not made, 'members are not initialised again'
assert earth is Planet.EARTH is Planet.WORLD and Planet.MARS.radius == 3.39e6 and 9 < earth.gravity < 10
assert list(Planet) == [Planet.EARTH, Planet.MARS] and list(Planet.__members__) == ['EARTH', 'MARS', 'WORLD']
assert Planet((6.4e23, 3.39e6)) is Planet.MARS
assert py == b'\\x01' and py.value == 1 and py.label == 'P.Y' and type(py)(1) is py and py.name == 'PY'
assert pair == (1, 2) and type(pair)((1, 2)) is pair
assert day.year == 2026 and day.isoformat() == '2026-01-01'
assert half + 1 == 1.5 and len(half) == 3
assert beetle.legs == 6 and beetle.size == 'small'
assert two.value == 'two' and type(two)('one').name == 'ONE'
assert type(ok)(404) is ok and type(ok).FINE is ok and ok == 200
assert rw is type(rw).RW and (1 in rw) and ~type(rw).R is type(rw).W
assert mask == 9 and type(mask)(16) == 16 and mask & 8 == 8 and type(mask)._boundary_ is enum.KEEP
assert type(low)(7).value == 5 and type(low)(7) is low | type(low).HIGH
assert xy == 3 and type(xy).X.label == 'x' and xy & 1 is type(xy).X
assert lists is type(lists).A and type(lists)([2]).name == 'B'
assert add.run(1, 3) == 3
assert derived.twice == 2
assert green.value == 2 and text == 'a' and text.upper() == 'A' and str(text) == 'a'
assert loads(data)[1] is earth and loads(data)[9] is rw and loads(data)[12] == xy
class More(type(derived).__mro__[1]):
    TWO = 2
assert More.TWO.twice == 4, 'a base without members still makes those of what is derived from it'
again = dumps(values)[0]
assert [value for value in loads(again)] == [value for value in values]
sys.stdout.buffer.write(again)
"""

BACK = """
back = loads(sys.stdin.buffer.read())
assert back[0] is Planet and all(one is other for one, other in zip(back, values)), [
    one for one, other in zip(back, values) if one is not other]
"""


def test_members_have_what_they_were_given_and_come_back_as_themselves() -> None:
    typed = "made = []\n" + TYPED
    data = run(typed + VALUES)
    again = run(RECEIVED, data)
    # In a process where the same was typed in, they are that process's.
    run(typed + VALUES.replace("sys.stdout.buffer.write(dumps(values)[0])", "") + BACK, again)


def test_members_of_another_value_are_of_another_class() -> None:
    typed = "import enum\nclass Colour(enum.Enum):\n    RED = {}\nvalues = Colour.RED\n"
    data = run(typed.format(1) + "sys.stdout.buffer.write(dumps(values)[0])")
    run(typed.format(1) + "assert loads(sys.stdin.buffer.read()) is Colour.RED", data)
    run(typed.format(2) + "assert loads(sys.stdin.buffer.read()).value == 1", data)
