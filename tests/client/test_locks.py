"""Where an interrupt would keep a lock that the thread which completes results needs."""

from __future__ import annotations

import pytest

from notebook import Notebook
from notebooks import GATE, START, check


@pytest.mark.parametrize("opened", [0, 1])
def test_no_interrupt_comes_while_a_wait_has_the_lock_of_its_result(nb: Notebook, opened: int) -> None:
    """Looked at before every step of Python's."""
    check(nb, START + GATE)
    check(
        nb,
        f"""
        import sys
        from parallel_python.local.locks import keeps_locks
        gate = Gate(); ar = gate.hold(rc[0])
        gate.wait_for(1)
        seen, wrong = set(), set()
        def look(frame, event, argument, lock=ar._condition._lock):
            frame.f_trace_opcodes = True
            if lock._is_owned():
                seen.add(frame.f_code.co_name)
                if not keeps_locks(frame):
                    wrong.add((frame.f_code.co_name, frame.f_lineno))
            return look
        gate.open({opened}); before = sys.gettrace()
        sys.settrace(look)
        try:
            ar.wait(0.05)
        finally:
            sys.settrace(before)
        assert '__exit__' in seen and not wrong, wrong
        gate.open({1 - opened}); ar.get()
        """,
    )
