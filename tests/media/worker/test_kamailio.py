"""Kamailio's module rtpengine drives our worker: bencoded NG over UDP, sipp's call through it, and its media."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.media_kamailio import Sides, kamailio, received_sdp, sipp
from tests.support.media_party import SUITES, Party, cryptos, media_lines, rtp
from tests.support.media_relays import others, own_address, worker

PROXY_FLAGS = "replace-origin replace-session-connection ICE=remove direction=phones direction=provider"


def crosses(sender: Party, receiver: Party) -> None:
    for number in range(1, 6):
        sender.send(rtp(number))
        assert receiver.receive() == rtp(number)


@pytest.mark.parametrize("suite", [SUITES[2], None])
def test_a_call_through_kamailio(tmp_path: Path, phone: Party, provider: Party, suite: str | None) -> None:
    sides = Sides(own_address(), own_address(), own_address())
    address, far = own_address(), own_address()
    more = ("RTP/SAVP", [(3, SUITES[2], provider.key(SUITES[2]))]) if suite else ("RTP/AVP", [])
    interfaces = (f"phones/{address}", f"provider/{far}")
    with (
        worker(tmp_path, f"--ng={address}:2223", interfaces=interfaces) as ng,
        kamailio(tmp_path, sides, f"{address}:2223", f"{PROXY_FLAGS} {more[0]}"),
        sipp(tmp_path, "callee", sides.callee, sides.proxy, provider.sdp(*more)) as callee,
        sipp(tmp_path, "caller", sides.caller, sides.proxy, phone.sdp()) as caller,
        others(ng, (address, 2223)) as asked,
    ):
        offer, answer = received_sdp(tmp_path, "callee"), received_sdp(tmp_path, "caller")
        assert media_lines(offer)[0][2] == more[0]
        assert media_lines(answer)[0][2] == "RTP/AVP"
        assert f"IN IP4 {far}".encode() in offer
        provider.aim(offer)
        for tag, name, key in cryptos(offer):
            if name == suite:
                assert tag == 3
                provider.agree(name, key)
        phone.hear_answer(answer)
        crosses(phone, provider)
        crosses(provider, phone)
        calls = asked.request({"command": "list"})["calls"]
        assert len(calls) == 1  # type: ignore[arg-type]
        assert ng.request({"command": "list"})["calls"] == [], "the gateway's calls are others"
        for program in (caller, callee):
            assert program.wait_ended(8) == 0, program.tail()
        assert asked.request({"command": "list"})["calls"] == []
        assert ng.ports_used() == 0
