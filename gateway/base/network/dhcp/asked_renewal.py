"""Renewals that are asked for, by the gateway or an operator: one DHCPREQUEST each, far apart, never repeated.

    ask -> may_ask: seconds to wait -> begun: one message -> an ACK or NAK, or nothing for ANSWER_WITHIN: silent

The first goes to the lease's server alone, as in RENEWING; after silence the next one goes to any server, as in
REBINDING (RFC 2131 section 4.4.5), since the server may be away for good. The distance is kept here and not by those
that ask: a gateway that was taken over makes no flood. Pure; times are seconds of the client's clock.
"""

from __future__ import annotations

from typing import Final

from gateway.base.network.dhcp.client_acts import DhcpExchange

ASKED_APART: Final = 300.0
"""Seconds between two of them at least."""
ANSWER_WITHIN: Final = 10.0
"""Seconds that an answer is waited for."""


class AskedRenewal:
    """The one that is under way, and the time of the latest."""

    def __init__(self) -> None:
        self._latest: float | None = None
        self.exchange: DhcpExchange | None = None
        """The question that waits for its answer."""
        self.is_broadcast = False
        """Whether any server is asked, instead of the lease's."""

    @property
    def ends(self) -> float:
        """When its answer is waited for no more; infinity while none is under way."""
        return float("inf") if self.exchange is None else self.exchange.began + ANSWER_WITHIN

    def wait(self, now: float) -> float:
        """Seconds until the next one may be; 0.0: now."""
        return 0.0 if self._latest is None else max(0.0, self._latest + ASKED_APART - now)

    def begin(self, xid: int, now: float) -> DhcpExchange:
        """One is sent."""
        self._latest = now
        self.exchange = DhcpExchange(xid, now, now, 1)
        return self.exchange

    def silent(self) -> None:
        """Nobody answered it."""
        self.exchange = None
        self.is_broadcast = not self.is_broadcast

    def settled(self) -> None:
        """There is a lease in force that was granted just now, or none at all."""
        self.exchange = None
        self.is_broadcast = False
