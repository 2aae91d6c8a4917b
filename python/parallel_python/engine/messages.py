"""Python values as the JSON that Jupyter's messages are made of."""

from __future__ import annotations

import binascii
import json
import math
import numbers
from collections.abc import Iterable, Mapping
from datetime import datetime


def pack(content: Mapping[str, object]) -> bytes:
    """Encode a message part.

    Bytes become base64 text (images among a display's data), other iterables lists. What JSON has no word
    for, such as NaN, becomes text.
    """
    try:
        text = json.dumps(content, default=_known, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        text = json.dumps(_clean(content), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")


def _known(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _clean(value: object) -> object:
    """Take a value apart, down to what JSON knows."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    try:
        known = _known(value)
    except TypeError:
        return repr(value)
    return [_clean(item) for item in known] if isinstance(known, list) else _clean(known)
