"""One party of an interleaving: the phone, or the provider. It speaks SIP as far as the script of chances needs it.

It reads what it is sent at once, and keeps what waits for a decision: requests to answer, 2xx to acknowledge, reliable
provisional responses to PRACK. Its decisions are made by the world.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

import attrs

from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from tests.support.interleaving.descriptions import Descriptions
from tests.support.ladder import Ladder, Party

SDP: Final = "application/sdp"


@attrs.define(eq=False)
class Dialog:
    """A dialog, early or not, with its tags as its peer has them."""

    call_id: str
    own: str
    gateway: str
    cseq: int


@attrs.define(eq=False)
class Peer:
    """One party."""

    ladder: Ladder
    party: Party
    descriptions: Descriptions
    sent: Callable[[Message], None]
    """Takes down a message of this party on its flow, and hands it to the gateway."""
    pending: list[Request] = attrs.Factory(list)
    """Requests of the gateway without final response."""
    invites: list[Request] = attrs.Factory(list)
    """Own INVITEs without final response."""
    answered: list[tuple[Request, Response]] = attrs.Factory(list)
    """2xx to own INVITEs, not acknowledged yet."""
    provisional: list[tuple[Request, Response]] = attrs.Factory(list)
    """Reliable responses without PRACK."""
    dialogs: dict[tuple[str, str], Dialog] = attrs.Factory(dict)
    has_ended: bool = False
    is_confirmed: bool = False
    described: set[tuple[str, int]] = attrs.Factory(set)
    """Own tags that have given an answer to an INVITE with this CSeq."""
    _rseq: dict[str, int] = attrs.Factory(dict)
    _branches: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))

    def read(self) -> bool:
        """Read all that came; whether anything did."""
        messages = [parse(message.to_bytes()) for message in self.party.flow.sent]
        self.party.flow.sent.clear()
        for message in messages:
            if isinstance(message, Request):
                self._read_request(message)
            else:
                self._read_response(message)
        return bool(messages)

    def request(self, dialog: Dialog, method: str, sdp: bytes = b"", cseq: int | None = None) -> Request:
        """A request inside a dialog."""
        if cseq is None:
            dialog.cseq += 1
            cseq = dialog.cseq
        tags = (dialog.own, dialog.gateway)
        return self.party.request(method, "sip:gw", sdp=sdp, call_id=dialog.call_id, cseq=cseq, tags=tags)

    def send(self, request: Request) -> None:
        """Send a request; an INVITE is remembered until it is answered."""
        if request.method == "INVITE":
            self.invites.append(request)
        self.sent(request)

    def respond(
        self, request: Request, status: int, sdp: bytes = b"", tag: str = "t1", *, is_reliable: bool = False
    ) -> None:
        """Answer a request of the gateway's."""
        is_first = request.to.tag is None
        response = request.response(status, to_tag=tag if is_first and status > 100 else None)
        response.headers.add("Contact", f"<sip:me@{self.party.flow.remote.host}:5062>")
        if is_reliable:
            self._rseq[tag] = self._rseq.get(tag, 0) + 1
            response.headers.add("Require", "100rel")
            response.headers.add("RSeq", str(self._rseq[tag]))
        if status < 300:
            response.headers.add("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO, OPTIONS")
        if sdp:
            response.headers.add("Content-Type", SDP)
            response.body = sdp
        if is_first and 100 < status < 300 and request.method == "INVITE":
            dialog = Dialog(request.call_id, tag, request.from_.tag or "", 0)
            self.dialogs.setdefault((dialog.call_id, tag), dialog)
            if sdp:
                self.described.add((tag, request.cseq.number))
        if status >= 200:
            self.pending.remove(request)
            if 200 <= status < 300 and request.method == "INVITE":
                self.is_confirmed = True
        self.sent(response)

    def acknowledge(self, invite: Request, response: Response, sdp: bytes = b"") -> None:
        """Send the ACK of a 2xx."""
        self.answered.remove((invite, response))
        self.sent(self._within(invite, response, "ACK", sdp, invite.cseq.number))

    def prack(self, invite: Request, response: Response, sdp: bytes = b"") -> None:
        """Acknowledge a reliable provisional response."""
        self.provisional.remove((invite, response))
        dialog = self._dialog_of(invite, response)
        dialog.cseq += 1
        prack = self._within(invite, response, "PRACK", sdp, dialog.cseq)
        prack.headers.add("RAck", f"{response.headers.get('RSeq')} {response.cseq}")
        self.sent(prack)

    def cancel(self, invite: Request) -> None:
        """Give an INVITE up."""
        headers = Headers(
            [(name, value) for name in ("Via", "From", "To", "Call-ID") for value in [invite.headers.get(name) or ""]]
        )
        headers.add("Max-Forwards", "70")
        headers.add("CSeq", f"{invite.cseq.number} CANCEL")
        self.sent(Request("CANCEL", invite.uri, headers, b""))

    def _read_request(self, request: Request) -> None:
        match request.method:
            case "ACK":
                return
            case "CANCEL":
                self.sent(request.response(200, to_tag=None))
                for one in [one for one in self.pending if one.method == "INVITE" and one.cseq == _invite_of(request)]:
                    self.respond(one, 487)
            case "BYE":
                self.has_ended = True
                self.sent(request.response(200))
            case "PRACK":
                self.sent(request.response(200))
            case _:
                if not any(one.cseq == request.cseq and one.call_id == request.call_id for one in self.pending):
                    self.pending.append(request)

    def _read_response(self, response: Response) -> None:
        invite = next((one for one in self.invites if one.cseq == response.cseq), None)
        if invite is None or response.status == 100:
            return
        if response.to.tag:
            self._dialog_of(invite, response)
        if response.status < 200:
            if response.headers.get("RSeq") and not any(_is_copy(one, response) for _, one in self.provisional):
                self.provisional.append((invite, response))
            return
        self.invites.remove(invite)
        if response.status < 300:
            self.is_confirmed = True
            self.answered.append((invite, response))
            return
        if invite.to.tag is None:
            self.has_ended = True
        ack = Request("ACK", invite.uri, invite.headers.copy(), b"")
        ack.headers.remove("Content-Type")
        ack.headers.set("CSeq", f"{invite.cseq.number} ACK")
        ack.headers.set("To", response.headers.get("To") or "")
        self.sent(ack)

    def _dialog_of(self, invite: Request, response: Response) -> Dialog:
        own, tag = response.from_.tag or "", response.to.tag or ""
        return self.dialogs.setdefault((response.call_id, own), Dialog(response.call_id, own, tag, invite.cseq.number))

    def _within(self, invite: Request, response: Response, method: str, sdp: bytes, cseq: int) -> Request:
        return self.request(self._dialog_of(invite, response), method, sdp, cseq)


def _invite_of(cancel: Request) -> object:
    return attrs.evolve(cancel.cseq, method="INVITE")


def _is_copy(one: Response, other: Response) -> bool:
    return one.headers.get("RSeq") == other.headers.get("RSeq")
