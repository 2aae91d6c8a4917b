"""Cells for which IPython would do nothing of its own, run without asking it at every step.

Most parallel cells are nothing but Python, and short. Around them IPython looks for its own syntax in four
ways, makes coroutines that never wait and a plan of what to show. With more engines than cores, where every
step finds its caches cold, that is a fifth of a short cell's time.

**Invariant**: such a cell does, shows and leaves what it would by IPython's `run_cell`, in the same order.
Whatever is out of the ordinary goes IPython's way, and every exception is IPython's to show.
"""

from __future__ import annotations

import ast
from collections.abc import Coroutine
from types import CodeType
from typing import TYPE_CHECKING, Any

import IPython
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

from parallel_python.engine.source import may_await

if TYPE_CHECKING:
    from parallel_python.engine.shell import EngineShell

#: Before that, IPython counted a cell when it had run.
_COUNTS_FIRST = IPython.version_info[:2] >= (9, 8)


def run_plain(shell: EngineShell, raw_cell: str) -> ExecutionResult | None:
    """Run a cell that is kept in the history; None, and nothing has happened, if it is not plain."""
    if not _is_plain(shell, raw_cell):
        return None
    cell = raw_cell if raw_cell.endswith("\n") else raw_cell + "\n"
    count = shell.execution_count
    name = shell.compile.cache(cell, count, raw_code=raw_cell)
    try:
        nodes = shell.compile.ast_parse(cell, filename=name).body
    except Exception:
        # IPython says what is wrong with it.
        return None

    info = ExecutionInfo(raw_cell, True, False, True, None)
    info.transformed_cell = cell
    result = ExecutionResult(info)
    result.execution_count = count
    shell.execution_count = count + 1
    trigger = shell.events.trigger
    trigger("pre_execute")
    trigger("pre_run_cell", info)
    shell.history_manager.store_inputs(count, cell, raw_cell)
    with shell.display_trap:
        shell.displayhook.exec_result = result
        shell.last_execution_succeeded = _run_nodes(shell, nodes, name, result)
        shell.last_execution_result = result
        shell.displayhook.exec_result = None
    shell.history_manager.store_output(count)
    if result.error_in_exec is not None:
        kept = shell._format_exception_for_storage(result.error_in_exec)
        shell.history_manager.exceptions[count] = kept
    trigger("post_execute")
    trigger("post_run_cell", result)
    return result


def _is_plain(shell: EngineShell, cell: str) -> bool:
    """Whether IPython would run the cell as it stands."""
    return (
        _COUNTS_FIRST
        and not may_await(cell)
        and shell.input_transformer_manager.leaves_alone(cell)
        and not shell.input_transformers_post
        and ("\n" in cell or shell.prefilter_manager.leaves_alone(cell))
        and not shell.ast_transformers
        and shell.ast_node_interactivity == "last_expr"
        and not shell.logger.log_active
    )


def _run_nodes(shell: EngineShell, nodes: list[ast.stmt], name: str, result: ExecutionResult) -> bool:
    """Run statement after statement; the value of the last one is shown. Whether all of them ran."""
    last = len(nodes) - 1
    for place, node in enumerate(nodes):
        code = _compiled(shell, node, name, place == last and isinstance(node, ast.Expr))
        if code is None:
            failed = shell.run_ast_nodes([node], name, "none", shell.compile, result)
        else:
            failed = shell.run_code(code, result)
        try:
            if _at_once(failed):
                return False
        except BaseException as error:
            # An interrupt that came just before the code, or just after it.
            result.error_before_exec = error
            shell.showtraceback()
            return False
    return True


def _compiled(shell: EngineShell, node: ast.stmt, name: str, shown: bool) -> CodeType | None:
    """Return a statement's code; None for what did parse but cannot be: a ``return`` outside a function."""
    try:
        if shown:
            return shell.compile(ast.Interactive([node]), name, "single")
        return shell.compile(ast.Module([node], []), name, "exec")
    except Exception:
        return None


def _at_once(coroutine: Coroutine[Any, Any, bool | None]) -> bool | None:
    """Return what a coroutine gives that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("a plain cell waits")
