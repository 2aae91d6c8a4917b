"""`RustSession`: Jupyter messages to and from the link to the kernel process.

**Invariant**: what a client sent as its header comes back as the parent header byte for byte. Signing,
replay checks and routing are the kernel's; a message here is a tuple of identities, four JSON texts
and buffers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from json import JSONEncoder
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_client.session import Message, Session, json_packer, json_unpacker
from traitlets import Any as AnyTrait

from .channels import Channel, Parts

PROTOCOL_VERSION = "5.5"

_encoder = JSONEncoder(default=json_default, ensure_ascii=False, allow_nan=False)


def pack(value: Any) -> bytes:
    """Return a value as JSON; as jupyter_client's `json_packer`, without a new encoder each time."""
    if value == {}:
        return b"{}"
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError):
        # This one tries harder, and warns.
        packed: bytes = json_packer(value)
        return packed


class Header(dict[str, Any]):
    """A client's header, with the bytes it came in as.

    Attributes
    ----------
    raw : bytes
        The JSON text as the client wrote it.
    """

    __slots__ = ("raw",)

    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Header:
        """Parse a header; its date becomes a `datetime`, as in `Session.deserialize`."""
        header = cls(json_unpacker(raw))
        header.raw = raw
        try:
            header["date"] = datetime.fromisoformat(header["date"])
        except (KeyError, TypeError, ValueError):
            pass
        return header


def header_bytes(message_or_header: dict[str, Any] | None) -> bytes:
    """Return the JSON text of a message's header, or of a header.

    Parameters
    ----------
    message_or_header : dict or None
        As what is called ``parent`` in jupyter_client.

    Returns
    -------
    bytes
        ``b"{}"`` when there is none.
    """
    if not message_or_header:
        return b"{}"
    header = message_or_header.get("header", message_or_header)
    raw = getattr(header, "raw", None)
    return pack(header) if raw is None else raw


class RustSession(Session):
    """A session whose messages go over the link.

    Attributes
    ----------
    link : Link
        The link to the kernel process.
    on_reply : callable
        Told of each reply on the shell and control channels before it is sent; a reply that it returns
        True for is not sent.
    """

    link = AnyTrait()
    on_reply: Callable[[dict[str, Any]], bool] = staticmethod(lambda message: False)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The kernel reads JSON, whatever the user's configuration says of other packers.
        self.pack, self.unpack = pack, json_unpacker

    def msg_header(self, msg_type: str) -> dict[str, Any]:
        """Create a header for a message type, of the protocol version that the kernel speaks."""
        header = super().msg_header(msg_type)
        header["version"] = PROTOCOL_VERSION
        return header

    def feed_identities(self, msg_list: Parts, copy: bool = True) -> tuple[list[bytes], Parts]:
        """Split the identities off a message from the link."""
        return msg_list[0], msg_list

    def deserialize(self, msg_list: Parts, content: bool = True, copy: bool = True) -> dict[str, Any]:
        """Make the message dict of a message from the link."""
        _, raw_header, raw_parent, raw_metadata, raw_content, buffers = msg_list
        header = Header.parse(raw_header)
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": json_unpacker(raw_parent),
            "metadata": json_unpacker(raw_metadata),
            "content": json_unpacker(raw_content) if content else raw_content,
            "buffers": [memoryview(buffer) for buffer in buffers],
        }

    def send(
        self,
        stream: Any,
        msg_or_type: dict[str, Any] | str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: bytes | list[bytes] | None = None,
        buffers: list[Any] | None = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Send a message on a channel; on anything else than ours, as jupyter_client does.

        Parameters and result are those of `jupyter_client.session.Session.send`.
        """
        if not isinstance(stream, Channel):
            return super().send(stream, msg_or_type, content, parent, ident, buffers, track, header, metadata)
        if isinstance(msg_or_type, Message | dict):
            message = msg_or_type
            buffers = buffers or message.get("buffers")
        else:
            message = self.msg(msg_or_type, content, parent, header, metadata)
        if os.getpid() != self.pid:
            print("a child process cannot send messages of its parent's kernel", file=sys.__stderr__)
            return None
        if message["header"]["msg_type"].endswith("_reply") and self.on_reply(message):
            return message
        if ident is None:
            identities = []
        elif isinstance(ident, list):
            identities = ident
        else:
            identities = [ident]
        parts = (
            identities,
            self.pack(message["header"]),
            header_bytes(message["parent_header"]),
            self.pack(message["metadata"]),
            self.pack(message["content"]),
            [memoryview(buffer).tobytes() for buffer in buffers] if buffers else [],
        )
        stream.post(self.link, parts)
        return message

    def recv(self, socket: Any, mode: int = 0, content: bool = True, copy: bool = True) -> Any:
        """Wait for a message; only ipykernel's debugger does that (see `debugging.DebugShell`)."""
        receive = getattr(socket, "receive", None)
        return super().recv(socket, mode, content, copy) if receive is None else receive()
