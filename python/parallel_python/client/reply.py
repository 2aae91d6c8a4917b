"""`ExecuteReply`: what executing code on an engine gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parallel_python.client.metadata import Metadata


def _representation(mime: str) -> Callable[[ExecuteReply], Any]:
    """Return the method by which IPython asks for a representation."""

    def represent(reply: ExecuteReply) -> Any:
        return reply._repr_mime_(mime)

    return represent


class ExecuteReply:
    """The outcome of a cell on one engine; shows itself as the cell's last value.

    Parameters
    ----------
    msg_id : str
        The task.
    metadata : Metadata
        What is known of it; its keys are attributes of the reply.
    execution_count : int
        The cell's number on its engine.
    """

    def __init__(self, msg_id: str, metadata: Metadata, execution_count: int) -> None:
        self.msg_id = msg_id
        self.metadata = metadata
        self.execution_count = execution_count

    @property
    def execute_result(self) -> dict[str, Any] | None:
        """The value of its last expression as it is displayed, if it has one."""
        result: dict[str, Any] | None = self.metadata["execute_result"]
        return result

    @property
    def data(self) -> dict[str, Any]:
        """The representations of the last value by MIME type."""
        result = self.execute_result
        return {} if result is None else result["data"]

    def __getitem__(self, key: str) -> Any:
        return self.metadata[key]

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_") or key not in self.metadata:
            raise AttributeError(key)
        return self.metadata[key]

    def __repr__(self) -> str:
        text = self.data.get("text/plain", "")
        if len(text) > 32:
            text = text[:29] + "..."
        return f"<ExecuteReply[{self.execution_count}]: {text}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        text = self.data.get("text/plain", "")
        if not text:
            return
        from parallel_python.client.display import out_prompt

        printer.text(out_prompt(self.metadata["engine_id"], self.execution_count, text))

    def _repr_mime_(self, mime: str) -> Any:
        """Return a representation of the last value, with its metadata if it has any; None: there is none."""
        result = self.execute_result
        if result is None or mime not in result["data"]:
            return None
        data, metadata = result["data"][mime], result.get("metadata", {})
        return (data, metadata[mime]) if mime in metadata else data

    _repr_html_ = _representation("text/html")
    _repr_markdown_ = _representation("text/markdown")
    _repr_latex_ = _representation("text/latex")
    _repr_json_ = _representation("application/json")
    _repr_javascript_ = _representation("application/javascript")
    _repr_png_ = _representation("image/png")
    _repr_jpeg_ = _representation("image/jpeg")
    _repr_svg_ = _representation("image/svg+xml")
    _repr_pdf_ = _representation("application/pdf")

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        result = self.execute_result
        if result is None:
            return {}, {}
        data = {kind: value for kind, value in result["data"].items() if kind != "text/plain"}
        return data, result.get("metadata", {})
