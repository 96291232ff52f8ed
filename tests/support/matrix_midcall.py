"""Changes in a call that is up, or rings: what provider, phone and somebody else do after the first INVITE.

As in matrix_world the judgement is by the messages that crossed: each offer with its answer, and the way of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from gateway.config.model import Security
from tests.support.ladder import AVP, SAVP
from tests.support.matrix_world import (
    FAR_TLS,
    FAR_UDP,
    OWN_CLEAR,
    PHONE,
    PROVIDERS,
    Exchange,
    Reply,
    World,
    acknowledgement_of,
    answer_to,
    body_of,
    fields_of,
)


class MidCall(World):
    """A call from a phone without TLS to a provider that does TLS and SRTP, and its further course."""

    def __init__(self, directory: Path, security: Security) -> None:
        super().__init__(directory, PROVIDERS["TLS and SRTP"], security)
        self.exchanges: list[Exchange] = []
        """Every offer that has an answer, as the provider saw them."""
        self.changed = ""
        """The status that answered the latest change."""
        self.phone_refuses = False
        self.provider_answers_rtp = False
        self._invite = b""
        self._over = ""
        self._say: Reply = lambda data: None
        self._phone_answered = b""
        self._cseq = 0
        self._asked: dict[int, bytes] = {}
        self._rings: list[tuple[str, str]] = []
        self._told = 0

    def call(self) -> None:
        """The call is answered."""
        self.call_out("sip:bob@example.com")

    def ring(self, *forks: tuple[str, str]) -> None:
        """The call is answered by the last of these forks, each with its media; the others ring before."""
        self._rings = list(forks)
        self.call_out("sip:bob@example.com")

    def provider_asks(self, method: str, sdp: bytes = b"", say: Reply | None = None, over: str = "") -> None:
        """A request of the provider inside the call, over its connection or another way."""
        self._cseq += 1
        self._asked[self._cseq] = sdp
        place = FAR_TLS if (over or self._over) == "tls" else FAR_UDP
        transport = "TLS" if place == FAR_TLS else "UDP"
        (say or self._say)(_inside(self._invite, method, sdp, self._cseq, place, transport, swapped=True))
        self.network.settle()
        self.network.pass_time(1)

    def phone_asks(self, method: str, sdp: bytes = b"") -> None:
        """A request of the phone inside the call: a re-INVITE, or the news that a transfer is over."""
        self._say_as_phone(_inside(self._phone_answered, method, sdp, 2, PHONE, "UDP", swapped=False))
        self.network.settle()
        self.network.pass_time(1)

    def reconnects(self, certificate: str | None) -> Reply:
        """The provider's connection ends; the way over another one that it begins, with its certificate or none."""
        for connection in list(self.network.connections):
            if FAR_TLS in (connection._own, connection._peer):
                connection.abortConnection()
        self.network.settle()
        return self.own_connection(certificate)

    def over_udp(self) -> Reply:
        """The way in clear."""
        return lambda data: self.network.send(FAR_UDP, OWN_CLEAR, data)

    def seen(self) -> str:
        """The verdict of the worst that crossed."""
        if not self.is_answered:
            return ""
        is_tls = all(one.over == "tls" for one in self.exchanges)
        if all(one.is_srtp for one in self.exchanges):
            return "ENCRYPTED_TO_PROVIDER" if is_tls else "MEDIA_ONLY_WEAK"
        return "SIGNALLING_ONLY" if is_tls else "CLEAR"

    def _provider_is_called(self, over: str, invite: bytes, reply: Reply) -> None:
        is_first = b";tag=" not in fields_of(invite, "To")
        if is_first:
            self._invite, self._over, self._say = invite, over, reply
        offer = body_of(invite)
        usual = "RTP" if self.provider_answers_rtp else "SRTP"
        forks = self._rings if is_first and self._rings else [("far", usual)]
        for tag, media in forks:
            status = 200 if (tag, media) == forks[-1] else 183
            sdp = SAVP if b"RTP/SAVP" in offer and media == "SRTP" else AVP
            said, told = Exchange(over, offer, sdp, 200), self._told
            if is_first and status == 200:
                self.provider_exchange = said
            reply(answer_to(invite, status, sdp, tag))
            self.network.settle()
            if self._told > told:
                self.exchanges.append(said)  # the phone has heard of it: it is in force

    def _provider_receives(self, over: str, data: bytes, reply: Reply) -> None:
        if not data.startswith(b"SIP/2.0"):
            super()._provider_receives(over, data, reply)
            return
        status, number = int(data.split(b" ", 2)[1]), int(re.findall(rb"^CSeq: (\d+)", data, re.M)[0])
        if status < 200:
            return
        self.changed = str(status)
        offer = self._asked.get(number, b"")
        if status == 200 and offer and body_of(data):
            self.exchanges.append(Exchange("tls" if over in ("tls", "own") else over, body_of(data), offer, status))
        if b"INVITE" in fields_of(data, "CSeq"):
            reply(acknowledgement_of(data, FAR_TLS))

    def _phone_receives(self, data: bytes, reply: Reply) -> None:
        if data.startswith(b"INVITE") and self.phone_refuses:
            reply(answer_to(data, 488, b""))
            return
        if data.startswith(b"UPDATE") and body_of(data):
            reply(answer_to(data, 200, AVP))
            return
        if data.startswith((b"SIP/2.0 18", b"SIP/2.0 200")) and body_of(data):
            self._told += 1
        if data.startswith(b"SIP/2.0 200") and re.search(rb"^CSeq: 1 INVITE", data, re.M):
            self._phone_answered = data
        elif re.match(rb"SIP/2\.0 [2-6]", data) and re.search(rb"^CSeq: 2 INVITE", data, re.M):
            self.changed = data.split(b" ")[1].decode()
            reply(acknowledgement_of(data, PHONE))
        super()._phone_receives(data, reply)


_MORE: Final = {
    "REFER": "Refer-To: <sip:carol@example.com>\r\n",
    "NOTIFY": "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
}


def _inside(
    message: bytes, method: str, sdp: bytes, cseq: int, place: tuple[str, int], over: str, *, swapped: bool
) -> bytes:
    """A request in the dialog of an INVITE that came (swapped: it goes back), or of its 200."""
    values = {name: fields_of(message, name).partition(b": ")[2].strip().decode() for name in ("From", "To", "Call-ID")}
    own, other = values["From"], values["To"]
    if swapped:
        own, other = values["To"] + ";tag=far", values["From"]
    contact = re.findall(rb"^Contact: <([^>]+)>", message, re.M)[0].decode()
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    more = _MORE.get(method, "")
    return (
        f"{method} {contact} SIP/2.0\r\nVia: SIP/2.0/{over} {place[0]}:{place[1]};branch=z9hG4bKmid{cseq}{method}\r\n"
        f"Max-Forwards: 70\r\nFrom: {own}\r\nTo: {other}\r\nCall-ID: {values['Call-ID']}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:far@{place[0]}:{place[1]};transport={over.lower()}>\r\n{more}{kind}"
        f"Content-Length: {len(sdp)}\r\n\r\n"
    ).encode() + sdp


Course: TypeAlias = Callable[[MidCall], None]


def _provider_takes_srtp_away(world: MidCall) -> None:
    world.call()
    world.provider_asks("INVITE", AVP)


def _and_brings_it_back(world: MidCall) -> None:
    _provider_takes_srtp_away(world)
    world.provider_asks("INVITE", SAVP)


def _the_phone_refuses(world: MidCall) -> None:
    world.call()
    world.phone_refuses = True
    world.provider_asks("INVITE", AVP)


def _by_update(world: MidCall) -> None:
    world.call()
    world.provider_asks("UPDATE", AVP)


def _new_key(world: MidCall) -> None:
    world.call()
    world.provider_asks("INVITE", SAVP)


def _answer_to_the_phone(world: MidCall) -> None:
    world.call()
    world.provider_answers_rtp = True
    world.phone_asks("INVITE", AVP)


def _rtp_rings(world: MidCall) -> None:
    world.ring(("one", "RTP"), ("far", "SRTP"))


def _srtp_rings(world: MidCall) -> None:
    world.ring(("one", "SRTP"), ("far", "RTP"))


def _both_srtp(world: MidCall) -> None:
    world.ring(("one", "SRTP"), ("far", "SRTP"))


def _goes_on(certificate: str | None) -> Course:
    def course(world: MidCall) -> None:
        world.call()
        world.provider_asks("INVITE", SAVP, world.reconnects(certificate), "tls")

    return course


def _goes_on_over_udp(world: MidCall) -> None:
    world.call()
    world.provider_asks("INVITE", SAVP, world.over_udp(), "udp")


def _transfer(world: MidCall) -> None:
    world.call()
    world.provider_asks("REFER")
    world.phone_asks("NOTIFY")
    world.exchanges.clear()
    world.call_out("sip:carol@example.com")


COURSES: Final[dict[str, Course]] = {
    "the provider's re-INVITE brings a new key": _new_key,
    "the provider's re-INVITE takes SRTP away": _provider_takes_srtp_away,
    "the provider's re-INVITE takes SRTP away, another brings it back": _and_brings_it_back,
    "the provider's re-INVITE would take SRTP away, and the phone refuses it": _the_phone_refuses,
    "the provider's UPDATE takes SRTP away": _by_update,
    "the provider answers the phone's re-INVITE with RTP": _answer_to_the_phone,
    "two forks, SRTP and SRTP": _both_srtp,
    "a fork rings with RTP, another answers with SRTP": _rtp_rings,
    "a fork rings with SRTP, another answers with RTP": _srtp_rings,
    "the connection ends, a new key over another with the provider's certificate": _goes_on("good"),
    "the connection ends, a new key over another without certificate": _goes_on(None),
    "a new key over UDP": _goes_on_over_udp,
    "the provider transfers the phone, which calls the other number": _transfer,
}
