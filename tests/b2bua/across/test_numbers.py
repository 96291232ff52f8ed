"""Numbers as each side writes them: the domain's plan on the way of a call, and all that judges the number."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from gateway.config.model import CallLimit, Dial, NumberRule
from gateway.config.tables.limit_table import LimitAction
from gateway.config.tables.numbers.number_pattern import number_pattern
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField
from gateway.sip.message import Request
from tests.support.ladder import BINDING, SAVP, Ladder
from tests.support.stories import ring, talk

FROM, IDENTITY, TO, URI = NumberField.FROM, NumberField.IDENTITY, NumberField.TO, NumberField.REQUEST_URI


def rule(match: str, replace: str, *on: NumberField, name: str = "one", after_dial: bool = False) -> NumberRule:
    return NumberRule(name, number_pattern(match), replace, on or (URI, TO), after_dial=after_dial)


def inward(match: str, replace: str, *on: NumberField) -> NumberRule:
    return NumberRule("in", number_pattern(match), replace, on or (URI, TO), NumberDirection.IN)


def house(*rules: NumberRule, dial: Dial = Dial.AS_IS, **more: object) -> Ladder:
    return Ladder(numbers=rules, region="DE", dial=dial, **more)  # type: ignore[arg-type]


def dialled(ladder: Ladder, number: str, sender: str = "alice") -> Request:
    """The provider's INVITE of a call to a number."""
    invite = ladder.phone.invite(f"sip:{number}@example.com")
    invite.headers.set("To", f"<sip:{number}@example.com>")
    invite.headers.set("From", f'"Alice" <sip:{sender}@example.com>;tag=f1')
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    return ladder.provider.receives_request("INVITE")


def called(invite: Request) -> tuple[str | None, str | None]:
    return invite.request_uri.user, invite.to.uri.user


@pytest.mark.parametrize(
    ("dial", "number", "sent"),
    [
        (Dial.AS_IS, "0301234567", "0301234567"),
        (Dial.E164, "0301234567", "+49301234567"),
        (Dial.E164, "0049301234567", "+49301234567"),
        (Dial.E164, "0033123456789", "+33123456789"),
        (Dial.E164, "030-123.4567", "+49301234567"),
        (Dial.NATIONAL, "+49301234567", "0301234567"),
        (Dial.NATIONAL, "+33123456789", "0033123456789"),
        # extensions, service codes, names, parameters: nobody knows for certain
        (Dial.E164, "4711", "4711"),
        (Dial.E164, "*21*0301234567#", "*21*0301234567#"),
        (Dial.E164, "bob", "bob"),
        (Dial.E164, "0301234567;phone-context=+49", "0301234567;phone-context=+49"),
    ],
)
def test_the_domain_dials_in_the_form_that_its_provider_wants(dial: Dial, number: str, sent: str) -> None:
    assert called(dialled(house(dial=dial), number)) == (sent, sent)


def test_rules_come_in_their_order_before_dial_and_after_it() -> None:
    ladder = house(
        rule(r"0(0\d+)", r"\1"),
        rule(r"\+(\d+)", r"00\1", name="two", after_dial=True),
        dial=Dial.E164,
    )
    assert called(dialled(ladder, "00301234567")) == ("0049301234567", "0049301234567")
    (record,) = ladder.calls.records()
    (step,) = [link.what for link in record.chain if "was dialled" in link.what]
    assert step == ('the number 00301234567 was dialled, 0049301234567 is sent (rule one, dial = "e164", rule two)')
    assert (record.callee, record.callee_number) == ("sip:00301234567@example.com", "+49301234567")


def test_each_rule_sees_the_number_that_the_one_before_has_made() -> None:
    ladder = house(rule("1", "2"), rule("2", "3", name="two"), rule("1", "4", name="three"))
    assert called(dialled(ladder, "1")) == ("3", "3")


def test_fields_are_rewritten_where_a_rule_says_so_alone() -> None:
    ladder = house(rule(r"(\d\d)", r"+493012345\1", FROM, IDENTITY))
    invite = ladder.phone.invite("sip:11@example.com")
    invite.headers.set("From", "<sip:10@example.com>;tag=f1")
    invite.headers.add("P-Preferred-Identity", "<sip:10@example.com>")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.request_uri.user == "11"
    assert onward.from_.uri.user == "+49301234510"
    assert (onward.headers.get("P-Preferred-Identity") or "") in ("<sip:+49301234510@example.com>", "")


def test_rfc3261_19_1_1_a_number_sign_is_written_as_an_escape() -> None:
    assert called(dialled(house(rule(r"9(\d+)", r"*31#\1")), "94711")) == ("*31%234711", "*31%234711")


@pytest.mark.parametrize("number", ["112", "911", "1-1-2", "11/2", "1/1.2", "11%2F2"])
def test_an_emergency_number_goes_out_as_it_was_dialled(number: str) -> None:
    ladder = house(rule(r"(\d+)", r"0\1"), rule(".*", "0301", name="two"), dial=Dial.E164)
    onward = dialled(ladder, number)
    assert onward.request_uri.user == number
    (record,) = ladder.calls.records()
    assert record.is_emergency


def test_an_emergency_number_that_a_rule_has_made_is_one_and_stays_one() -> None:
    limit = CallLimit("nobody", calls=0, then=LimitAction.REFUSE)
    ladder = house(rule(r"0(\d+)", r"\1"), rule("112", "0301", name="two"), limit=(limit,))
    assert called(dialled(ladder, "0112")) == ("112", "112")
    (record,) = ladder.calls.records()
    assert record.is_emergency


def test_the_caller_of_an_emergency_call_is_named_as_the_provider_knows_it() -> None:
    onward = dialled(house(rule(r"(\d\d)", r"+493012345\1", FROM)), "112", sender="10")
    assert (onward.request_uri.user, onward.from_.uri.user) == ("112", "+49301234510")


def test_limits_judge_the_number_that_is_sent() -> None:
    limit = CallLimit("abroad", to=("premium",), calls=0, then=LimitAction.REFUSE)
    ladder = house(rule(r"9(\d+)", r"+\1"), limit=(limit,))
    ladder.phone.sends(ladder.phone.invite("sip:988161234567@example.com"))
    assert ladder.phone.receives_response(403).reason == "Call Limit"
    ladder.provider.receives_nothing()


def test_limits_do_not_judge_the_number_that_was_dialled() -> None:
    limit = CallLimit("service", to=("0900",), calls=0, then=LimitAction.REFUSE)
    ladder = house(rule(r"0900(\d+)", r"\1"), limit=(limit,))
    assert dialled(ladder, "09001234").request_uri.user == "1234"


def test_rfc3515_the_target_of_a_transfer_is_a_number_that_the_phone_dials() -> None:
    limit = CallLimit("abroad", to=("premium",), calls=0, then=LimitAction.REFUSE)
    ladder = house(rule(r"9(\d+)", r"+\1"), limit=(limit,), dial=Dial.E164)
    _, answer = talk(ladder)
    refer = ladder.phone.within(answer, "REFER")
    refer.headers.add("Refer-To", "<sip:0301234567@example.com>")
    refer.headers.add("Referred-By", "<sip:alice@example.com>")
    ladder.phone.sends(refer)
    onward = ladder.provider.receives_request("REFER")
    assert onward.headers.get("Refer-To") == "<sip:+49301234567@example.com>"
    ladder.provider.answers(onward, 202)
    ladder.phone.receives(202)

    dearer = ladder.phone.within(answer, "REFER", cseq=3)
    dearer.headers.add("Refer-To", "<sip:988161234567@example.com>")
    ladder.phone.sends(dearer)
    ladder.phone.receives(403)
    ladder.provider.receives_nothing()


def test_rfc3261_8_1_3_4_a_phone_redirects_to_a_number_as_it_dials_it() -> None:
    ladder = house(dial=Dial.E164)
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    response = ladder.phone.receives_request("INVITE").response(302, to_tag="t")
    response.headers.add("Contact", "<sip:0301234567@example.com>")
    ladder.phone.sends(response)
    assert ladder.provider.receives_response(302).headers.get("Contact") == "<sip:+49301234567@example.com>"


def test_a_phone_is_looked_for_by_the_number_that_rules_make() -> None:
    ladder = house(inward(r"\+49301234510", "10"), inward(r"\+49(\d+)", r"0\1", FROM, IDENTITY))
    ladder.store.save(attrs.evolve(BINDING, aor="sip:10@example.com", token="ten-1"))
    invite = ladder.provider.invite("sip:+49301234510@example.com", sdp=SAVP)
    invite.headers.set("From", "<sip:+4989765432@provider.example.com>;tag=f1")
    invite.headers.set("To", "<sip:+49301234510@provider.example.com>")
    invite.headers.add("P-Asserted-Identity", '"Bob" <sip:+4989765432@provider.example.com>, <tel:+4989765432>')
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    assert (onward.to.uri.user, onward.from_.uri.user) == ("10", "089765432")
    asserted = onward.headers.get("P-Asserted-Identity")
    assert asserted == '"Bob" <sip:089765432@provider.example.com>, <tel:+4989765432>'


def test_rfc3325_the_identity_of_a_callee_is_written_as_phones_have_it() -> None:
    ladder = house(inward(r"\+49(\d+)", r"0\1", IDENTITY))
    _, onward = ring(ladder)
    identity = (("P-Asserted-Identity", "<sip:+4989765432@provider.example.com>"),)
    ladder.provider.answers(onward, 200, sdp=SAVP, fields=identity)
    ladder.provider.receives("ACK")
    answer = ladder.phone.receives_response(200)
    assert answer.headers.get("P-Asserted-Identity") == "<sip:089765432@provider.example.com>"


def test_rules_toward_the_provider_are_none_toward_phones() -> None:
    ladder = house(rule(r"(\d+)", r"0\1", URI, TO, FROM, IDENTITY))
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.set("From", "<sip:4989765432@provider.example.com>;tag=f1")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    assert ladder.phone.receives_request("INVITE").from_.uri.user == "4989765432"


def test_a_token_of_ours_is_no_number() -> None:
    ladder = house(inward(".*", "10"))
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    ladder.phone.receives("INVITE")


def test_a_message_to_a_number_goes_where_a_call_would() -> None:
    ladder = house(dial=Dial.E164)
    message = ladder.phone.request("MESSAGE", "sip:0301234567@example.com")
    ladder.phone.sends(message)
    assert ladder.provider.receives_request("MESSAGE").request_uri.user == "+49301234567"


def test_a_call_goes_on_with_its_numbers_after_the_gateway_was_killed(tmp_path: Path) -> None:
    ladder = house(dial=Dial.E164, journal=tmp_path)
    _, answer = talk(ladder)
    ladder = ladder.killed()
    refer = ladder.phone.within(answer, "REFER")
    refer.headers.add("Refer-To", "<sip:0309876543@example.com>")
    ladder.phone.sends(refer)
    assert ladder.provider.receives_request("REFER").headers.get("Refer-To") == "<sip:+49309876543@example.com>"
