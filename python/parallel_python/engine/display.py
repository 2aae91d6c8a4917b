"""Displays and results on their way to the notebook, in the form of Jupyter's messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher

from parallel_python.engine.messages import pack

if TYPE_CHECKING:
    from _parallel_python import Engine
    from IPython.core.interactiveshell import ExecutionResult

#: A message's type and content, which a hook may change, or keep by returning None.
Hook = Callable[[dict[str, Any]], "dict[str, Any] | None"]


def flush() -> None:
    """What user code has put in place of the streams may hold text back."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


class EnginePublisher(DisplayPublisher):
    """Sends displays to the notebook."""

    engine: Engine

    def publish(
        self,
        data: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        *,
        transient: Mapping[str, Any] | None = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        """Send a display, or the new state of one."""
        self._validate_data(data, metadata)
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        self._send("update_display_data" if update else "display_data", content)

    def clear_output(self, wait: bool = False) -> None:
        """Clear what this engine has shown in the cell, at once or when the next display comes."""
        self._send("clear_output", {"wait": wait})

    def register_hook(self, hook: Hook) -> None:
        """Pass every display through `hook` first."""
        self._hooks.append(hook)

    def unregister_hook(self, hook: Hook) -> bool:
        """Undo `register_hook`; whether there was something to undo."""
        if hook not in self._hooks:
            return False
        self._hooks.remove(hook)
        return True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hooks: list[Hook] = []

    def _setup_execution_tracking(self) -> None:
        """Do not ask to be told of every cell: what it displays is kept by nobody here."""

    def _send(self, msg_type: str, content: dict[str, Any]) -> None:
        message: dict[str, Any] | None = {
            "header": {"msg_type": msg_type},
            "msg_type": msg_type,
            "content": content,
        }
        for hook in self._hooks:
            message = hook(message)
            if message is None:
                return
        flush()
        self.engine.publish(message["msg_type"], pack(message["content"]), b"{}", [])


class EngineDisplayHook(DisplayHook):
    """Sends the value of a cell's last expression to the notebook."""

    engine: Engine
    # A plain attribute where IPython has a trait, as others that are set for each cell (`shell.py`).
    exec_result: ExecutionResult | None = None
    _content: dict[str, Any] | None = None

    def write_output_prompt(self) -> None:
        """Leave the prompt to the notebook, which knows which engine it is."""

    def write_format_data(
        self, format_dict: Mapping[str, Any], md_dict: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the value's representations until the hook is done."""
        self._content = {"data": format_dict, "metadata": md_dict or {}}

    def finish_displayhook(self) -> None:
        """Send the value."""
        content, self._content = self._content, None
        if content is not None and content["data"]:
            flush()
            self.engine.result(self.prompt_count, pack(content))
        self._is_active = False
