"""Every phone, provider, policy, direction and number on the wire: what is claimed is what is there, and documented."""

from __future__ import annotations

import re

import attrs
import pytest

from gateway.security.policy.verdict import Verdict
from tests.matrix.conftest import Altered, Inside, OfPages, Played, Struck, documented
from tests.support.matrix import changes, houses, web_phones
from tests.support.matrix.cells import Cell, cells
from tests.support.matrix.table import DOCUMENT, document, expected, shown
from tests.support.matrix.verdict import KEY, objections, seen, status
from tests.support.written import written_in

COMMON_CHANGES = {
    "the provider's re-INVITE brings a new key",
    "the provider's re-INVITE takes SRTP away",
    "the provider's re-INVITE takes SRTP away, another brings it back",
    "the provider's re-INVITE would take SRTP away, and the phone refuses it",
    "the provider's UPDATE takes SRTP away",
    "the provider answers the phone's re-INVITE with RTP",
    "two forks, SRTP and SRTP",
    "a fork rings with RTP, another answers with SRTP",
    "a fork rings with SRTP, another answers with RTP",
    "a new key over UDP",
}
"""Rows of calls that change which both documents must have: a row under two names would be compared with nothing."""


@pytest.mark.parametrize("cell", [*cells()], ids=str)
def test_what_is_claimed_is_on_the_wire(cell: Cell, played: Played) -> None:
    outcome = played.outcomes[cell.index]
    assert not [*objections(outcome)], f"the gateway claims {outcome.claim}"
    assert shown(outcome) == documented()[cell.title, cell.row, cell.policy], "see tests/support/matrix/table.py"


def test_a_provider_that_was_known_to_do_better_is_reported(played: Played) -> None:
    log = played.scene.gateway.program.text()
    for cell in cells():
        if "was known" in cell.row and cell.policy != "off":
            assert re.search(rf"warn .*a probable downgrade: {re.escape(cell.domain)} did TLS before", log)


def test_a_false_claim_would_be_found(played: Played) -> None:
    completed = [outcome for outcome in played.outcomes.values() if status(outcome) == 200]
    assert {seen(outcome) for outcome in completed} == {*Verdict} - {Verdict.REFUSED, Verdict.UNANSWERED}
    for outcome in completed:
        for other in {*Verdict} - {outcome.claim["verdict"]}:
            assert [*objections(attrs.evolve(outcome, claim={**outcome.claim, "verdict": str(other)}))]


def test_the_document_has_these_cells_and_no_others(
    played: Played, struck: Struck, altered: Altered, inside: Inside, of_pages: OfPages
) -> None:
    every = played.outcomes, struck.attacked, altered.changed, inside.housed, of_pages.played
    made = document(*(one.values() for one in every))  # type: ignore[arg-type]
    assert made == DOCUMENT.read_text(encoding="utf-8")


def test_both_documents_say_the_same() -> None:
    without_processes = expected((DOCUMENT.parent / "security-matrix.md").read_text(encoding="utf-8"))
    common = without_processes.keys() & documented().keys()
    assert len(common) > 100
    assert {row for title, row, _ in common if title == changes.TITLE} >= COMMON_CHANGES
    assert {row for title, row, _ in common if title == houses.LOCAL} == {*houses.LOCAL_COURSES}
    assert {row for title, row, _ in common if title == houses.PBX} == {*houses.PBX_COURSES}
    assert {row for title, row, _ in common if title == web_phones.TITLE} == {*web_phones.COURSES}
    assert {place: documented()[place] for place in common} == {place: without_processes[place] for place in common}


def test_what_the_gateway_wrote_holds_no_key(played: Played) -> None:
    sdps = [
        sdp
        for agent in (played.scene.phone, played.scene.provider)
        for one in agent.exchanges.values()
        for sdp in (one.own, one.theirs)
    ]
    keys = {key.removeprefix(b"inline:") for sdp in sdps for key in KEY.findall(sdp)}
    assert len(keys) > 100
    written = [one for one in written_in(played.scene.directory) if "identities" not in one[0].parts]
    assert not [path for path, content in written if any(key in content for key in keys)]


def test_the_gateway_found_nothing_that_it_did_not_expect(played: Played) -> None:
    found = re.search(r"^.*(?:Traceback|Unhandled|critical).*", played.scene.gateway.program.text(), re.MULTILINE)
    assert found is None, "" if found is None else found[0]
