"""Tells the log of requests that the gateway itself refuses, so that the cause of a 403 can be found, and the
defence of those that scanners send.

Not here: refusals by policy (the call's record says why) and by the provider (its own answer). Nobody can
fill a disk with it: each source gets a few lines, then one every few seconds, which says how many were left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from gateway.observe.line_limit import LineLimit
from gateway.observe.observations import Kind, Observations
from gateway.observe.redaction import redacted
from gateway.sip.message import Request
from gateway.transport.arrival import seen_in
from gateway.transport.flow import Flow

log = Logger()

LONGEST_URI: Final = 100
ORDINARY: Final = frozenset({401, 407, 423, 481})
"""Statuses that belong to the ordinary course of things: challenges, an interval too brief, a BYE that comes late."""


class Refusals:
    """Writes a line for a refused request, unless its source had enough of them."""

    def __init__(self, seconds: Callable[[], float], observations: Observations | None = None) -> None:
        self._observations = observations or Observations()
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

    def unknown(self, request: Request, flow: Flow) -> None:
        """A request for a domain that is not served, or of a phone that is not registered where it has to be."""
        if self._observations.is_on:
            self._observations.note(seen_in(Kind.USER_UNKNOWN, flow, request, is_proved=flow.is_reliable))

    def more(self, flow: Flow) -> str | None:
        """The end of another line about the sender; None when it has had enough of them."""
        return self._lines.more(flow.source)
