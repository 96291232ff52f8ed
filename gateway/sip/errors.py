"""The two errors of SIP messages.

A parser of this package raises `MalformedMessage` and nothing else: peers send nonsense, which is data. `Refused` is a
request that was understood and gets a final response. Answering, counting and dropping are the catcher's (transport,
transaction, the UAS core).
"""

from __future__ import annotations


class MalformedMessage(Exception):
    """Bytes that RFC 3261 does not allow."""

    reason: str
    """One line for people, in our words alone: it enters logs, records, pages and responses, and a peer's text may hold
    a password. A text that cannot be read cannot be searched for one either, and less so where it is cut."""
    offset: int
    """Where it was seen: bytes or characters from the start of the parsed text, 0 when unknown."""
    status: int
    """Status code of an answer: 400 (section 21.4.1), 505 (21.5.6) or 513 (21.5.7)."""

    def __init__(self, reason: str, offset: int = 0, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.status = status


class Refused(Exception):
    """A request that is answered with a final response."""

    status: int
    """Status code, 300 to 699."""
    reason: str
    """Reason phrase; '' is the usual one of the status."""
    headers: tuple[tuple[str, str], ...]
    """Header fields that the response has besides."""

    def __init__(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.headers = headers


class NotServed(Refused):
    """A request for a domain that is none of ours."""
