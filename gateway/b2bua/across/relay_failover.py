"""Media of a call that is up, put on another relay when theirs is lost: a re-INVITE to each side.

    phone's last SDP --offer--> relay --> re-INVITE to the provider --answer--> relay --> re-INVITE to the phone

It begins with the phone's own description, so that the leg with keys is the one that gets a true offer and answer. The
phone's answer repeats the offer that was made in its name and is only acknowledged. Any failure ends the call, with a
reason: a call without media is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from gateway.b2bua.call import Call, CallState
from gateway.b2bua.guard import guarded
from gateway.b2bua.legs.leg import Leg
from gateway.b2bua.legs.media import SDP, has_sdp
from gateway.dialog.ack import InviteClient
from gateway.sip.message import Response
from gateway.transaction.client import TransactionFailure

log = Logger()

_FIELDS: Final = (("Content-Type", SDP),)


@guarded
def move_media(call: Call) -> None:
    """Put the media of a call on another relay; one that is not up, or cannot be moved, ends with a reason."""
    provider, phone = call.by_side()
    if call.state is CallState.ESTABLISHED and phone is not None and provider is not None:
        RelayFailover(call, phone, provider).begin()
    else:
        call.lost("the media relay was lost")


class RelayFailover:
    """One attempt to give a call new media."""

    def __init__(self, call: Call, phone: Leg, provider: Leg) -> None:
        self._call = call
        self._phone = phone
        self._provider = provider

    def begin(self) -> None:
        """Offer the phone's media to the provider, from another relay."""
        phone, provider = self._phone, self._provider
        if phone.media.pending_invite or provider.media.pending_invite or not phone.media.their_sdp:
            self._call.lost("the media relay was lost while the call was being changed")
            return
        phone.media.pending_invite = provider.media.pending_invite = True
        log.info("call {call_id}: its media relay is lost, another takes over", call_id=self._call.id)
        tags = (phone.media_tag, provider.media_tag)
        self._call.media_path.offer(tags, phone.media.their_sdp, provider.media.wish, self._ask_provider, self._refused)

    def _ask_provider(self, sdp: bytes) -> None:
        self._invite(self._provider, sdp, self._answered)

    def _answered(self, response: Response) -> None:
        provider, phone = self._provider, self._phone
        provider.note_their_answer(response.body)
        tags = (phone.media_tag, provider.media_tag)
        self._call.media_path.answer(tags, response.body, self._tell_phone)

    def _tell_phone(self, sdp: bytes) -> None:
        self._invite(self._phone, sdp, self._told)

    def _invite(self, leg: Leg, sdp: bytes, answered: Callable[[Response], None]) -> None:
        leg.send(leg.make_request("INVITE", _FIELDS, sdp), InviteClient(leg, _Asked(leg, answered, self._call.lost)))

    def _told(self, response: Response) -> None:
        self._call.conclude()

    def _refused(self, why: str, status: int) -> None:
        self._call.lost(f"the media relay was lost; {why}")


class _Asked:
    """Waits for the answer to one of the re-INVITEs."""

    def __init__(self, leg: Leg, answered: Callable[[Response], None], lost: Callable[[str], None]) -> None:
        self._leg = leg
        self._answered = answered
        self._lost = lost

    def receive_response(self, response: Response) -> None:
        """A 2xx is acknowledged; anything else is the end of the call."""
        leg = self._leg
        leg.note_received(response)
        if response.status < 200:
            return
        leg.media.pending_invite = False
        if response.status >= 300:
            self._lost(f"the media relay was lost; the {leg.spec.name} refused another: {response.status}")
            return
        leg.acknowledge(response.cseq.number)
        if has_sdp(response):
            self._answered(response)
        else:
            self._lost("the media relay was lost; no answer in a re-INVITE's 2xx")

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """The peer is gone as well."""
        self._leg.media.pending_invite = False
        self._lost(f"the media relay was lost; no answer of the {self._leg.spec.name}")
