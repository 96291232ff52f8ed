"""A call between phones, and one of a PBX: what is claimed is what is on both wires, and documented."""

from __future__ import annotations

import re

import pytest

from tests.matrix.conftest import Inside, documented
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.houses import PASSWORDS, Case, Housed, cases, shown
from tests.support.matrix.sound import Heard
from tests.support.matrix.verdict import ENCRYPTED, KEY

CASES = [*cases()]


def exchanges(one: Housed) -> list[Exchange]:
    """All that both parties had."""
    return [each for each in (one.caller, *one.callees) if each is not None]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_claimed_is_on_both_wires(case: Case, inside: Inside) -> None:
    one = inside.housed[case.index]
    claim, seen = one.claim, one.seen()
    assert one.status in (200, 488, 503), f"the gateway claims {claim}"
    assert claim["status"] == one.status
    assert claim["verdict"] == (seen or "REFUSED"), f"the gateway claims {claim}"
    assert bool(claim["reason"]) is (claim["verdict"] not in ENCRYPTED)
    assert claim["direction"] == ("internal" if case.is_local else "outbound" if case.course.caller else "inbound")
    assert shown(one) == documented()[case.title, case.row, case.policy], "see tests/support/matrix/table.py"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_hear_each_other_or_nobody_anybody_and_no_key_goes_in_clear(case: Case, inside: Inside) -> None:
    one = inside.housed[case.index]
    if one.status == 200:
        assert {*one.heard} <= {Heard.RTP, Heard.SRTP}, one.heard
    else:
        assert not any(each.sound is not None and each.sound.received for each in exchanges(one))
    for each in exchanges(one):
        assert each.wire.is_tls or each.wire.transport == "UDP"
        assert each.wire.transport == "TLS" or not KEY.search(each.theirs), "a key was sent in clear"
        others = (other.theirs for other in exchanges(one) if other is not each)
        assert not any(key in theirs for key in KEY.findall(each.own) for theirs in others), "a key went through"


@pytest.mark.parametrize("case", [case for case in CASES if case.policy == "required"], ids=str)
def test_under_required_nothing_less_comes_about(case: Case, inside: Inside) -> None:
    one = inside.housed[case.index]
    assert one.status != 200 or one.claim["verdict"] == "ENCRYPTED" or not case.is_local
    assert one.status != 200 or one.claim["verdict"] in ENCRYPTED
    if one.status != 200 and case.is_local and case.course.callee == "udp":
        assert one.callees == [], "the phone in clear was called"


@pytest.mark.parametrize("case", [case for case in CASES if case.is_local], ids=str)
def test_the_provider_hears_nothing_of_a_call_between_phones(case: Case, inside: Inside) -> None:
    provider = inside.scene.provider
    assert not [one for one in provider.exchanges.values() if one.domain == case.domain]
    methods = {message.method for message, _ in provider.requests if case.domain in message.first_line}
    assert methods <= {"REGISTER", "OPTIONS"}


def test_the_gateway_found_nothing_that_it_did_not_expect_and_wrote_no_password(inside: Inside) -> None:
    log = inside.scene.gateway.program.text()
    assert re.search(r"^.*(?:Traceback|Unhandled|critical).*", log, re.MULTILINE) is None
    assert not [password for password in PASSWORDS.values() if password in log]
