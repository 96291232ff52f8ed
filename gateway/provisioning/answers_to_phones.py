"""Questions of phones for files, and the answers, as values: without sockets, HTTP or TFTP.

All that there is not, is not given or is not proved has one answer, NOT_FOUND, the same in each byte and each header,
so that nobody learns from it which devices there are.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs


class Way(Enum):
    """The way that a question came."""

    HTTPS = "https"
    HTTP = "http"
    TFTP = "tftp"
    PNP = "pnp"
    """A question for a URL, by multicast."""


class FileOutcome(Enum):
    """The outcome of a question, as the metric counts it."""

    SERVED = "served"
    NOT_MODIFIED = "not_modified"
    BOOTSTRAP = "bootstrap"
    UPLOAD = "upload"
    REFUSED = "refused"
    """Not proved, or for another device."""
    UNKNOWN = "unknown"
    """No device, or no file, of that name."""
    LIMITED = "limited"
    FAILED = "failed"


@attrs.frozen
class Question:
    """A question for a file. Its texts are a peer's."""

    way: Way
    method: str
    path: str
    """As it came, escapes undone nowhere: a path with escapes names no file."""
    source: str
    """The address that it came from."""
    certified: str | None = None
    """The hardware address that a certificate proved."""
    user_agent: str = ""
    known_mark: str = ""
    """If-None-Match."""


@attrs.frozen
class Reply:
    """An answer: the status of HTTP, and the file. ``body`` may hold secrets."""

    status: int
    outcome: FileOutcome
    body: bytes = attrs.field(default=b"", repr=False)
    content: str = "text/plain; charset=utf-8"
    mark: str = ""
    """The ETag, with its quotes."""
    make: str = "unknown"


NOT_FOUND: Final = Reply(404, FileOutcome.UNKNOWN, b"not found\n")
TOO_MANY: Final = Reply(503, FileOutcome.LIMITED, b"later\n")
BROKEN: Final = Reply(500, FileOutcome.FAILED, b"this file cannot be made\n")
THROWN_AWAY: Final = Reply(204, FileOutcome.UPLOAD)
