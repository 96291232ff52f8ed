"""Who may send to a port, and where its packets go."""

from __future__ import annotations

from gateway.media.worker.streams.latch import SILENCE_SECONDS, Latch

SDP, NAT, STRANGER = ("192.0.2.1", 4000), ("198.51.100.1", 50000), ("203.0.113.9", 1)
HOSTS = frozenset({"192.0.2.1", "198.51.100.1"})


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


def test_hosts_shut_a_stranger_out_before_the_lock_and_after_silence() -> None:
    latch = Latch()
    latch.expect(SDP, HOSTS)
    assert not latch.admits(STRANGER, 0.0)
    assert latch.admits((NAT[0], 1_024), 0.0), "any port of the host: NAT chooses it"
    latch.lock(NAT)
    assert not latch.admits((NAT[0], 1_024), 0.0)
    assert latch.admits((NAT[0], 1_024), SILENCE_SECONDS + 0.01)
    assert not latch.admits(STRANGER, SILENCE_SECONDS + 0.01)


def test_signalling_opens_the_latch_only_with_news() -> None:
    latch = Latch(expected=SDP, source=NAT)
    assert not latch.expect(SDP)
    assert latch.source == NAT
    assert latch.expect(("192.0.2.1", 4002))
    assert latch.source is None


def test_signalling_that_shuts_the_locked_source_out_opens_the_latch() -> None:
    latch = Latch(expected=SDP, source=NAT)
    assert not latch.expect(SDP, HOSTS)
    assert latch.source == NAT
    assert latch.expect(SDP, frozenset({SDP[0]}))
    assert latch.source is None


def test_rfc3264_5_1_another_port_of_the_host_in_the_sdp_hears_nothing() -> None:
    """Asymmetric RTP without NAT; behind NAT the source is the one way back (RFC 4961)."""
    latch = Latch(expected=SDP)
    latch.lock((SDP[0], 4_100))
    assert latch.target == SDP
    latch.lock(NAT)
    assert latch.target == NAT
    latch = Latch(expected=SDP, follows_port=True)
    latch.lock((SDP[0], 4_100))
    assert latch.target == (SDP[0], 4_100)
