"""The suites of a provider hold for its offers as for ours (RFC 4568 section 5.1.2)."""

from __future__ import annotations

import pytest

from gateway.config.model import Provider, Security
from tests.support.ladder import KEY, SAVP, Ladder
from tests.support.stories import talk

STRONG = Provider(
    "main", "sip:provider.example.com;transport=tls", suites=("AES_CM_128_HMAC_SHA1_80",), fallback_uri=None
)
WEAK_LINE = b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + KEY.encode() + b"\r\n"
WEAK = SAVP.replace(b"SHA1_80", b"SHA1_32")
BOTH = SAVP + WEAK_LINE


def test_key_of_another_suite_does_not_reach_the_relay() -> None:
    ladder = Ladder(provider=STRONG)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=BOTH))
    ladder.provider.receives(100)
    ladder.phone.receives("INVITE")
    assert ladder.relay.offers == [SAVP]


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.PREFERRED])
def test_offer_of_other_suites_alone_has_no_key(security: Security) -> None:
    ladder = Ladder(security, provider=STRONG)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=WEAK))
    ladder.provider.receives(100)
    assert "REFUSED_NO_KEY" in (ladder.provider.receives_response(488).headers.get("Reason") or "")
    ladder.phone.receives_nothing()


def test_change_to_another_suite_in_a_call_is_refused() -> None:
    ladder = Ladder(Security.REQUIRED, provider=STRONG)
    onward, _ = talk(ladder)
    asked = len(ladder.relay.offers)
    ladder.provider.sends(ladder.provider.within_answered(onward, "INVITE", sdp=WEAK))
    ladder.provider.receives(100)
    ladder.provider.receives(488)
    assert len(ladder.relay.offers) == asked
    ladder.phone.receives_nothing()


def test_phone_is_not_bound_by_the_suites_of_the_provider() -> None:
    ladder = Ladder(provider=STRONG)
    ladder.phone.sends(ladder.phone.invite(sdp=WEAK))
    ladder.phone.receives(100)
    assert ladder.relay.offers == [WEAK]
