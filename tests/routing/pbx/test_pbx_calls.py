"""A PBX that does not register calls and is called: its numbers, its proof, its places one after the other."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import attrs
import pytest

from gateway.config.model import FixedPhone, NumberRule
from gateway.config.tables.numbers.number_pattern import number_pattern
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField
from gateway.config.tables.phones.number_block import NumberBlock
from gateway.config.tables.phones.phone_table import PbxProof
from gateway.sip.message import Request
from gateway.transport.flow import PeerIdentity
from tests.support.ladder import AVP, PHONES, PHONES_TLS, SAVP, Ladder, Party

NUMBERS = tuple(map(NumberBlock.parse, ("+49301234500-+49301234599", "+4930777")))
OFFICE = FixedPhone(
    "office",
    "example.com",
    ("sip:192.0.2.50:5060;transport=udp", "sip:192.0.2.51:5060;transport=udp"),
    NUMBERS,
    PbxProof.ADDRESS,
)
SECURE = FixedPhone("office", "example.com", ("sip:192.0.2.60:5061;transport=tls",), NUMBERS)
FIRST, SECOND = "192.0.2.50", "192.0.2.51"


def office(terms: FixedPhone = OFFICE, **more: object) -> tuple[Ladder, Party, Party]:
    """A gateway, and both places of its PBX."""
    ladder = Ladder(phones=(terms,), region="DE", **more)  # type: ignore[arg-type]
    return ladder, ladder.place(FIRST), ladder.place(SECOND)


def outward(party: Party, named: str, uri: str = "sip:bob@example.com", **fields: str) -> Request:
    """An INVITE in the name of a number."""
    invite = party.invite(uri, call_id=f"of {party.flow.remote}".replace(" ", "-"))
    invite.headers.set("From", f"<sip:{named}@example.com>;tag=f1")
    for name, value in fields.items():
        invite.headers.add(name.replace("_", "-"), value)
    return invite


def inward(ladder: Ladder, number: str = "+49301234567", to: str = "") -> Request:
    """An INVITE of the provider for a number."""
    invite = ladder.provider.invite(f"sip:{number}@example.com", SAVP, call_id="p1")
    invite.headers.set("To", f"<sip:{to or number}@example.com>")
    return invite


# -- calls


def test_a_call_from_one_of_its_numbers_goes_to_the_provider() -> None:
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, "+49301234510"))

    invite = ladder.provider.receives("INVITE")
    assert isinstance(invite, Request)
    assert invite.from_.uri.user == "+49301234510"
    ladder.provider.answers(invite, 200, sdp=SAVP)
    pbx.receives(100)
    pbx.receives(200)
    (record,) = ladder.calls.records()
    assert (record.verdict, record.is_caller_known, record.domain) == ("ENCRYPTED_TO_PROVIDER", True, "example.com")


@pytest.mark.parametrize("named", ["030 1234510", "030-1234510", "49301234510", "+49301234510;user=phone"])
def test_its_number_may_be_written_in_any_form_that_the_domain_reads_as_it(named: str) -> None:
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, named.replace(" ", "")))

    ladder.provider.receives("INVITE")


@pytest.mark.parametrize("named", ["+49301234600", "+4930123451", "alice", "office", "+493012345101", "+4930123450a"])
def test_a_call_in_another_name_is_refused_and_has_a_record(named: str) -> None:
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, named))

    assert pbx.receives_response(403).reason == "Not Your Number"
    ladder.provider.receives_nothing()
    (record,) = ladder.calls.records()
    assert record.status == 403


def test_a_hidden_name_is_told_by_p_asserted_identity() -> None:
    """RFC 3325 section 9.2: From is anonymous, and the PBX vouches for its own number."""
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, "anonymous", P_Asserted_Identity="<sip:+49301234510@192.0.2.50>", Privacy="id"))

    ladder.provider.receives("INVITE")


@pytest.mark.parametrize("asserted", ["<sip:+49301234600@example.com>", "<tel:+1555>", ""])
def test_a_hidden_name_with_another_ones_number_or_none_is_refused(asserted: str) -> None:
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, "anonymous", **({"P_Asserted_Identity": asserted} if asserted else {})))

    pbx.receives(403)
    ladder.provider.receives_nothing()


def test_a_second_identity_of_somebody_else_does_not_pass() -> None:
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, "+49301234510", P_Preferred_Identity="<sip:alice@example.com>"))

    assert "P-Preferred-Identity" not in ladder.provider.receives("INVITE").headers


def test_nobody_else_calls_in_the_name_of_its_number() -> None:
    ladder, _, _ = office()
    for party in (ladder.phone, ladder.stranger(), ladder.place("192.0.2.52")):
        party.sends(outward(party, "+49301234510"))

        party.receives(403)
    ladder.provider.receives_nothing()


def test_an_emergency_call_goes_on_in_any_name() -> None:
    ladder, pbx, _ = office()
    pbx.sends(outward(pbx, "unknown", "sip:112@example.com"))

    ladder.provider.receives("INVITE")


def test_another_port_of_its_host_is_not_the_pbx() -> None:
    """Phones may be behind the same address."""
    ladder, _, _ = office()
    other = ladder.stranger()
    other.flow.remote = attrs.evolve(other.flow.remote, host=FIRST, port=5099)
    other.sends(outward(other, "+49301234510"))

    other.receives(403)


def test_sources_are_its_own_by_any_port_but_never_a_provider_s() -> None:
    terms = attrs.evolve(OFFICE, sources=(ip_network("192.0.2.64/28"), ip_network("198.51.100.16/28")))
    ladder, _, _ = office(terms)
    inside, foreign = ladder.place("192.0.2.70"), ladder.place("198.51.100.21")
    inside.sends(outward(inside, "+49301234510"))
    foreign.sends(outward(foreign, "+49301234510"))

    ladder.provider.receives("INVITE")
    ladder.provider.receives_nothing()
    foreign.receives(403)


def test_a_phone_registered_under_a_name_of_its_own_calls_as_before() -> None:
    ladder, _, _ = office()
    ladder.phone.sends(ladder.phone.invite())

    ladder.provider.receives("INVITE")


# -- is called


def test_a_call_to_one_of_its_numbers_reaches_its_first_place() -> None:
    ladder, pbx, second = office()
    ladder.provider.sends(inward(ladder))

    invite = pbx.receives_request("INVITE")
    assert str(invite.uri) == "sip:+49301234567@192.0.2.50:5060"
    pbx.answers(invite, 200, sdp=AVP)
    second.receives_nothing()
    ladder.provider.receives(100)
    ladder.provider.receives(200)


def test_the_number_stands_in_to_where_the_provider_calls_the_registered_contact() -> None:
    ladder, pbx, _ = office(attrs.evolve(OFFICE, account="4930123450", register=True))
    (only,) = ladder.pbx.pbxs.all
    invite = inward(ladder, only.token, "+49301234567")
    ladder.provider.sends(invite)

    assert pbx.receives_request("INVITE").request_uri.user == "+49301234567"


def test_a_number_that_is_not_its_own_is_not_found() -> None:
    ladder, pbx, _ = office()
    ladder.provider.sends(inward(ladder, "+49301234600"))

    ladder.provider.receives(480)
    pbx.receives_nothing()


def test_a_place_that_is_silent_is_given_up_for_the_next() -> None:
    ladder, pbx, second = office()
    ladder.provider.sends(inward(ladder))
    pbx.receives("INVITE")
    ladder.clock.pump([0.5] * 9)

    invite = second.receives_request("INVITE")
    assert str(invite.uri) == "sip:+49301234567@192.0.2.51:5060"
    second.answers(invite, 200, sdp=AVP)
    assert 200 in ladder.provider_flow.statuses()


def test_so_is_one_that_answers_503_and_one_that_cannot_be_reached() -> None:
    for refuses in (True, False):
        ladder, pbx, second = office()
        ladder.provider.sends(inward(ladder))
        invite = pbx.receives_request("INVITE")
        if refuses:
            pbx.answers(invite, 503)
        else:
            pbx.flow.fail()

        second.receives("INVITE")


@pytest.mark.parametrize("status", [404, 486, 603, 480])
def test_any_other_answer_is_the_pbx_s(status: int) -> None:
    ladder, pbx, second = office()
    ladder.provider.sends(inward(ladder))
    pbx.answers(pbx.receives_request("INVITE"), status)

    ladder.provider.receives(100)
    ladder.provider.receives(status)
    second.receives_nothing()


def test_a_place_that_was_silent_is_tried_last_from_then_on() -> None:
    ladder, pbx, second = office()
    ladder.pbx.health.begin()
    second.answers(second.receives_request("OPTIONS"), 200)
    ladder.provider.sends(inward(ladder))
    ladder.clock.pump([0.5] * 20)
    pbx.flow.take()
    second.flow.take()
    again = inward(ladder)
    again.headers.set("Call-ID", "p2")
    ladder.provider.sends(again)

    second.receives("INVITE")
    assert not pbx.flow.requests("INVITE")


def test_without_any_place_that_is_found_a_call_is_refused() -> None:
    ladder, _, _ = office()
    (only,) = ladder.pbx.pbxs.all
    for address in only.addresses:
        address.targets = ()
    ladder.provider.sends(inward(ladder))

    ladder.provider.receives(480)


# -- over TLS


def test_over_tls_a_certificate_for_its_name_proves_it() -> None:
    ladder = Ladder(phones=(SECURE,), region="DE")
    pbx = ladder.place("192.0.2.60", PHONES_TLS, 7)
    pbx.flow.identity = PeerIdentity(addresses=("192.0.2.60",))
    pbx.sends(outward(pbx, "+49301234510"))

    ladder.provider.receives("INVITE")


@pytest.mark.parametrize("identity", [None, PeerIdentity(addresses=("192.0.2.61",)), PeerIdentity(names=("pbx",))])
def test_no_other_certificate_does(identity: PeerIdentity | None) -> None:
    ladder = Ladder(phones=(SECURE,), region="DE")
    pbx = ladder.place("192.0.2.60", PHONES_TLS, 7)
    pbx.flow.identity = identity
    pbx.sends(outward(pbx, "+49301234510"))

    pbx.receives(403)


def test_in_clear_its_address_is_no_proof_where_a_certificate_is() -> None:
    ladder = Ladder(phones=(SECURE,), region="DE")
    clear = ladder.place("192.0.2.60", PHONES)
    clear.sends(outward(clear, "+49301234510"))

    clear.receives(403)


# -- the life of its calls


def test_its_requests_within_a_call_may_come_from_its_other_place() -> None:
    ladder, pbx, second = office()
    pbx.sends(outward(pbx, "+49301234510"))
    invite = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(invite, 200, sdp=SAVP)
    pbx.receives(100)
    response = pbx.receives_response(200)
    pbx.acknowledges(outward(pbx, "+49301234510"), response)
    ladder.provider.receives("ACK")
    second.sends(second.within(response, "BYE"))

    ladder.provider.receives("BYE")


def test_its_call_goes_on_after_the_process_was_killed(tmp_path: Path) -> None:
    ladder, pbx, _ = office(journal=tmp_path)
    ladder.provider.sends(inward(ladder))
    invite = pbx.receives_request("INVITE")
    pbx.answers(invite, 200, sdp=AVP)
    ladder.provider.receives(100)
    response = ladder.provider.receives_response(200)
    ladder.provider.acknowledges(inward(ladder), response)
    pbx.receives("ACK")
    after = ladder.killed()
    pbx._ladder = after
    pbx.sends(pbx.within_answered(invite, "BYE", cseq=7))

    pbx.receives(200)
    after.provider.receives("BYE")


# -- numbers as each side writes them


def rule(match: str, replace: str, direction: NumberDirection, *on: NumberField) -> NumberRule:
    return NumberRule("one", number_pattern(match), replace, on, direction)


def test_a_call_is_brought_to_the_pbx_that_has_the_number_which_rules_make() -> None:
    short = rule("0777", "+49301234567", NumberDirection.IN, NumberField.REQUEST_URI)
    ladder, pbx, _ = office(numbers=(short,))
    ladder.provider.sends(inward(ladder, "0777"))

    assert pbx.receives_request("INVITE").request_uri.user == "+49301234567"


def test_its_right_to_a_number_is_judged_by_the_number_that_it_wrote() -> None:
    national = rule(r"\+49(\d+)", r"0\1", NumberDirection.OUT, NumberField.FROM, NumberField.IDENTITY)
    ladder, pbx, _ = office(numbers=(national,))
    pbx.sends(outward(pbx, "+49301234510"))
    assert ladder.provider.receives_request("INVITE").from_.uri.user == "0301234510"

    other = rule(r"\+49309999999", "+49301234510", NumberDirection.OUT, NumberField.FROM)
    ladder, pbx, _ = office(numbers=(other,))
    pbx.sends(outward(pbx, "+49309999999"))
    assert pbx.receives_response(403).reason == "Not Your Number"
