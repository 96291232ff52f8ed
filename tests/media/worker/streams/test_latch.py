"""Who may send to a port."""

from __future__ import annotations

from gateway.media.worker.streams.latch import SILENCE_SECONDS, Latch

SDP, NAT, STRANGER = ("192.0.2.1", 4000), ("198.51.100.1", 50000), ("203.0.113.9", 1)


def test_open_latch_sends_where_the_sdp_says_and_admits_anybody() -> None:
    latch = Latch()
    assert latch.expect(SDP)
    assert latch.target == SDP
    assert latch.admits(NAT, 0.0)


def test_first_source_locks_and_strangers_are_kept_out() -> None:
    latch = Latch(expected=SDP)
    assert latch.lock(NAT)
    assert latch.target == NAT
    assert latch.admits(NAT, 0.0)
    assert not latch.admits(STRANGER, 0.0)
    assert not latch.lock(NAT)


def test_address_of_the_sdp_takes_over_from_a_faster_stranger() -> None:
    latch = Latch(expected=SDP, source=STRANGER)
    assert latch.admits(SDP, 0.0)
    assert latch.lock(SDP)
    assert not latch.admits(STRANGER, 0.0)


def test_silence_of_the_locked_source_admits_another() -> None:
    latch = Latch(expected=SDP, source=NAT)
    assert not latch.admits(STRANGER, SILENCE_SECONDS)
    assert latch.admits(STRANGER, SILENCE_SECONDS + 0.01)


def test_signalling_opens_the_latch_only_with_news() -> None:
    latch = Latch(expected=SDP, source=NAT)
    assert not latch.expect(SDP)
    assert latch.source == NAT
    assert latch.expect(("192.0.2.1", 4002))
    assert latch.source is None
