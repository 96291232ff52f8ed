"""Real packets through the relay: each suite, both ways, over the wrap of sequence numbers, and RTCP."""

from __future__ import annotations

import time

import pytest

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import Encryption, SdpSource, SdpWish
from tests.support.media_party import SUITES, Crypto, Party, cryptos, rtcp, rtp
from tests.support.media_relays import Ng, own_address

WINDOW = 32
"""Packets on the way at once: the sockets' buffers hold more."""


def connect(ng: Ng, call: str, phone: Party, provider: Party, suite: str | None, more: tuple[str, ...] = ()) -> None:
    """An RTP phone and a provider that speaks SRTP with `suite`, else RTP."""
    encryption = Encryption.SAVP if suite else Encryption.NONE
    offer = ng.offer(call, phone.sdp(more=more), encryption)
    phone.hear_answer(ng.answer(call, provider.answer(offer, suite)))


def crosses(sender: Party, receiver: Party, first: int, count: int) -> None:
    """`count` packets arrive bit for bit and in order."""
    for start in range(first, first + count, WINDOW):
        packets = [rtp(number & 0xFFFF) for number in range(start, min(start + WINDOW, first + count))]
        for packet in packets:
            sender.send(packet)
        for packet in packets:
            assert receiver.receive() == packet


@pytest.mark.parametrize("suite", [*SUITES, None])
def test_audio_crosses_both_ways(ng: Ng, call: str, phone: Party, provider: Party, suite: str | None) -> None:
    connect(ng, call, phone, provider, suite)
    crosses(phone, provider, 65_500, 100)
    crosses(provider, phone, 10, 100)
    phone.send(rtp(200))
    assert (provider.receive_wire() == rtp(200)) is (suite is None)


@pytest.mark.parametrize("suite", SUITES)
def test_srtp_to_srtp_with_keys_of_its_own_on_each_leg(
    ng: Ng, call: str, phone: Party, provider: Party, suite: str
) -> None:
    offer = ng.offer(call, phone.sdp("RTP/SAVP", [(1, SUITES[2], phone.key(SUITES[2]))]), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, suite)))
    crosses(phone, provider, 1, 40)
    crosses(provider, phone, 1, 40)


def test_osrtp_offer_taken_and_not_taken(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    for name, suite in (("taken", SUITES[2]), ("not", None)):
        offer = ng.offer(call + name, phone.sdp(), Encryption.OSRTP)
        answer = ng.answer(call + name, provider.answer(offer, suite))
        phone.hear_answer(answer)
        provider.sender = provider.sender if suite else None
        provider.receiver = provider.receiver if suite else None
        crosses(phone, provider, 1, 20)
        crosses(provider, phone, 1, 20)
        ng.delete(call + name)


@pytest.mark.parametrize("suite", [*SUITES, None])
def test_control_packets_cross_both_ways(ng: Ng, call: str, phone: Party, provider: Party, suite: str | None) -> None:
    connect(ng, call, phone, provider, suite)
    for sender, receiver in ((phone, provider), (provider, phone)):
        sender.send_control(rtcp())
        assert receiver.receive_control()[:8] == rtcp()[:8]


def test_multiplexed_control_packets_are_parted(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    connect(ng, call, phone, provider, SUITES[2], more=("a=rtcp-mux",))
    assert phone.control_target == phone.target
    phone.send_control(rtcp())
    assert provider.receive_control()[:8] == rtcp()[:8]
    provider.send_control(rtcp())
    assert phone.receive_control()[:8] == rtcp()[:8]


def test_packets_larger_than_audio_pass(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    connect(ng, call, phone, provider, SUITES[0])
    packet = rtp(1, bytes(range(256)) * 5, kind=0xE0)
    phone.send(packet)
    assert provider.receive() == packet


def test_header_extensions_and_sources_pass(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    connect(ng, call, phone, provider, SUITES[2])
    plain = rtp(5)
    sources = b"\x00\x00\x00\x01\x00\x00\x00\x02"
    packet = bytes([0x92]) + plain[1:12] + sources + b"\xbe\xde\x00\x01\x10\xaa\x00\x00" + plain[12:]
    phone.send(packet)
    assert provider.receive() == packet


def test_secure_side_never_gets_plaintext_through_hold_and_teardown(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    connect(ng, call, phone, provider, SUITES[2])
    crosses(phone, provider, 1, 10)
    crosses(provider, phone, 1, 10)
    seen: list[bytes] = []

    def speak(first: int) -> None:
        for number in range(first, first + 10):
            phone.send(rtp(number))
            phone.send_control(rtcp(kind=203))
        time.sleep(0.05)
        seen.extend(provider.drain(provider.rtp) + provider.drain(provider.rtcp))

    held = ng.offer(call, phone.sdp(more=("a=inactive",)), Encryption.SAVP, to_tag="callee")
    speak(11)
    phone.aim(ng.answer(call, provider.sdp("RTP/SAVP", _same(provider, held), more=("a=inactive",))))
    speak(21)
    ng.delete(call)
    speak(31)
    assert not [wire for wire in seen if wire[12:] == rtp(0)[12:] or wire[8:] == rtcp()[8:]]


def _same(provider: Party, offer: bytes) -> list[Crypto]:
    tag = next(line for line in cryptos(offer) if line[1] == SUITES[2])[0]
    return [(tag, SUITES[2], provider.key(SUITES[2]))]


def test_nothing_passes_before_the_answer(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    provider.aim(ng.offer(call, phone.sdp(), Encryption.SAVP))
    provider.send(rtp(1))
    assert phone.hears_nothing()


def test_a_phone_behind_nat_is_heard_and_answered_where_it_is(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    offer = ng.offer(call, phone.sdp(address="127.200.200.200"), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, SUITES[2])))
    crosses(phone, provider, 1, 5)
    crosses(provider, phone, 1, 5)


def test_a_stranger_does_not_take_the_place_of_the_host_in_the_sdp(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """Neither one that was first nor one that comes later."""
    stranger, wish = Party(own_address()), SdpWish(Side.PROVIDER, Encryption.SAVP, SUITES)
    source = SdpSource(phone.address)
    asked = ng_commands.held_to_sdp(ng_commands.offer(call, "caller", None, phone.sdp(), wish, source))
    phone.hear_answer(ng.answer(call, provider.answer(str(ng.request(asked)["sdp"]).encode(), SUITES[2])))
    stranger.rtp.sendto(rtp(1, ssrc=666), phone.target)
    assert provider.hears_nothing()
    crosses(provider, phone, 10, 5)
    crosses(phone, provider, 1, 5)
    stranger.rtp.sendto(rtp(2, ssrc=666), phone.target)
    assert provider.hears_nothing()
    crosses(provider, phone, 1, 5)
    assert stranger.hears_nothing()
    stranger.close()


def test_keys_change_when_the_sdp_says_so(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    connect(ng, call, phone, provider, SUITES[2])
    crosses(provider, phone, 1, 5)
    provider.keys.clear()
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee")
    ng.answer(call, provider.answer(offer, SUITES[1]))
    crosses(provider, phone, 100, 5)
    crosses(phone, provider, 100, 5)


def test_sequence_wraps_are_followed_through_a_re_invite(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    connect(ng, call, phone, provider, SUITES[2])
    crosses(phone, provider, 60_000, 20_000)
    kept = provider.sender, provider.receiver
    ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee"), SUITES[2]))
    provider.sender, provider.receiver = kept
    crosses(phone, provider, 80_000, 200)
    crosses(provider, phone, 1, 100)
