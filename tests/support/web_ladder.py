"""A ladder whose phone is a browser: over WSS, with DTLS-SRTP."""

from __future__ import annotations

from typing import Any

import attrs

from gateway.config.model import Security
from gateway.sip.message import Request, Response
from gateway.transport.flow import Address
from tests.support.flows import RecordingFlow
from tests.support.ladder import BINDING, DTLS_OFFER, SAVP, WEB, Ladder

NOWHERE = "sip:df7jal23ls0d@f2kd.invalid;transport=ws"


class WebLadder(Ladder):
    """The phone is a browser's, registered over WSS, its Contact leads nowhere (RFC 7118 section 5)."""

    def __init__(
        self, security: Security = Security.PREFERRED, fallback: str | None = None, connection: int = 7, **more: Any
    ) -> None:
        super().__init__(security, fallback, **more)
        self._connection = connection
        self.phone.flow = web = RecordingFlow(WEB, Address("192.0.2.11", 40000), connection)
        self.phone_flow = web
        self.other_flows[web.key] = web
        self.store.save(attrs.evolve(BINDING, contact=NOWHERE, flow=web.key, instance="<urn:uuid:web>"))

    def next(self, **made: Any) -> WebLadder:
        """The next process; the browser has connected and registered again."""
        return WebLadder(connection=self._connection + 1, **made)

    def called(self) -> Request:
        """The provider calls; the INVITE that the browser is given."""
        self.provider.sends(self.provider.invite("sip:alice-1@gw.example.com", SAVP))
        return self.phone.receives_request("INVITE")

    def calls_out(self) -> Request:
        """The browser calls; the INVITE that the provider is given."""
        self.asked = self.phone.invite(sdp=DTLS_OFFER)
        self.phone.sends(self.asked)
        return self.provider.receives_request("INVITE")

    def answered(self, sdp: bytes = SAVP) -> tuple[Request, Response]:
        """The same, answered and acknowledged: the provider's INVITE and the browser's 200."""
        invite = self.calls_out()
        self.provider.answers(invite, 200, sdp=sdp)
        self.phone.receives(100)
        answer = self.phone.receives_response(200)
        self.phone.acknowledges(self.asked, answer)
        self.provider.receives("ACK")
        return invite, answer

    def drained(self) -> list[Request]:
        """Requests that the browser was sent and has not read."""
        found = [one for one in self.phone.flow.sent if isinstance(one, Request)]
        self.phone.flow.sent.clear()
        return found

    @property
    def outcome(self) -> tuple[str, str]:
        """Verdict and reason of the only call, once it has ended."""
        record = next(self.calls.records())
        return record.verdict, record.reason
