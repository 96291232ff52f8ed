"""A call of a web phone: what is claimed is what is on both wires, and documented."""

from __future__ import annotations

import re

import pytest

from tests.matrix.conftest import OfPages, documented
from tests.support.matrix.sound import Heard
from tests.support.matrix.verdict import ENCRYPTED, KEY
from tests.support.matrix.web_phones import COURSES, TITLE, Case, cases, shown
from tests.support.written import written_in

CASES = [*cases()]
OWN = re.compile(rb"fingerprint|ice-pwd|ice-ufrag|candidate|UDP/TLS")
"""Of a browser's SDP: nothing that the provider is to see."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_claimed_is_on_both_wires(case: Case, of_pages: OfPages) -> None:
    one = of_pages.played[case.index]
    assert one.status in (200, 488), f"the gateway claims {one.claim}"
    assert one.claim["verdict"] == (one.seen() or "REFUSED"), f"the gateway claims {one.claim}"
    assert bool(one.claim["reason"]) is (one.claim["verdict"] not in ENCRYPTED)
    assert one.claim["direction"] == ("inbound" if case.course.is_called else "outbound")
    assert shown(one) == documented()[TITLE, case.row, case.policy], "see tests/support/matrix/table.py"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_hear_each_other_or_nobody_anybody(case: Case, of_pages: OfPages) -> None:
    one = of_pages.played[case.index]
    if one.status == 200:
        assert {*one.heard} <= {Heard.RTP, Heard.SRTP}, one.heard
        return
    assert case.course.is_forged is one.is_cut
    every = [one.caller, *one.callees]
    assert not any(each.sound is not None and each.sound.received for each in every if each is not None)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_of_the_browser_crosses_and_no_key_reaches_it(case: Case, of_pages: OfPages) -> None:
    one = of_pages.played[case.index]
    assert one.caller is not None
    pages = one.callees if case.course.is_called else [one.caller]
    providers = [one.caller] if case.course.is_called else one.callees
    assert not [each for each in pages if KEY.search(each.theirs)]
    assert not [each for each in providers if OWN.search(each.theirs)]
    assert all(each.wire.is_tls for each in pages)
    assert all(each.wire.is_tls or not KEY.search(each.theirs) for each in providers), "a key was sent in clear"


@pytest.mark.parametrize("case", [case for case in CASES if case.course.is_forged], ids=str)
def test_rfc5763_section_5_a_forged_certificate_ends_the_call_at_both(case: Case, of_pages: OfPages) -> None:
    one = of_pages.played[case.index]
    assert one.caller is not None
    assert one.caller.status == 200, "it was to be answered: nothing was tried"
    assert all(end.ended.is_set() for end in one.ends)


def test_each_course_is_a_call(of_pages: OfPages) -> None:
    assert {one.case.row for one in of_pages.played.values()} == {*COURSES}
    heard = {kind for one in of_pages.played.values() for kind in one.heard}
    assert {Heard.SRTP, Heard.RTP, Heard.NOTHING} <= heard


def test_the_gateway_found_nothing_that_it_did_not_expect_and_wrote_no_ice_password(of_pages: OfPages) -> None:
    log = of_pages.scene.gateway.program.text()
    assert re.search(r"^.*(?:Traceback|Unhandled|critical).*", log, re.MULTILINE) is None
    passwords = [browser.password.encode() for browser in of_pages.scene.page.browsers.values()]
    assert len(passwords) > 20
    written = [one for one in written_in(of_pages.scene.directory) if "identities" not in one[0].parts]
    assert not [path for path, content in written if any(password in content for password in passwords)]
