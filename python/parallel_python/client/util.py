"""Small helpers that notebooks import from ``ipyparallel.util``."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from parallel_python.serialize.functions import interactive

__all__ = ["disambiguate_ip_address", "disambiguate_url", "interactive", "log_errors", "utc", "utcnow"]

utc = UTC


def utcnow() -> datetime:
    """Return the time, in UTC and with its zone."""
    return datetime.now(UTC)


def log_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that prints what it raises, with its traceback, instead of raising it."""
    import functools
    import traceback

    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            traceback.print_exc()
            return None

    return logged


def disambiguate_url(url: str, location: str | None = None) -> str:
    """Return an address that can be connected to, of one that stands for all interfaces.

    Parameters
    ----------
    url : str
        ``protocol://host:port``; anything else is returned as it is.
    location : str, optional
        As `disambiguate_ip_address` has it.
    """
    protocol, mark, address = url.partition("://")
    host, colon, port = address.partition(":")
    if not (mark and colon) or ":" in port:
        return url
    return f"{protocol}://{disambiguate_ip_address(host, location)}:{port}"


def disambiguate_ip_address(ip: str, location: str | None = None) -> str:
    """Return an address that can be connected to, of ``0.0.0.0`` or ``*``; others are returned as they are.

    Parameters
    ----------
    ip : str
        The address.
    location : str, optional
        The machine it is of, by name or address; None: this one.
    """
    from jupyter_client.localinterfaces import is_public_ip, localhost

    if ip not in ("0.0.0.0", "*"):
        return ip
    if not location or location == socket.gethostname():
        return str(localhost())
    try:
        address = socket.gethostbyname(location)
    except OSError:
        return location  # Who connects may know it by that name.
    return str(localhost()) if is_public_ip(address) else address
