"""Tells the log of requests that the gateway itself refuses, so that the cause of a 403 can be found.

Not here: refusals by policy (the call's record says why) and by the provider (its own answer). Nobody can
fill a disk with it: each source gets a few lines, then one every few seconds, which says how many were left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from gateway.observe.line_limit import LineLimit
from gateway.observe.redaction import redacted
from gateway.sip.message import Request
from gateway.transport.flow import Flow

log = Logger()

LONGEST_URI: Final = 100
ORDINARY: Final = frozenset({401, 407, 423, 481})
"""Statuses that belong to the ordinary course of things: challenges, an interval too brief, a BYE that comes late."""


class Refusals:
    """Writes a line for a refused request, unless its source had enough of them."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._lines = LineLimit(seconds)

    def tell(self, request: Request, flow: Flow, status: int, reason: str) -> None:
        """A request that came over `flow` is answered `status` by us."""
        if status in ORDINARY:
            return
        more = self.more(flow)
        if more is None:
            return
        log.info(
            "{method} {uri} from {source} is refused: {status} {reason}{more}",
            method=request.method[:20],
            uri=redacted(request.uri)[:LONGEST_URI],  # a password that is cut off is not recognised any more
            source=flow.remote,
            status=status,
            reason=reason,
            more=more,
        )

    def more(self, flow: Flow) -> str | None:
        """The end of another line about the sender; None when it has had enough of them."""
        return self._lines.more(flow.source)
