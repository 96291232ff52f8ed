"""What some parties need: RTCP in clear beside SRTP, one SSRC, and a session anew for who begins again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pylibsrtp import Policy, Session  # noqa: TID251  (independent of gateway/rtp on purpose)

from gateway.media.relay import Encryption
from tests.support.media_party import PROFILES, SUITES, Party, cryptos, rtcp, rtp
from tests.support.media_relays import Ng, own_address, worker

SUITE = SUITES[2]


@pytest.fixture(scope="module")
def quirky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ng]:
    directory, address = tmp_path_factory.mktemp("q"), own_address()
    with worker(
        directory,
        "--plain-rtcp=phones",
        "--constant-ssrc=provider",
        "--sequence-restarts=provider",
        interfaces=(f"phones/{address}", f"provider/{address}"),
    ) as running:
        yield running


def secure_phone(ng: Ng, call: str, phone: Party, provider: Party, suite: str = SUITE) -> None:
    """SRTP on both sides."""
    offer = ng.offer(call, phone.sdp("RTP/SAVP", [(1, suite, phone.key(suite))]), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, suite)))


@pytest.mark.parametrize("suite", [SUITES[0], SUITE])
def test_control_packets_in_clear_pass_without_their_goodbye(
    quirky: Ng, phone: Party, provider: Party, suite: str
) -> None:
    quirky.offer("no packet yet", phone.sdp(), Encryption.SAVP)
    secure_phone(quirky, f"plain {suite}", phone, provider, suite)
    phone.send(rtp(1))
    provider.receive()
    phone.rtcp.sendto(rtcp() + rtcp(kind=203), phone.control_target)
    heard = provider.receive_control()
    assert (len(heard), heard[1]) == (len(rtcp()), 200)
    phone.rtcp.sendto(rtcp(kind=203), phone.control_target)
    assert provider.hears_nothing()
    assert quirky.stream(f"plain {suite}", "caller", 1)["in clear"] == 2
    listed: Any = quirky.request({"command": "list"})["in clear"]
    assert f"plain {suite}" in listed
    assert "no packet yet" not in listed
    phone.send_control(rtcp())
    assert provider.receive_control()[1] == 200, "SRTCP passes as ever"


def test_control_packets_in_clear_come_from_where_media_does(
    quirky: Ng, phone: Party, provider: Party, stranger: Party
) -> None:
    secure_phone(quirky, "foreign", phone, provider)
    phone.rtcp.sendto(rtcp(), phone.control_target)
    assert provider.hears_nothing(), "not locked yet"
    phone.send(rtp(1))
    provider.receive()
    stranger.rtcp.sendto(rtcp(), phone.control_target)
    assert provider.hears_nothing()
    phone.rtcp.sendto(rtcp()[:-1], phone.control_target)
    assert provider.hears_nothing(), "its lengths do not add up"


def test_multiplexed_control_packets_in_clear_come_from_where_media_does(
    quirky: Ng, phone: Party, provider: Party, stranger: Party
) -> None:
    """Even the address that the SDP names, which may take over the lock, has to do so with SRTP."""
    told = phone.sdp("RTP/SAVP", [(1, SUITE, phone.key(SUITE))], more=("a=rtcp-mux",))
    told = told.replace(phone.address.encode(), stranger.address.encode())
    told = told.replace(f"m=audio {phone.port}".encode(), f"m=audio {stranger.port}".encode())
    offer = quirky.offer("mux", told, Encryption.SAVP)
    phone.hear_answer(quirky.answer("mux", provider.answer(offer, SUITE)))
    phone.send(rtp(1))
    assert provider.receive()[12:] == rtp(1)[12:]
    stranger.rtp.sendto(rtcp(), phone.target)
    assert provider.hears_nothing()
    phone.rtp.sendto(rtcp(), phone.target)
    assert provider.receive_control()[1] == 200


def test_control_packets_in_clear_are_refused_elsewhere(
    ng: Ng, quirky: Ng, call: str, phone: Party, provider: Party
) -> None:
    secure_phone(ng, call, phone, provider)
    phone.send(rtp(1))
    provider.receive()
    phone.rtcp.sendto(rtcp(), phone.control_target)
    assert provider.hears_nothing()
    secure_phone(quirky, call, phone, provider)
    provider.send(rtp(1))
    phone.receive()
    provider.rtcp.sendto(rtcp(), provider.control_target)
    assert phone.hears_nothing(), "the quirk is the other side's"
    quirky.delete(call)


def test_one_ssrc_and_one_sequence_for_the_provider(quirky: Ng, phone: Party, provider: Party) -> None:
    phone.hear_answer(quirky.answer("one", provider.answer(quirky.offer("one", phone.sdp(), Encryption.SAVP), SUITE)))
    heard = []
    for number, ssrc in ((10, 1), (11, 1), (500, 2), (501, 2), (9, 3)):
        phone.send(rtp(number, ssrc=ssrc))
        heard.append(provider.receive())
    assert [int.from_bytes(packet[2:4], "big") for packet in heard] == [10, 11, 12, 13, 14]
    (ours,) = {packet[8:12] for packet in heard}
    assert {packet[12:] for packet in heard} == {rtp(1)[12:]}
    phone.send_control(rtcp(ssrc=3))
    assert provider.receive_control()[4:8] == ours
    provider.send_control(bytes([0x81, 201, 0, 7]) + bytes(4) + ours + bytes(6) + (14).to_bytes(2, "big") + bytes(12))
    block = phone.receive_control()[8:]
    assert (block[:4], block[8:12]) == ((3).to_bytes(4, "big"), (9).to_bytes(4, "big"))
    provider.send(rtp(1, ssrc=77))
    assert phone.receive() == rtp(1, ssrc=77), "the phone's side is as ever"


def again(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    """A re-INVITE by the phone that changes nothing."""
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee")
    tag = next(line[0] for line in cryptos(offer) if line[1] == SUITE)
    ng.answer(call, provider.sdp("RTP/SAVP", [(tag, SUITE, provider.key(SUITE))]))


def begin_again(provider: Party) -> None:
    provider.sender = Session(Policy(provider.key(SUITE), Policy.SSRC_ANY_OUTBOUND, 0, PROFILES[SUITE]))


def test_a_party_that_begins_its_sequence_again_is_heard_after_a_re_invite(
    quirky: Ng, phone: Party, provider: Party
) -> None:
    ng, call = quirky, "again"
    phone.hear_answer(ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP), SUITE)))
    for number in range(20_000, 20_100):
        provider.send(rtp(number))
        assert phone.receive() == rtp(number)
    again(ng, call, phone, provider)
    begin_again(provider)
    for number in range(60):
        provider.send(rtp(number))
    time.sleep(0.6)
    provider.send(rtp(60))
    assert phone.receive() == rtp(60)
    stream: Any = ng.stream(call, "callee")
    assert (stream["rebuilt"], stream["errors by cause"]["replay"]) == (1, 60)
    provider.send(rtp(20_000))
    assert phone.receive() == rtp(20_000)
    begin_again(provider)
    for number in range(60):
        provider.send(rtp(number))
    time.sleep(0.6)
    provider.send(rtp(60))
    assert phone.hears_nothing(), "once for each time that signalling spoke"


def test_rfc3711_3_3_2_a_re_invite_that_keeps_the_key_brings_no_recorded_packet_back(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """Not even where nothing else comes: a session is made anew for a new key alone."""
    phone.hear_answer(ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP), SUITE)))
    recorded = [provider.send(rtp(number)) for number in range(1, 201)]
    for number in range(1, 201):
        assert phone.receive() == rtp(number)
    again(ng, call, phone, provider)
    for wire in recorded[:100]:
        provider.rtp.sendto(wire, provider.target)
    time.sleep(0.6)
    for wire in recorded[100:]:
        provider.rtp.sendto(wire, provider.target)
    assert phone.hears_nothing()
    assert ng.stream(call, "callee")["rebuilt"] == 0
    provider.send(rtp(201))
    assert phone.receive() == rtp(201)


def test_rfc3711_3_3_2_a_key_that_comes_back_brings_no_recorded_packet_back(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """A fork's answer, or a change that failed, leads to a key of before: its session goes on, ours as well."""
    phone.hear_answer(ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP), SUITE)))
    first = provider.key(SUITE), provider.sender, provider.receiver
    recorded = provider.send(rtp(1))
    assert phone.receive() == rtp(1)
    provider.send_control(rtcp())
    phone.receive_control()
    phone.send_control(rtcp())
    before = provider.receive_wire(provider.rtcp)
    provider.keys.clear()
    again(ng, call, phone, provider)
    begin_again(provider)
    provider.send(rtp(1))
    assert phone.receive() == rtp(1)
    provider.keys[SUITE], provider.sender, provider.receiver = first
    again(ng, call, phone, provider)
    provider.rtp.sendto(recorded, provider.target)
    assert phone.hears_nothing()
    provider.send(rtp(2))
    assert phone.receive() == rtp(2)
    phone.send_control(rtcp())
    after = provider.receive_wire(provider.rtcp)
    assert srtcp_index(after) > srtcp_index(before), "RFC 3711 section 9.1"


def srtcp_index(wire: bytes) -> int:
    """Of SRTCP with a tag of 80 bits."""
    return int.from_bytes(wire[-14:-10], "big") & 0x7FFFFFFF


def test_rfc3711_9_1_our_key_that_comes_back_goes_on_with_its_index(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """Two forks answer one offer with different suites; the first one then answers again."""
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    indexes = []
    for suite in (SUITE, SUITES[3], SUITE):
        phone.hear_answer(ng.answer(call, provider.answer(offer, suite)))
        for _ in range(3):
            phone.send_control(rtcp())
            wire = provider.receive_wire(provider.rtcp)
            if suite == SUITE:
                indexes.append(srtcp_index(wire))
    assert len(set(indexes)) == len(indexes) == 6


def test_without_a_re_invite_or_with_good_packets_replays_stay_replays(
    quirky: Ng, phone: Party, provider: Party
) -> None:
    ng, call = quirky, "replays"
    phone.hear_answer(ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP), SUITE)))
    old = [provider.send(rtp(number)) for number in range(100, 160)]
    for number in range(100, 160):
        assert phone.receive() == rtp(number)
    for invited in (False, True):
        if invited:
            again(ng, call, phone, provider)
            provider.send(rtp(200))
            assert phone.receive() == rtp(200)
        for wire in old:
            provider.rtp.sendto(wire, provider.target)
        time.sleep(0.6)
        provider.rtp.sendto(old[0], provider.target)
        assert phone.hears_nothing()
    assert ng.stream(call, "callee")["rebuilt"] == 0
