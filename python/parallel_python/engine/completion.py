"""What can follow, and what something is: an engine's own words on code that is being typed in the notebook.

Asked only while nothing runs here, and answered quickly or too late to be heard: so from the namespace, and
without reading sources as Jedi does. The notebook's own Python answers too, with all it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallel_python.engine.messages import pack

if TYPE_CHECKING:
    from parallel_python.engine.shell import EngineShell


def answer(shell: EngineShell, kind: str, code: str, cursor: int, detail: int) -> bytes | None:
    """Return the content of a ``complete_reply`` or ``inspect_reply``; None when there is nothing to say."""
    try:
        content = (
            complete(shell, code, cursor) if kind == "complete" else inspect(shell, code, cursor, detail)
        )
        return pack(content)
    except BaseException:
        # It looks into objects of the user's, which may raise what they like: `SystemExit` is no exception.
        return None


def complete(shell: EngineShell, code: str, cursor: int) -> dict[str, Any]:
    """Return what the text before the cursor can become, in the form of ipykernel's replies."""
    from IPython.core.completer import provisionalcompleter, rectify_completions

    completer = shell.Completer
    completer.use_jedi = False
    with provisionalcompleter():
        found = list(rectify_completions(code, completer.completions(code, cursor)))
    types = [
        {
            "start": one.start,
            "end": one.end,
            "text": one.text,
            "type": one.type,
            "signature": one.signature,
        }
        for one in found
    ]
    return {
        "status": "ok",
        "matches": [one.text for one in found],
        "cursor_start": found[0].start if found else cursor,
        "cursor_end": found[0].end if found else cursor,
        "metadata": {"_jupyter_types_experimental": types},
    }


def inspect(shell: EngineShell, code: str, cursor: int, detail: int) -> dict[str, Any]:
    """Return what the name at the cursor stands for."""
    from IPython.utils.tokenutil import token_at_cursor

    try:
        data = shell.object_inspect_mime(token_at_cursor(code, cursor), detail_level=detail)
    except KeyError:
        return {"status": "ok", "found": False, "data": {}, "metadata": {}}
    if not shell.enable_html_pager:
        data.pop("text/html", None)
    return {"status": "ok", "found": True, "data": data, "metadata": {}}
