"""A relay with an address for each side: the interfaces of [media], as workers and rtpengine are started with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.model import Media, Side
from gateway.media.configured_nodes import interfaces
from gateway.media.relay import Encryption, PhonesWish
from tests.support.media_party import SUITES, Party, rtcp, rtp
from tests.support.media_relays import own_address, rtpengine, worker

RELAYS = pytest.mark.parametrize("relay", [worker, rtpengine])
NAT = "192.0.2.7"


def named(sdp: bytes) -> set[str]:
    """The addresses in o= and c=."""
    return {found.decode() for found in re.findall(rb" IN (IP\d \S+)\r", sdp)}


def crosses(sender: Party, receiver: Party) -> None:
    for number in range(1, 4):
        sender.send(rtp(number))
        assert receiver.receive() == rtp(number)
    sender.send_control(rtcp())
    assert receiver.receive_control()[:8] == rtcp()[:8]


@RELAYS
@pytest.mark.parametrize("phones", ["::1", ""])
def test_each_side_has_its_address(relay: type, tmp_path: Path, phones: str, provider: Party) -> None:
    """A phone on IPv6 talks to a provider on IPv4, too."""
    near, far = phones or own_address(), own_address()
    phone = Party(phones or own_address())
    with relay(tmp_path, interfaces=interfaces(Media("127.0.0.1", phone_address=near, provider_address=far))) as ng:
        offer = ng.offer("call", phone.sdp(), Encryption.SAVP)
        answer = ng.answer("call", provider.answer(offer, SUITES[2]))
        phone.hear_answer(answer)
        assert named(offer) == {f"IP4 {far}"}
        assert named(answer) == {f"IP6 {near}" if phones else f"IP4 {near}"}
        crosses(phone, provider)
        crosses(provider, phone)
    phone.close()


@RELAYS
def test_both_phones_of_a_call_between_phones_meet_the_relay_at_the_phones_address(relay: type, tmp_path: Path) -> None:
    near, far = own_address(), own_address()
    one, other = Party(own_address()), Party(own_address())
    with relay(tmp_path, interfaces=interfaces(Media("127.0.0.1", phone_address=near, provider_address=far))) as ng:
        offer = ng.offer("call", one.sdp(), Encryption.SAVP, side=Side.PHONES, kind=PhonesWish)
        answer = ng.answer("call", other.answer(offer, SUITES[2]))
        one.hear_answer(answer)
        assert named(offer) == named(answer) == {f"IP4 {near}"}
        crosses(one, other)
        crosses(other, one)
        report = ng.request({"command": "query", "call-id": "call"})
    for party in (one, other):
        party.close()
    if relay is worker:
        assert {party["side"] for party in report["tags"].values()} == {"phones"}


@RELAYS
def test_sdp_names_the_address_outside_of_nat(relay: type, tmp_path: Path, phone: Party, provider: Party) -> None:
    own = own_address()
    with relay(tmp_path, interfaces=interfaces(Media(own, provider_advertised=NAT))) as ng:
        offer = ng.offer("call", phone.sdp(), Encryption.NONE)
        assert named(offer) == {f"IP4 {NAT}"}
        answer = ng.answer("call", provider.answer(offer))
        assert named(answer) == {f"IP4 {own}"}
        phone.hear_answer(answer)
        provider.target = own, provider.target[1]
        provider.control_target = own, provider.control_target[1]
        crosses(provider, phone)
        crosses(phone, provider)
