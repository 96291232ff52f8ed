"""What goes wrong with SIP messages.

`MalformedMessage` is what every parser of this package raises, and the only thing: peers send nonsense, which is data.
`Refused` is a request that was understood and gets a final response; it carries that response's status.
Answering, counting and dropping are done by those who catch these (transport, transaction, the UAS core).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sip.message import Request


class MalformedMessage(Exception):
    """Bytes that are not what RFC 3261 allows.

    `reason` is one line for people, `offset` where it was seen (bytes or characters from the start of what was
    parsed, 0 when unknown), `request` what was understood when that is enough to answer it, and `status` the status
    code of that answer (400, or 505, or 513)."""

    def __init__(self, reason: str, offset: int = 0, request: Request | None = None, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.request = request
        self.status = status


class Refused(Exception):
    """A request that is answered with `status`; `headers` are added to the response."""

    def __init__(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.headers = headers
