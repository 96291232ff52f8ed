"""Round trips from RTCP, loss on the whole way, one-way audio, and what `query` says of them."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest

from gateway.media.relay import Encryption
from gateway.media.worker.streams.rtcp_reports import RtcpReports
from gateway.rtp.mos import mean_opinion_score
from tests.support.media_party import SUITES, Party, rtp
from tests.support.media_relays import Ng

STAMP = 0x11112222


def sender_report(ssrc: int = 0x1234) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, STAMP << 16, 0, 0, 0)


def receiver_report(of: int = 0x1234, lost: int = 0, delay: float = 0.0, stamp: int = STAMP) -> bytes:
    return struct.pack("!BBHIIIIIII", 0x81, 201, 7, 0x99, of, lost, 0, 0, stamp, int(delay * 65_536))


def test_round_trip_is_measured_from_report_to_answer() -> None:
    phone, provider = RtcpReports(), RtcpReports()
    phone.notice(memoryview(sender_report()), 10.0, provider)
    provider.notice(memoryview(receiver_report(delay=0.25)), 10.75, phone)
    assert provider.round_trip == pytest.approx(0.5)
    assert phone.round_trip is None


def test_an_answer_to_the_last_report_but_one_still_counts_and_others_do_not() -> None:
    phone, provider = RtcpReports(), RtcpReports()
    for now in (10.0, 15.0):
        phone.notice(memoryview(sender_report().replace(b"\x11\x11", bytes([0x11, int(now)]), 1)), now, provider)
    provider.notice(memoryview(receiver_report(stamp=0)), 15.1, phone)
    assert provider.round_trip is None
    provider.notice(memoryview(receiver_report(stamp=0x110A2222)), 15.1, phone)
    assert provider.round_trip == pytest.approx(5.1)


def test_a_clock_that_runs_ahead_makes_no_negative_round_trip() -> None:
    phone, provider = RtcpReports(), RtcpReports()
    phone.notice(memoryview(sender_report()), 10.0, provider)
    provider.notice(memoryview(receiver_report(delay=3.0)), 10.5, phone)
    assert provider.round_trip == 0.0


def connect(ng: Ng, call: str, phone: Party, provider: Party, more: tuple[str, ...] = ()) -> None:
    offer = ng.offer(call, phone.sdp(more=more), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, SUITES[0])))


def talk(sender: Party, receiver: Party, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        sender.send(rtp(number))
        assert receiver.receive() == rtp(number)


def test_query_tells_quality_from_encrypted_reports(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    connect(ng, call, phone, provider)
    talk(phone, provider, 160)
    talk(provider, phone, 10)
    phone.send_control(sender_report())
    provider.receive_control()
    time.sleep(0.05)
    provider.send_control(receiver_report(lost=16))
    phone.receive_control()
    heard: Any = ng.stream(call, "caller")
    assert (heard["lost"], heard["loss"], heard["one way"]) == (0, 0.1, False)
    far: Any = ng.stream(call, "callee")
    assert 50 <= far["round trip"] < 1_000
    delay = far["round trip"] / 2 + 2 * heard["jitter"]
    assert heard["MOS"] == pytest.approx(mean_opinion_score("PCMU", 0.1, delay), abs=0.006)
    assert heard["round trip"] is None
    assert far["MOS"] is None, "ten packets say nothing"


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly"])
def test_a_party_that_is_never_heard_is_told(ng: Ng, call: str, phone: Party, provider: Party, direction: str) -> None:
    connect(ng, call, phone, provider, (f"a={direction}",))
    talk(phone, provider, 60)
    assert ng.stream(call, "callee")["one way"] is (direction == "sendrecv")
    assert ng.stream(call, "caller")["one way"] is False
