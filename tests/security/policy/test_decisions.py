"""The security policy: the table of design decisions, and properties over every sequence of failures."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Domain, Downgrade, Provider, Security, Signalling, SrtpOffer
from gateway.media.relay import Encryption
from gateway.security.policy.decisions import accepts_answer, accepts_inbound, first_attempt, next_attempt, takes_clear
from gateway.security.policy.terms import (
    UNREACHED,
    Acceptance,
    Attempt,
    CallTerms,
    Capability,
    Failure,
    InboundSignalling,
    MediaFailure,
    Reason,
    Refusal,
)
from gateway.transport.flow import FailureKind

PREFERRED = CallTerms(Security.PREFERRED, Downgrade.ALERT, Encryption.SAVP, has_clear=True)
REQUIRED = attrs.evolve(PREFERRED, security=Security.REQUIRED)
OFF = attrs.evolve(PREFERRED, security=Security.OFF)
EMERGENCY = attrs.evolve(REQUIRED, is_emergency=True)
STRICT = attrs.evolve(PREFERRED, downgrade=Downgrade.REFUSE)
DID_BOTH = Capability(tls=True, srtp=True)
LACKS_BOTH = Capability(tls=False, srtp=False)

FULL = Attempt(Signalling.TLS, Encryption.SAVP)


def clear(reason: Reason, is_downgrade: bool = False) -> Attempt:
    return Attempt(Signalling.CLEAR, Encryption.NONE, reason, is_downgrade)


def rtp_over_tls(reason: Reason, is_downgrade: bool = False) -> Attempt:
    return Attempt(Signalling.TLS, Encryption.NONE, reason, is_downgrade)


@pytest.mark.parametrize(
    ("terms", "known", "expected"),
    [
        (PREFERRED, Capability(), FULL),
        (REQUIRED, Capability(), FULL),
        (EMERGENCY, Capability(), FULL),
        (OFF, Capability(), clear(Reason.CLEAR_POLICY_OFF)),
        (attrs.evolve(OFF, is_emergency=True), Capability(), clear(Reason.CLEAR_POLICY_OFF)),
        (attrs.evolve(OFF, has_clear=False), Capability(), rtp_over_tls(Reason.CLEAR_POLICY_OFF)),
        (attrs.evolve(PREFERRED, offer=Encryption.DUAL), Capability(), Attempt(Signalling.TLS, Encryption.DUAL)),
        (PREFERRED, LACKS_BOTH, clear(Reason.CLEAR_PEER_NO_TLS)),
        (PREFERRED, Capability(srtp=False), rtp_over_tls(Reason.CLEAR_PEER_NO_SRTP)),
        (attrs.evolve(PREFERRED, has_clear=False), Capability(tls=False), FULL),
        (REQUIRED, LACKS_BOTH, FULL),
        (EMERGENCY, LACKS_BOTH, clear(Reason.CLEAR_EMERGENCY)),
        (attrs.evolve(PREFERRED, has_tls=False), Capability(), clear(Reason.CLEAR_PEER_NO_TLS)),
        (attrs.evolve(EMERGENCY, has_tls=False), Capability(), clear(Reason.CLEAR_EMERGENCY)),
    ],
)
def test_first_attempts(terms: CallTerms, known: Capability, expected: Attempt) -> None:
    assert first_attempt(terms, known) == expected


def test_required_without_any_tls_address_is_refused_before_anything_is_sent() -> None:
    refusal = first_attempt(attrs.evolve(REQUIRED, has_tls=False))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REFUSED_POLICY


ASKS = FULL.failed(FailureKind.HANDSHAKE, "it asks for a certificate of ours")


@pytest.mark.parametrize(
    ("terms", "known", "expected"),
    [
        (PREFERRED, Capability(), clear(Reason.CLEAR_TLS_HANDSHAKE)),
        (PREFERRED, DID_BOTH, clear(Reason.CLEAR_TLS_HANDSHAKE, is_downgrade=True)),
        (attrs.evolve(PREFERRED, is_emergency=True), Capability(), clear(Reason.CLEAR_TLS_HANDSHAKE)),
        (EMERGENCY, Capability(), clear(Reason.CLEAR_EMERGENCY)),
    ],
)
def test_a_peer_whose_handshake_fails_is_not_said_to_lack_tls(
    terms: CallTerms, known: Capability, expected: Attempt
) -> None:
    assert next_attempt(terms, ASKS, known) == expected


@pytest.mark.parametrize(
    ("terms", "known"),
    [(REQUIRED, Capability()), (REQUIRED, DID_BOTH), (attrs.evolve(PREFERRED, has_clear=False), Capability())],
)
def test_a_failed_handshake_is_refused_with_its_cause(terms: CallTerms, known: Capability) -> None:
    refusal = next_attempt(terms, ASKS, known)
    said = "No TLS handshake with the provider: it asks for a certificate of ours"
    assert refusal == Refusal(503, Reason.REFUSED_TLS_HANDSHAKE, said, is_downgrade=known == DID_BOTH)


def test_a_failed_handshake_of_a_peer_that_did_tls_is_a_downgrade_first() -> None:
    refusal = next_attempt(STRICT, ASKS, DID_BOTH)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REFUSED_DOWNGRADE


def test_while_a_failed_handshake_counts_calls_are_explained_by_it() -> None:
    known = Capability(tls=False, speaks_tls=True)
    assert first_attempt(PREFERRED, known) == clear(Reason.CLEAR_TLS_HANDSHAKE)
    assert first_attempt(REQUIRED, known) == FULL
    assert first_attempt(OFF, known) == clear(Reason.CLEAR_POLICY_OFF)


@pytest.mark.parametrize("failure", [FailureKind.REFUSED, FailureKind.TIMEOUT, FailureKind.TLS, FailureKind.DNS])
def test_preferred_falls_back_once_when_the_peer_lacks_tls(failure: FailureKind) -> None:
    second = next_attempt(PREFERRED, FULL.failed(failure))
    assert second == clear(Reason.CLEAR_PEER_NO_TLS)
    assert isinstance(second, Attempt)
    last = next_attempt(PREFERRED, second.failed(failure, "198.51.100.21:5060 refuses connections"))
    assert isinstance(last, Refusal)
    assert (last.status, last.reason) == (503, UNREACHED.get(failure, (Reason.PROVIDER_UNREACHABLE,))[0])
    assert not last.is_by_policy
    assert last.cause == "198.51.100.21:5060 refuses connections"


@pytest.mark.parametrize("status", [415, 488, 606])
def test_preferred_retries_once_as_rtp_avp(status: int) -> None:
    second = next_attempt(PREFERRED, FULL.failed(status))
    assert second == rtp_over_tls(Reason.CLEAR_PROVIDER_488)
    assert isinstance(second, Attempt)
    assert next_attempt(PREFERRED, second.failed(status)) == Refusal(status, None, "the peer's answer")


ITS_OWN = [400, 401, 403, 404, 407, 480, 486, 487, 600, 603]


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        *itertools.product([PREFERRED, REQUIRED, OFF, EMERGENCY], ITS_OWN),
        *itertools.product([PREFERRED, REQUIRED, OFF], [408, 500, 503]),
    ],
)
def test_other_final_answers_are_the_peers_own(terms: CallTerms, status: int) -> None:
    refusal = next_attempt(terms, FULL.failed(status))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (status, None)


@pytest.mark.parametrize("terms", [PREFERRED, REQUIRED, STRICT])
def test_a_bad_certificate_never_falls_back(terms: CallTerms) -> None:
    refusal = next_attempt(terms, FULL.failed(FailureKind.CERTIFICATE), DID_BOTH)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REFUSED_CERTIFICATE


def test_off_over_its_only_address_tls_does_not_ignore_a_bad_certificate() -> None:
    terms = attrs.evolve(OFF, has_clear=False)
    refusal = next_attempt(terms, rtp_over_tls(Reason.CLEAR_POLICY_OFF).failed(FailureKind.CERTIFICATE))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.REFUSED_CERTIFICATE


@pytest.mark.parametrize("failure", list(FailureKind))
def test_emergency_calls_fall_back_whatever_failed(failure: FailureKind) -> None:
    assert next_attempt(EMERGENCY, FULL.failed(failure)) == clear(Reason.CLEAR_EMERGENCY)
    off = attrs.evolve(OFF, is_emergency=True, has_clear=False)
    step = next_attempt(off, rtp_over_tls(Reason.CLEAR_POLICY_OFF).failed(failure))
    assert isinstance(step, Attempt)
    assert step.signalling is Signalling.CLEAR


def test_an_established_connection_that_closes_is_no_lack_of_tls() -> None:
    refusal = next_attempt(PREFERRED, FULL.failed(FailureKind.CLOSED))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.PROVIDER_UNREACHABLE
    assert not refusal.is_by_policy


def test_a_peer_that_did_better_is_reported_or_refused() -> None:
    refused = FULL.failed(FailureKind.REFUSED)
    assert next_attempt(PREFERRED, refused, DID_BOTH) == clear(Reason.CLEAR_PEER_NO_TLS, is_downgrade=True)
    assert next_attempt(PREFERRED, FULL.failed(488), DID_BOTH) == rtp_over_tls(Reason.CLEAR_PROVIDER_488, True)
    for failure in (FailureKind.REFUSED, 488):
        refusal = next_attempt(STRICT, FULL.failed(failure), DID_BOTH)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.REFUSED_DOWNGRADE
        assert refusal.is_downgrade


def test_no_fallback_address_is_a_refusal_that_says_so() -> None:
    terms = attrs.evolve(PREFERRED, has_clear=False)
    refusal = next_attempt(terms, FULL.failed(FailureKind.REFUSED))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (503, Reason.PROVIDER_UNREACHABLE)
    refusal = next_attempt(terms, FULL.failed(FailureKind.TLS, "it does not answer in TLS"))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.reason) == (503, Reason.REFUSED_POLICY)
    assert refusal.cause == "it does not answer in TLS"


@pytest.mark.parametrize(
    "terms", [REQUIRED, attrs.evolve(REQUIRED, has_clear=False), attrs.evolve(STRICT, has_clear=False)]
)
@pytest.mark.parametrize("known", [Capability(), DID_BOTH])
@pytest.mark.parametrize(
    ("failure", "reason", "said"),
    [
        (
            FailureKind.REFUSED,
            Reason.PROVIDER_UNREACHABLE,
            "The provider cannot be reached: its port refuses connections",
        ),
        (FailureKind.TIMEOUT, Reason.PROVIDER_UNREACHABLE, "The provider cannot be reached: it does not answer"),
        (
            FailureKind.SILENT,
            Reason.PROVIDER_SILENT,
            "The provider is silent: its port takes connections and says nothing",
        ),
        (FailureKind.DNS, Reason.PROVIDER_NOT_FOUND, "The provider cannot be found: DNS knows no way to it"),
    ],
)
def test_a_provider_that_is_down_is_no_downgrade_where_nothing_weaker_is_taken(
    terms: CallTerms, known: Capability, failure: FailureKind, reason: Reason, said: str
) -> None:
    refusal = next_attempt(terms, FULL.failed(failure), known)
    assert refusal == Refusal(503, reason, said)
    assert not refusal.is_by_policy


def test_a_provider_that_answers_without_tls_is_a_downgrade_under_required() -> None:
    refusal = next_attempt(REQUIRED, FULL.failed(FailureKind.TLS), DID_BOTH)
    assert refusal == Refusal(503, Reason.REFUSED_POLICY, "This domain requires TLS", is_downgrade=True)


def test_answers() -> None:
    for terms in (PREFERRED, REQUIRED, EMERGENCY):
        assert accepts_answer(terms, FULL, True) == Acceptance()
        assert accepts_answer(terms, FULL, None) == Acceptance()
    assert accepts_answer(PREFERRED, FULL, False) == Acceptance(Reason.CLEAR_PEER_NO_SRTP)
    assert accepts_answer(EMERGENCY, FULL, False) == Acceptance(Reason.CLEAR_EMERGENCY)
    off = rtp_over_tls(Reason.CLEAR_POLICY_OFF)
    assert accepts_answer(OFF, off, False) == Acceptance(Reason.CLEAR_POLICY_OFF)
    refused = accepts_answer(REQUIRED, FULL, False)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.reason) == (488, Reason.REFUSED_POLICY)
    downgraded = accepts_answer(STRICT, FULL, False, DID_BOTH)
    assert isinstance(downgraded, Refusal)
    assert downgraded.reason is Reason.REFUSED_DOWNGRADE


@pytest.mark.parametrize(
    ("terms", "arrival", "encrypted", "expected"),
    [
        (REQUIRED, InboundSignalling.VERIFIED, True, None),
        (REQUIRED, InboundSignalling.VERIFIED, None, None),
        (REQUIRED, InboundSignalling.VERIFIED, False, Reason.REFUSED_POLICY),
        (REQUIRED, InboundSignalling.UNVERIFIED, True, Reason.REFUSED_POLICY),
        (REQUIRED, InboundSignalling.CLEAR, True, Reason.REFUSED_POLICY),
        (PREFERRED, InboundSignalling.VERIFIED, True, None),
        (PREFERRED, InboundSignalling.VERIFIED, False, Reason.CLEAR_PEER_NO_SRTP),
        (PREFERRED, InboundSignalling.UNVERIFIED, True, Reason.CLEAR_PEER_UNVERIFIED),
        (PREFERRED, InboundSignalling.CLEAR, True, Reason.CLEAR_PEER_NO_TLS),
        (OFF, InboundSignalling.CLEAR, False, Reason.CLEAR_POLICY_OFF),
        (OFF, InboundSignalling.UNVERIFIED, True, Reason.CLEAR_POLICY_OFF),
        (OFF, InboundSignalling.VERIFIED, True, None),
    ],
)
def test_inbound_calls(
    terms: CallTerms, arrival: InboundSignalling, encrypted: bool | None, expected: Reason | None
) -> None:
    answer = accepts_inbound(terms, arrival, encrypted)
    assert answer.reason is expected
    assert isinstance(answer, Refusal) is (expected is Reason.REFUSED_POLICY)


def test_media_may_become_clear_where_an_answer_in_clear_would_stand() -> None:
    assert takes_clear(PREFERRED)
    assert not takes_clear(REQUIRED)
    assert takes_clear(EMERGENCY, DID_BOTH)
    assert takes_clear(PREFERRED, DID_BOTH)
    assert not takes_clear(STRICT, DID_BOTH)


def test_an_unverified_peer_is_no_downgrade() -> None:
    answer = accepts_inbound(STRICT, InboundSignalling.UNVERIFIED, True, DID_BOTH)
    assert answer == Acceptance(Reason.CLEAR_PEER_UNVERIFIED)


def test_refusals_carry_reason_and_warning_headers_without_quotes_inside() -> None:
    refusal = Refusal(488, Reason.REFUSED_POLICY, "This domain requires SRTP")
    said = "This domain requires SRTP (REFUSED_POLICY)"
    assert refusal.headers("gw1") == (
        ("Reason", f'SIP;cause=488;text="{said}"'),
        ("Warning", f'399 gw1 "{said}"'),
    )
    assert Refusal(486, None, "busy").headers("gw1") == ()


def test_an_emergency_call_goes_in_clear_where_no_place_for_that_is_configured() -> None:
    provider = Provider("main", "sips:h:5061;transport=tls", trust=Path("/ca.pem"), srtp_offer=SrtpOffer.OSRTP)
    domain = Domain("example.com", "main", Security.REQUIRED, emergency_numbers=("911",))
    terms = CallTerms.of(domain, provider, is_emergency=domain.is_emergency("911"))
    assert terms == attrs.evolve(EMERGENCY, offer=Encryption.OSRTP, has_clear=False)
    assert next_attempt(terms, FULL.failed(FailureKind.CERTIFICATE)) == clear(Reason.CLEAR_EMERGENCY)
    assert not CallTerms.of(domain, provider, is_emergency=domain.is_emergency("100")).is_emergency


TERMS = st.builds(
    CallTerms,
    security=st.sampled_from(Security),
    downgrade=st.sampled_from(Downgrade),
    offer=st.sampled_from([Encryption.SAVP, Encryption.OSRTP, Encryption.DUAL]),
    is_emergency=st.booleans(),
    has_tls=st.booleans(),
    has_clear=st.booleans(),
)
KNOWN = st.builds(Capability, tls=st.sampled_from([None, True, False]), srtp=st.sampled_from([None, True, False]))
FAILURES: list[Failure] = [*FailureKind, *MediaFailure, 415, 488, 606, 486, 503]


def walk(terms: CallTerms, known: Capability, failures: list[Failure]) -> Iterator[Attempt | Refusal]:
    step = first_attempt(terms, known)
    yield step
    for failure in failures:
        if isinstance(step, Refusal):
            return
        step = next_attempt(terms, step.failed(failure), known)
        yield step


SEQUENCES = st.lists(st.sampled_from(FAILURES), min_size=4, max_size=4)


@given(TERMS, KNOWN, SEQUENCES)
def test_required_sends_nothing_in_clear_whatever_happens(
    terms: CallTerms, known: Capability, failures: list[Failure]
) -> None:
    terms = attrs.evolve(terms, security=Security.REQUIRED, is_emergency=False)
    for step in walk(terms, known, failures):
        assert isinstance(step, Refusal) or (step.signalling is Signalling.TLS and step.encryption is terms.offer)
        assert isinstance(accepts_answer(terms, FULL, False, known), Refusal)


@given(TERMS, KNOWN, SEQUENCES)
def test_every_sequence_ends_after_three_attempts_and_gets_stronger_in_an_emergency_only(
    terms: CallTerms, known: Capability, failures: list[Failure]
) -> None:
    steps = list(walk(terms, known, failures))
    attempts = [step for step in steps if isinstance(step, Attempt)]
    assert isinstance(steps[-1], Refusal)
    assert len(attempts) <= 3
    strengths = [(item.signalling is Signalling.TLS, item.encryption is not Encryption.NONE) for item in attempts]
    assert len(set(strengths)) == len(strengths)
    rises = [before < after for before, after in itertools.pairwise(strengths)]
    assert sum(rises) <= int(terms.is_emergency and attempts[0].signalling is Signalling.CLEAR)


@given(TERMS, KNOWN, SEQUENCES)
def test_keys_are_offered_over_tls_only_and_weakness_always_has_a_reason(
    terms: CallTerms, known: Capability, failures: list[Failure]
) -> None:
    for step in walk(terms, known, failures):
        if isinstance(step, Attempt):
            full = step.signalling is Signalling.TLS and step.encryption is not Encryption.NONE
            assert full is (step.reason is None)
            assert step.signalling is Signalling.TLS or step.encryption is Encryption.NONE


@given(TERMS, KNOWN)
def test_nobody_falls_back_after_a_certificate_failure_but_emergency_calls(terms: CallTerms, known: Capability) -> None:
    step = next_attempt(terms, FULL.failed(FailureKind.CERTIFICATE), known)
    assert isinstance(step, Attempt) is terms.is_emergency


@given(TERMS, KNOWN, SEQUENCES)
def test_an_emergency_call_tries_clear_before_it_gives_up_on_the_transport(
    terms: CallTerms, known: Capability, failures: list[Failure]
) -> None:
    terms = attrs.evolve(terms, is_emergency=True)
    transport_only = [failure for failure in failures if isinstance(failure, FailureKind)] + [FailureKind.TIMEOUT] * 4
    attempts = [step for step in walk(terms, known, [*transport_only]) if isinstance(step, Attempt)]
    assert Signalling.CLEAR in {attempt.signalling for attempt in attempts}


SOS = [attrs.evolve(terms, is_emergency=True) for terms in (REQUIRED, PREFERRED, STRICT, OFF)]


@pytest.mark.parametrize("terms", SOS)
@pytest.mark.parametrize("failure", [FailureKind.TIMEOUT, 408, 415, 488, 500, 502, 503, 504, 606])
def test_an_emergency_call_that_fails_in_clear_tries_tls_where_it_was_not_tried(
    terms: CallTerms, failure: Failure
) -> None:
    first = first_attempt(attrs.evolve(terms, security=Security.OFF))
    assert first == clear(Reason.CLEAR_POLICY_OFF)
    assert isinstance(first, Attempt)
    second = next_attempt(terms, first.failed(failure))
    assert second == FULL
    assert isinstance(second, Attempt)
    for again in (FailureKind.REFUSED, FailureKind.CERTIFICATE, FailureKind.HANDSHAKE, 503):
        assert isinstance(next_attempt(terms, second.failed(again)), Refusal)
    third = next_attempt(terms, second.failed(488))
    assert isinstance(third, Attempt)
    assert (third.signalling, third.encryption) == (Signalling.TLS, Encryption.NONE)
    assert isinstance(next_attempt(terms, third.failed(488)), Refusal)
    assert isinstance(next_attempt(attrs.evolve(terms, has_tls=False), first.failed(failure)), Refusal)


@pytest.mark.parametrize("terms", SOS)
def test_an_emergency_call_that_a_server_fails_over_tls_tries_clear_once(terms: CallTerms) -> None:
    for status in (408, 500, 502, 503, 504):
        second = next_attempt(terms, FULL.failed(status), DID_BOTH)
        assert second == clear(Reason.CLEAR_EMERGENCY, is_downgrade=status == 408)
        assert isinstance(second, Attempt)
        for again in (488, 503, FailureKind.TIMEOUT):
            assert isinstance(next_attempt(terms, second.failed(again)), Refusal)


@given(TERMS)
def test_a_peer_that_did_both_is_never_weakened_in_silence(terms: CallTerms) -> None:
    terms = attrs.evolve(terms, security=Security.PREFERRED)
    for failure in (FailureKind.REFUSED, 488, MediaFailure.ANSWERED_CLEAR):
        step = next_attempt(terms, FULL.failed(failure), DID_BOTH)
        is_unreached = isinstance(step, Refusal) and step.reason is Reason.PROVIDER_UNREACHABLE
        assert step.is_downgrade or is_unreached
