"""A dialog: the state that two user agents keep of each other from an INVITE to the BYE (RFC 3261 section 12).

    INVITE + response --from_response--> Dialog (we called)      early dialogs: one for each To tag
    INVITE + our tag  --from_request---> Dialog (we were called)
    Dialog --make_request, make_ack--> requests for the transaction layer, which adds Via; the caller adds Contact

Lives here: identifiers, CSeq numbers, route set and remote target. Not here: sessions (SDP), the 2xx of an INVITE until
its ACK, session timers, and the decision to end a dialog.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final

import attrs

from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response
from gateway.sip.uri import Uri

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag (RFC 3261 section 12)."""

MAX_FORWARDS = "70"

_ROUTED: Final = "record-route"


class DialogState(StrEnum):
    """Early from a provisional response to the 2xx; Terminated when the caller says so."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


@attrs.define(eq=False)
class Dialog:
    """One side's view of a dialog. A peer without tag (RFC 2543) has the remote tag ""."""

    key: DialogKey
    """The identity of this dialog; key_of gives the same for a request in it."""
    local: str  # our address as From and To have it, with our tag
    remote: str  # likewise the peer's
    remote_target: str  # the URI of the peer's Contact
    route_set: tuple[str, ...]  # Route values, nearest hop first
    local_cseq: int
    remote_cseq: int | None  # None before the peer's first request
    state: DialogState
    is_initiator: bool  # whether we sent the request that made the dialog

    @classmethod
    def from_response(cls, request: Request, response: Response) -> Dialog:
        """The dialog that a response to our INVITE makes (12.1.2): early for a 1xx, confirmed for a 2xx.

        Without Contact the target is where the request went. Raises MalformedMessage.
        """
        contact, local, remote = response.contact, request.from_, response.to
        return cls(
            key=(request.call_id, local.tag or "", remote.tag or ""),
            local=local.text,
            remote=remote.text,
            remote_target=request.uri if contact is None else contact.uri_text,
            route_set=_recorded_route(response, nearest_last=True) if _ROUTED in response.headers.present else (),
            local_cseq=request.cseq.number,
            remote_cseq=None,
            state=DialogState.EARLY if response.status < 200 else DialogState.CONFIRMED,
            is_initiator=True,
        )

    @classmethod
    def from_request(cls, request: Request, local_tag: str) -> Dialog:
        """The dialog, early yet, that a peer's INVITE makes with our tag (12.1.1). Raises MalformedMessage."""
        contact = request.contact
        if contact is None:
            raise MalformedMessage("no Contact in a request that makes a dialog")
        remote = request.from_
        return cls(
            key=(request.call_id, local_tag, remote.tag or ""),
            local=request.to.with_tag(local_tag).text,
            remote=remote.text,
            remote_target=contact.uri_text,
            route_set=_recorded_route(request, nearest_last=False) if _ROUTED in request.headers.present else (),
            local_cseq=0,
            remote_cseq=request.cseq.number,
            state=DialogState.EARLY,
            is_initiator=False,
        )

    @classmethod
    def between(
        cls,
        names: tuple[str, str, str],
        remote_target: str,
        route_set: Iterable[str],
        cseq: tuple[int, int | None],
        *,
        is_initiator: bool,
    ) -> Dialog:
        """The confirmed dialog of another process. ``names``: its Call-ID, our address and the peer's, each with its
        tag; ``cseq``: our last number and the peer's. Raises MalformedMessage."""
        call_id, local, remote = names
        key = call_id, NameAddress.parse(local).tag or "", NameAddress.parse(remote).tag or ""
        return cls(key, local, remote, remote_target, tuple(route_set), *cseq, DialogState.CONFIRMED, is_initiator)

    @property
    def call_id(self) -> str:
        """Its Call-ID."""
        return self.key[0]

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return self.key[1]

    @property
    def remote_tag(self) -> str:
        """The peer's tag."""
        return self.key[2]

    def confirm(self, response: Response) -> None:
        """A 2xx: the dialog is confirmed. Where we called, the route set and target are now the 2xx's (13.2.2.4)."""
        if self.is_initiator:
            is_routed = _ROUTED in response.headers.present
            self.route_set = _recorded_route(response, nearest_last=True) if is_routed else ()
            self.refresh_target(response)
        if self.state is DialogState.EARLY:
            self.state = DialogState.CONFIRMED

    def terminate(self) -> None:
        """The dialog is over; it can still make the ACK or BYE that ends things in good order."""
        self.state = DialogState.TERMINATED

    def refresh_target(self, message: Message) -> None:
        """Take the peer's Contact from a target refresh request or its 2xx, when it has one (12.2).

        For INVITE, UPDATE, SUBSCRIBE, NOTIFY and REFER; a request only once it is accepted (RFC 6141 section 4).
        """
        contact = message.contact
        if contact is not None:
            self.remote_target = contact.uri_text

    def receive_request(self, request: Request) -> None:
        """Check the CSeq of the peer's request (12.2.2), not of ACK or CANCEL: Refused(500) when it goes back."""
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise Refused(500, "CSeq went back")
        self.remote_cseq = number

    def make_request(self, method: str) -> Request:
        """A request within the dialog with the next CSeq number (12.2.1.1). Not for ACK and CANCEL."""
        self.local_cseq += 1
        return self._make(method, self.local_cseq)

    def next_cseq(self) -> int:
        """The number of our next request."""
        self.local_cseq += 1
        return self.local_cseq

    def make_ack(self, cseq: int, headers: Iterable[tuple[str, str]] = ()) -> Request:
        """The ACK of a 2xx (13.2.2.4): cseq is the number of its INVITE; headers are added, such as its credentials."""
        ack = self._make("ACK", cseq)
        if headers:
            ack.headers.add_all(headers)
        return ack

    def _make(self, method: str, cseq: int) -> Request:
        uri, route = self._way()
        keys = ["max-forwards", "from", "to", "call-id", "cseq"]
        lines = [
            f"Max-Forwards: {MAX_FORWARDS}",
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.key[0]}",
            f"CSeq: {cseq} {method}",
        ]
        if route:
            keys = [*("route" for _ in route), *keys]
            lines = [*(f"Route: {value}" for value in route), *lines]
        return Request(method, uri, Headers((), keys, lines))

    def _way(self) -> tuple[str, tuple[str, ...]]:
        """Request-URI and Route values (12.2.1.1). A strict router wants its own URI as Request-URI, the target
        last."""
        if not self.route_set:
            return _as_request_uri(self.remote_target), ()
        first = NameAddress.parse(self.route_set[0]).uri
        if first.parameter("lr") is not None:
            return _as_request_uri(self.remote_target), self.route_set
        return _as_request_uri(str(first)), (*self.route_set[1:], f"<{self.remote_target}>")


def key_of(request: Request) -> DialogKey:
    """The key of the dialog that a peer's request is in. Raises MalformedMessage."""
    return request.call_id, request.to.tag or "", request.from_.tag or ""


def key_of_response(response: Response) -> DialogKey:
    """The key of the dialog that a response to our request makes or is in. Raises MalformedMessage."""
    return response.call_id, response.from_.tag or "", response.to.tag or ""


def _recorded_route(message: Message, *, nearest_last: bool) -> tuple[str, ...]:
    """The Record-Route values as our route set; those of a response have the nearest hop last.

    Raises MalformedMessage for a nearest hop that no request could be sent to: now rather than when BYE is to leave.
    """
    values = message.headers.values("Record-Route")
    route = tuple(reversed(values)) if nearest_last else tuple(values)
    if route and not NameAddress.parse(route[0]).uri.is_sip:
        raise MalformedMessage("not a SIP URI in Record-Route")
    return route


@lru_cache(maxsize=1024)
def _as_request_uri(text: str) -> str:
    """The URI without the parts that a Request-URI may not have: headers and the method parameter (19.1.1, table 1)."""
    if "?" not in text and "method=" not in text.lower():
        return text
    uri = Uri.parse(text)
    kept = tuple(pair for pair in uri.parameters if pair[0].lower() != "method")
    return str(attrs.evolve(uri, headers="", parameters=kept))
