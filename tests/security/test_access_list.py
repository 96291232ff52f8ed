"""Restricted Access Domains: proofs by certificate and by address, and what happens while DNS fails."""

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from gateway.security.access_list import (
    LONGEST_TTL,
    RETRY,
    SHORTEST_TTL,
    AccessList,
    AccessResolver,
    Proof,
    ProofKind,
    Resolved,
)
from gateway.transport.flow import PeerIdentity

NOW = 1_700_000_000.0
BY_ADDRESS = Proof("voiceip.com", ProofKind.ADDRESS)
BY_CERTIFICATE = Proof("voiceip.com", ProofKind.CERTIFICATE)


def access(*names: str, keep: float = 1000.0) -> AccessList:
    return AccessList(names or ("voiceip.com",), keep)


def resolved(ttl: float = 60.0, *addresses: str) -> AccessList:
    known = access()
    known.resolved("voiceip.com", Resolved(addresses or ("192.0.2.1",), ttl), NOW)
    return known


def test_an_address_of_a_name_is_a_proof_and_another_is_not() -> None:
    known = resolved(60.0, "192.0.2.1", "2001:DB8:0::1")
    assert known.proof("192.0.2.1", None, NOW) == BY_ADDRESS
    assert known.proof("2001:db8::1", None, NOW) == BY_ADDRESS
    assert known.proof("::ffff:192.0.2.1", None, NOW) == BY_ADDRESS
    assert known.proof("192.0.2.2", None, NOW) is None
    assert known.proof("nonsense", None, NOW) is None


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (PeerIdentity(trust="system", names=("voiceip.com",)), BY_CERTIFICATE),
        (PeerIdentity(trust="system", names=("VoiceIP.com",)), BY_CERTIFICATE),
        (PeerIdentity(trust="system", uris=("sip:voiceip.com",)), BY_CERTIFICATE),
        (PeerIdentity(trust="system", uris=("sip:other.example",), names=("voiceip.com",)), None),
        (PeerIdentity(trust="system", uris=("sip:bob@voiceip.com",), names=("other.example",)), None),
        (PeerIdentity(trust="system", uris=("https://voiceip.com",)), None),
        (PeerIdentity(trust="system", names=("*.com", "sip.voiceip.com", "voiceip.com.evil.example")), None),
        (PeerIdentity(trust="system"), None),
        (None, None),
    ],
)
def test_a_verified_certificate_for_a_name_is_a_proof(identity: PeerIdentity | None, expected: Proof | None) -> None:
    assert access().proof("192.0.2.99", identity, NOW) == expected


def test_addresses_in_the_list_and_in_certificates() -> None:
    known = access("192.0.2.7", "[2001:db8::7]")
    assert known.due(NOW) == ()
    assert known.proof("192.0.2.7", None, NOW) == Proof("192.0.2.7", ProofKind.ADDRESS)
    assert known.proof("2001:db8:0::7", None, NOW) == Proof("2001:db8::7", ProofKind.ADDRESS)
    identity = PeerIdentity(trust="system", addresses=("192.0.2.7",))
    assert known.proof("10.0.0.1", identity, NOW) == Proof("192.0.2.7", ProofKind.CERTIFICATE)


def test_nobody_is_proved_by_an_empty_list_or_before_the_first_answer() -> None:
    assert AccessList(()).proof("192.0.2.1", PeerIdentity(trust="system", names=("voiceip.com",)), NOW) is None
    assert access().proof("192.0.2.1", None, NOW) is None


def test_names_are_canonical_and_asked_once_each() -> None:
    assert access("VoiceIP.com.", "voiceip.com", " other.example").names == ("voiceip.com", "other.example")


def test_a_name_is_due_at_its_ttl_within_bounds() -> None:
    for ttl, seconds in ((60.0, 60.0), (0.0, SHORTEST_TTL), (1e9, LONGEST_TTL)):
        known = resolved(ttl)
        assert known.due(NOW + seconds - 1) == ()
        assert known.due(NOW + seconds) == ("voiceip.com",)
        assert known.due(NOW + seconds) == (), "an outstanding question is not asked again at once"
        assert known.due(NOW + seconds + RETRY) == ("voiceip.com",)


def test_the_last_good_answer_counts_while_dns_fails_but_not_for_ever() -> None:
    known = resolved(60.0)
    known.failed("voiceip.com", NOW + 60)
    known.resolved("voiceip.com", Resolved((), 60.0), NOW + 100)
    assert known.proof("192.0.2.1", None, NOW + 60 + 1000) == BY_ADDRESS
    assert known.proof("192.0.2.1", None, NOW + 60 + 1001) is None


def test_a_new_answer_replaces_the_old_addresses() -> None:
    known = resolved(60.0)
    known.resolved("voiceip.com", Resolved(("192.0.2.5",), 60.0), NOW + 60)
    assert known.proof("192.0.2.1", None, NOW + 61) is None
    assert known.proof("192.0.2.5", None, NOW + 61) == BY_ADDRESS


def test_the_resolver_carries_answers_and_failures_in() -> None:
    answers: dict[str, Deferred[Resolved]] = {
        "voiceip.com": succeed(Resolved(("192.0.2.1",), 60.0)),
        "other.example": fail(OSError("no answer")),
    }
    asked: list[str] = []
    now = [NOW]

    def resolve(name: str) -> Deferred[Resolved]:
        asked.append(name)
        return answers[name]

    known = access("voiceip.com", "other.example")
    resolver = AccessResolver([known], resolve, lambda: now[0])
    resolver.refresh()
    resolver.refresh()
    assert asked == ["voiceip.com", "other.example"]
    assert known.proof("192.0.2.1", None, NOW) == BY_ADDRESS
    now[0] += RETRY
    answers["other.example"] = succeed(Resolved(("192.0.2.9",), 60.0))
    resolver.refresh()
    assert asked == ["voiceip.com", "other.example", "other.example"]
    assert known.proof("192.0.2.9", None, NOW) == Proof("other.example", ProofKind.ADDRESS)
