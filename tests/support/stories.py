"""Beginnings that many scripts of calls share: a call that rings, a call that is up; and the look at its end."""

from __future__ import annotations

from gateway.sip.message import Request, Response
from tests.support.ladder import AVP, SAVP, Ladder, Party, drain


def ring(ladder: Ladder, sdp: bytes = AVP) -> tuple[Request, Request]:
    """INVITE through the gateway: (the phone's, the provider's)."""
    invite = ladder.phone.invite(sdp=sdp)
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    return invite, ladder.provider.receives_request("INVITE")


def talk(ladder: Ladder) -> tuple[Request, Response]:
    """A call that is up: (INVITE as the provider got it, 200 as the phone got it)."""
    invite, onward = ring(ladder)
    ladder.provider.answers(onward, 200, sdp=SAVP)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(invite, answer)
    return onward, answer


def came(party: Party) -> list[str]:
    """What was sent to a party: methods, and statuses with the method that they answer."""
    return [
        message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
        for message in drain(party)
    ]


def nothing_is_left(ladder: Ladder) -> None:
    """No call, no dialog, no timer, and no transaction of either side."""
    ladder.ends_clean()
    assert ladder.transactions.counts_alive() == 0
