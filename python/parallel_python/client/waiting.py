"""Waiting until there are as many engines as somebody needs."""

from __future__ import annotations

import builtins
import operator
import threading
from concurrent.futures import Future, InvalidStateError

from parallel_python.client import bars
from parallel_python.client.engines import Engines
from parallel_python.client.errors import EngineError


def wait_for_engines(engines: Engines, n: int, timeout: float | None) -> Future[None]:
    """Return a future that is done when there are `n` engines, or fails when there will not be.

    Parameters
    ----------
    engines : Engines
        What is known of them.
    n : int
        How many there have to be.
    timeout : float or None
        Seconds until it fails.

    Raises
    ------
    TypeError
        When `n` is no number.
    """
    n = operator.index(n)
    future: Future[None] = Future()
    timer: threading.Timer | None = None

    def look() -> None:
        if len(engines.ids) >= n and engines.phase == "up":
            settle(None)
        elif engines.ended or (engines.phase == "up" and _some_died()):
            settle(EngineError(_why()))

    def _some_died() -> bool:
        return any(not engine.alive for engine in engines.table.values())

    def _why() -> str:
        dead = [rank for rank, engine in engines.table.items() if not engine.alive]
        if dead:
            return f"Engine {dead[0]} unregistered while waiting for engines."
        return f"there will be no engines: {engines.ended}"

    def settle(error: Exception | None) -> None:
        if look in engines.watchers:
            engines.watchers.remove(look)
        if timer is not None:
            timer.cancel()
        try:
            future.set_result(None) if error is None else future.set_exception(error)
        except InvalidStateError:
            pass  # It was settled, or cancelled, in the same moment.

    def give_up() -> None:
        settle(
            builtins.TimeoutError(
                f"{n} engines not ready in {timeout} seconds. Currently ready: {len(engines.ids)}"
            )
        )

    engines.watchers.append(look)
    look()
    if timeout is not None and not future.done():
        timer = threading.Timer(timeout, give_up)
        timer.daemon = True
        timer.start()
    return future


def show_bar(engines: Engines, n: int, future: Future[None], widget: bool | None) -> None:
    """Show how many of `n` engines there are until a future of `wait_for_engines` is done."""
    bar = bars.make_bar(n, "", "engine", widget)

    def changed() -> bool:
        return future.done() or min(n, len(engines.ids)) != bar.n

    future.add_done_callback(lambda done: engines.notice())
    try:
        while True:
            engines.wait(changed)
            bars.draw(bar, min(n, len(engines.ids)))
            if future.done():
                return
    finally:
        bars.close(bar)
