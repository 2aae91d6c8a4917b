"""Enumerations that were typed into a notebook.

Members are made from what they hold, not by the ``__new__`` and ``__init__`` that made them before.
**Invariant**: a member has its data (that of the type it is mixed with), its value and its attributes as
where it came from.
"""

from __future__ import annotations

import copyreg
import enum
from typing import Any

from parallel_python.serialize import creation, identity
from parallel_python.serialize.naming import goes_by_value, module_of

#: What `enum` makes anew of members and bases.
MADE = frozenset({
    "__new__", "_inverted_", "_iter_member_", "_member_map_", "_member_names_", "_member_type_",
    "_value2member_map_", "_value_repr_",
    "_hashable_values_", "_unhashable_values_", "_unhashable_values_map_",
})  # fmt: skip

#: What members that are made later, unions of flags, are made by: it is there before any is asked for.
_MAKERS = (
    "_new_member_", "__new_member__", "_use_args_",
    "_boundary_", "_flag_mask_", "_all_bits_", "_singles_mask_",
)  # fmt: skip

#: What `enum` gives each member.
_GIVEN = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


#: What a member is made from: arguments of the type that is mixed in, keyword arguments, and its value.
Parts = tuple[tuple[Any, ...], dict[str, Any], Any]


class _Coming:
    """Stands for a member in the namespace of its class: nothing else, so that `enum` leaves it alone."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts


def reduce_member(member: enum.Enum) -> Any:
    """Return what `pickle` makes a member from: its name, for a value that arrives need not equal its own."""
    cls = type(member)
    if cls.__members__.get(member._name_) is not member or not goes_by_value(cls):
        return NotImplemented
    return member_of, (cls, member._name_)


def member_of(cls: type[enum.Enum], name: str) -> enum.Enum:
    """Return the member of this name."""
    return cls.__members__[name]


def parts_of(cls: type[enum.Enum]) -> tuple[tuple[Any, ...], frozenset[str]]:
    """Return arguments of `make_enum`, and the names of attributes that it sees to."""
    members = {name: _taken_apart(cls, member) for name, member in cls.__members__.items()}
    makers = {name: cls.__dict__[name] for name in _MAKERS if name in cls.__dict__}
    names = {"__module__": module_of(cls), "__qualname__": cls.__qualname__}
    arguments = (type(cls), cls.__name__, cls.__bases__, names, members, makers, identity.about(cls))
    return arguments, MADE | frozenset(makers) | frozenset(members)


def attributes_of_members(cls: type[enum.Enum]) -> dict[str, dict[str, Any]]:
    """Return what members have beside what `enum` gives them."""
    found = {}
    for name in cls.__members__:
        own = {key: value for key, value in cls.__members__[name].__dict__.items() if key not in _GIVEN}
        if own:
            found[name] = own
    return found


def fill_members(cls: type[enum.Enum], attributes: dict[str, dict[str, Any]]) -> None:
    """Give members their attributes."""
    for name, own in attributes.items():
        cls.__members__[name].__dict__.update(own)


def _taken_apart(cls: Any, member: enum.Enum) -> Parts:
    kind = cls._member_type_
    if kind is object:
        return (), {}, member._value_
    # The type that is mixed in knows how: its values can be pickled.
    make, args, *_ = kind.__reduce_ex__(member, 2)
    if make is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
        return args[1], args[2], member._value_
    if make not in (copyreg.__newobj__, type(member)):  # type: ignore[attr-defined]
        raise TypeError(
            f"members of {cls.__qualname__} cannot be made anew, because {kind.__qualname__} does not say"
            " how: put it into a module that both can import"
        )
    return args[1:] if make is not type(member) else args, {}, member._value_


def make_enum(
    meta: Any,
    name: str,
    bases: tuple[type, ...],
    names: dict[str, Any],
    members: dict[str, Parts],
    makers: dict[str, Any],
    about: identity.About,
) -> type:
    """Make an enumeration and its members, or return the one that is here."""

    def make() -> type:
        namespace = creation.maker_of(meta).__prepare__(name, bases)
        namespace["__new__"], namespace["__init__"] = _put_together, _leave
        for key, value in names.items():
            namespace[key] = value
        for key, parts in members.items():
            namespace[key] = _Coming(parts)
        keywords = {"boundary": makers["_boundary_"]} if "_boundary_" in makers else {}
        made = creation.new_class(meta, name, bases, namespace, **keywords)
        type.__delattr__(made, "__init__")
        type.__delattr__(made, "__new_member__")
        for key, value in makers.items():
            type.__setattr__(made, key, value)
        return made

    return identity.once(about, name, names, make)


def _put_together(cls: Any, coming: Any) -> Any:
    # `enum` wraps it where tuples are mixed in.
    args, keywords, value = (coming[0] if isinstance(coming, tuple) else coming).parts
    member = cls._member_type_.__new__(cls, *args, **keywords)
    member._value_ = value
    return member


def _leave(member: Any, coming: Any) -> None:
    """Stand in for an ``__init__`` that a base may have."""
