"""A call that changes is called by the worst of its phases, and nothing of it is heard that the policy forbids."""

from __future__ import annotations

import re

import pytest

from tests.matrix.conftest import Altered, documented
from tests.support.matrix.changes import TITLE, Case, cases, shown
from tests.support.matrix.sound import Heard
from tests.support.matrix.verdict import KEY

CASES = [*cases()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_worst_phase_is_what_is_claimed(case: Case, altered: Altered) -> None:
    one = altered.changed[case.index]
    mark = altered.scene.phone.mark(case.domain)
    assert one.claim["verdict"] == one.seen(mark), f"the gateway claims {one.claim}"
    assert all(provider.heard(mark) in (Heard.RTP, Heard.SRTP) for _, provider in one.phases)
    assert bool(one.claim["reason"]) is not str(one.claim["verdict"]).startswith("ENCRYPTED")
    assert shown(one) == documented()[TITLE, case.row, case.policy], "see tests/support/matrix/table.py"


@pytest.mark.parametrize("case", [case for case in CASES if case.policy == "required"], ids=str)
def test_nothing_is_heard_under_required(case: Case, altered: Altered) -> None:
    one = altered.changed[case.index]
    assert one.claim["verdict"] == ("ENCRYPTED_TO_PROVIDER" if one.refused is None else "REFUSED")
    assert (one.refused is not None) is case.change.answers_rtp
    assert all(provider.heard(altered.scene.phone.mark(case.domain)) is Heard.SRTP for _, provider in one.phases)
    assert not one.heard_early, "media of a fork in clear reached the phone"


@pytest.mark.parametrize("case", [case for case in CASES if case.change.answers_rtp], ids=str)
def test_the_answer_in_clear_was_to_an_offer_of_keys(case: Case, altered: Altered) -> None:
    one = altered.changed[case.index]
    _, provider = one.refused or one.phases[-1]
    assert bool(KEY.search(provider.theirs)) is (case.policy != "off")
    assert provider.status == 200
    assert b"RTP/AVP" in provider.own
    assert not KEY.search(provider.own)
    mark = altered.scene.provider.mark(case.domain).encode()
    assert provider.sound is not None
    assert mark in provider.sound.sent, "it did not speak in clear: nobody could have heard it"


def test_phases_are_in_the_chain(altered: Altered) -> None:
    wanted = "takes SRTP away, another brings it back"
    one = next(one for one in altered.changed.values() if wanted in one.case.row and one.case.policy == "preferred")
    assert re.search(r"'SRTP from [\d.]+ s, RTP from [\d.]+ s, SRTP from [\d.]+ s'", str(one.claim["chain"]))
