"""Attacks that took real products down: strangers, junk, replays, spraying. Their CVE numbers stand with them."""

from __future__ import annotations

import json
import secrets
import time
from random import Random

import pytest

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import Encryption, SdpWish
from tests.support.media_party import SUITES, Party, rtcp, rtp
from tests.support.media_relays import Ng


def connect(ng: Ng, call: str, phone: Party, provider: Party, suite: str = SUITES[2]) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, suite)))


def talk(phone: Party, provider: Party, first: int, count: int = 5) -> None:
    """Both hear each other."""
    for number in range(first, first + count):
        phone.send(rtp(number))
        provider.send(rtp(number))
        assert provider.receive() == rtp(number)
        assert phone.receive() == rtp(number)


def errors(ng: Ng, call: str, tag: str) -> dict[str, int]:
    found = ng.stream(call, tag)["errors by cause"]
    assert isinstance(found, dict)
    return {name: number for name, number in found.items() if isinstance(number, int)}


def test_spraying_the_ports_reaches_nobody(ng: Ng, call: str, phone: Party, provider: Party, stranger: Party) -> None:
    """CVE-2025-53399: an established stream is not moved nor fed by a foreign source."""
    connect(ng, call, phone, provider)
    talk(phone, provider, 1)
    for number in range(100):
        for target in (phone.target, provider.target):
            stranger.rtp.sendto(rtp(number, b"evil" * 40), target)
            stranger.rtp.sendto(rtcp(kind=203), (target[0], target[1] + 1))
    talk(phone, provider, 6)
    assert stranger.hears_nothing()
    assert errors(ng, call, "caller")["wrong source"] >= 100
    assert errors(ng, call, "callee")["wrong source"] >= 100


def test_a_faster_stranger_loses_the_plain_leg_to_the_real_phone(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider)
    stranger.rtp.sendto(rtp(1, ssrc=666), phone.target)
    provider.receive_wire()
    phone.send(rtp(1))
    assert provider.receive() == rtp(1)
    stranger.rtp.sendto(rtp(2, ssrc=666), phone.target)
    talk(phone, provider, 2)


def test_a_stranger_cannot_latch_the_secure_leg(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider)
    for number in range(20):
        stranger.rtp.sendto(rtp(number, secrets.token_bytes(170)), provider.target)
    phone.send(rtp(1))
    assert provider.receive() == rtp(1)
    assert stranger.hears_nothing()
    assert phone.hears_nothing()
    assert not ng.stream(call, "callee")["latched"]
    assert errors(ng, call, "callee")["authentication"] == 20


@pytest.mark.parametrize("suite", SUITES)
def test_200_junk_packets_from_the_right_place_do_not_end_the_call(
    ng: Ng, call: str, phone: Party, provider: Party, suite: str
) -> None:
    """CVE-2021-41105."""
    connect(ng, call, phone, provider, suite)
    talk(phone, provider, 1)
    for number in range(200):
        provider.rtp.sendto(rtp(1_000 + number, secrets.token_bytes(170)), provider.target)
    talk(phone, provider, 6)
    assert errors(ng, call, "callee")["authentication"] == 200


def test_replayed_packets_are_not_heard_again(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    """CVE-2021-26712."""
    connect(ng, call, phone, provider)
    wires = [provider.send(rtp(number)) for number in range(10)]
    assert [phone.receive() for _ in wires] == [rtp(number) for number in range(10)]
    for wire in wires:
        provider.rtp.sendto(wire, provider.target)
    talk(phone, provider, 10)
    assert errors(ng, call, "callee")["replay"] == 10


def test_old_packets_bring_no_bypass(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    """CVE-2022-39269: a secured leg takes no plain RTP, neither old nor new."""
    connect(ng, call, phone, provider)
    for number in range(60_000, 60_005):
        provider.send(rtp(number))
        assert phone.receive() == rtp(number)
    for number in (*range(100), *range(59_000, 59_050)):
        provider.rtp.sendto(rtp(number), provider.target)
    assert phone.hears_nothing()
    phone.send(rtp(1))
    assert provider.receive_wire()[12:] != rtp(1)[12:]


def test_packets_before_the_answer_are_neither_kept_nor_played(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    answer = provider.answer(offer, SUITES[2])
    for number in range(5):
        provider.send(rtp(number))
    time.sleep(0.05)
    phone.hear_answer(ng.answer(call, answer))
    assert errors(ng, call, "callee")["early"] == 5
    assert phone.hears_nothing()
    talk(phone, provider, 10)


def test_old_media_does_not_reach_a_new_call_on_the_same_port(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider)
    talk(phone, provider, 1)
    ng.delete(call)
    before = ng.ports_used()
    phone.send(rtp(9))
    provider.send(rtp(9))
    assert phone.hears_nothing()
    assert provider.hears_nothing()
    assert ng.ports_used() == before


def test_garbage_stops_nothing(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    """20,000 datagrams to the media ports, 20,000 to the NG socket."""
    connect(ng, call, phone, provider)
    talk(phone, provider, 1)
    random = Random(5)
    seeds = [rtp(1), rtcp(), provider.sender.protect(rtp(7)) if provider.sender else b""]
    targets = [
        (phone.rtp, phone.target),
        (provider.rtp, provider.target),
        (phone.rtcp, phone.control_target),
        (provider.rtcp, provider.control_target),
    ]
    for number in range(20_000):
        own, target = targets[number % 4]
        own.sendto(_mangled(random, seeds[number % 3]), target)
    phone.drain(phone.rtp)
    provider.drain(provider.rtp)
    _feed_commands(ng, random, call)
    ng.process.poll()
    assert ng.process.returncode is None
    phone.drain(phone.rtp)
    provider.drain(provider.rtp)
    phone.send(rtp(30_000, ssrc=99))
    assert provider.receive() == rtp(30_000, ssrc=99)


def _mangled(random: Random, seed: bytes) -> bytes:
    """The seed with bytes changed, cut or added."""
    data = bytearray(seed)
    for _ in range(random.randrange(6)):
        if data:
            data[random.randrange(min(len(data), 16))] = random.randrange(256)
    cut = random.randrange(len(data) + 1) if random.random() < 0.3 else len(data)
    return bytes(data[:cut]) + random.randbytes(random.choice((0, 0, 0, 7, 1_400)))


def _feed_commands(ng: Ng, random: Random, call: str) -> None:
    party = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n"
    good = [
        json.dumps(
            ng_commands.offer("fuzz", "a", None, party, SdpWish(Side.PROVIDER, Encryption.SAVP, SUITES))
        ).encode(),
        json.dumps(ng_commands.answer("fuzz", "a", "b", party)).encode(),
        json.dumps({"command": "query", "call-id": call}).encode(),
        json.dumps({"command": "statistics", "limit": None}).encode(),
        b'{"command": "list", "limit": "99999999999999999999"}',
    ]
    for number in range(20_000):
        data = bytearray(b"f%d " % number + good[number % 5])
        for _ in range(random.randrange(4)):
            data[random.randrange(len(data))] = random.randrange(256)
        ng.send(bytes(data))
        _discard_replies(ng, 0.0)
    _discard_replies(ng, 0.2)
    assert ng.request({"command": "ping"})["result"] == "pong"
    listed = ng.request({"command": "list", "limit": 10_000})["calls"]
    assert isinstance(listed, list)
    assert call in listed
    for name in listed:
        if name != call:
            ng.delete(str(name))


def _discard_replies(ng: Ng, seconds: float) -> None:
    """Until none comes for so long."""
    ng.own.settimeout(seconds)
    try:
        while True:
            ng.receive()
    except (BlockingIOError, TimeoutError):
        ng.own.settimeout(3.0)
