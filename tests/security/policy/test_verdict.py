"""The verdict never claims encryption that a leg lacks."""

from itertools import product

import pytest

from gateway.security.policy.terms import Reason
from gateway.security.policy.verdict import LegFacts, Verdict, explanation, verdict, verdict_between_phones

FULL = LegFacts(signalling_secure=True, media_encrypted=True)
PLAIN = LegFacts(signalling_secure=False, media_encrypted=False)
EVERY = [LegFacts(secure, media) for secure, media in product([True, False], [True, False, None])]


@pytest.mark.parametrize(
    ("phone", "provider", "expected"),
    [
        (FULL, FULL, Verdict.ENCRYPTED),
        (PLAIN, FULL, Verdict.ENCRYPTED_TO_PROVIDER),
        (LegFacts(False, True), FULL, Verdict.ENCRYPTED_TO_PROVIDER),
        (LegFacts(True, False), FULL, Verdict.ENCRYPTED_TO_PROVIDER),
        (PLAIN, LegFacts(False, True), Verdict.MEDIA_ONLY_WEAK),
        (FULL, LegFacts(False, True), Verdict.MEDIA_ONLY_WEAK),
        (PLAIN, LegFacts(True, False), Verdict.SIGNALLING_ONLY),
        (FULL, LegFacts(True, None), Verdict.SIGNALLING_ONLY),
        (FULL, PLAIN, Verdict.CLEAR),
        (FULL, LegFacts(False, None), Verdict.CLEAR),
    ],
)
def test_verdicts(phone: LegFacts, provider: LegFacts, expected: Verdict) -> None:
    assert verdict(phone, provider) is expected


@pytest.mark.parametrize(("phone", "provider"), list(product(EVERY, EVERY)))
def test_no_claim_without_its_fact(phone: LegFacts, provider: LegFacts) -> None:
    said = verdict(phone, provider)
    if said in (Verdict.ENCRYPTED, Verdict.ENCRYPTED_TO_PROVIDER):
        assert provider.signalling_secure
        assert provider.media_encrypted is True
    if said is Verdict.ENCRYPTED:
        assert phone.signalling_secure
        assert phone.media_encrypted is True
    assert said is not Verdict.SIGNALLING_ONLY or provider.signalling_secure
    assert said is not Verdict.MEDIA_ONLY_WEAK or provider.media_encrypted is True
    assert (explanation(provider) is None) is provider.is_encrypted


@pytest.mark.parametrize(("one", "other"), list(product(EVERY, EVERY)))
def test_between_phones_each_claim_holds_on_both_legs(one: LegFacts, other: LegFacts) -> None:
    said = verdict_between_phones(one, other)
    assert said is verdict_between_phones(other, one)
    assert (said is Verdict.ENCRYPTED) is (one.is_encrypted and other.is_encrypted)
    assert said is not Verdict.ENCRYPTED_TO_PROVIDER
    assert said is not Verdict.SIGNALLING_ONLY or (one.signalling_secure and other.signalling_secure)
    assert said is not Verdict.MEDIA_ONLY_WEAK or (one.media_encrypted is True and other.media_encrypted is True)


def test_explanations_prefer_what_negotiation_said() -> None:
    assert explanation(LegFacts(True, False, Reason.CLEAR_PROVIDER_488)) is Reason.CLEAR_PROVIDER_488
    assert explanation(LegFacts(True, False)) is Reason.CLEAR_PEER_NO_SRTP
    assert explanation(PLAIN) is Reason.CLEAR_PEER_NO_TLS
    assert explanation(attrs_reason(FULL)) is None


def attrs_reason(facts: LegFacts) -> LegFacts:
    return LegFacts(facts.signalling_secure, facts.media_encrypted, Reason.CLEAR_EMERGENCY)
