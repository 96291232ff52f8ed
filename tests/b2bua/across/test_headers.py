"""Headers that cross a call: identities, addresses, hops."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request
from tests.support.ladder import SAVP, Ladder
from tests.support.stories import ring


def test_phone_that_warns_does_not_tell_where_it_is() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    fields = (("Warning", '304 192.0.2.11:5070 "Media type not available"'), ("Error-Info", "<http://192.0.2.11/e>"))
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 488, fields=fields)
    assert b"192.0.2.11" not in ladder.provider.receives_response(488).to_bytes()


def test_phone_that_names_itself_by_address_does_not_tell_where_it_is() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Reply-To", "<sip:alice@192.0.2.11>")
    invite.headers.add("In-Reply-To", "8f3a@192.0.2.11")
    invite.headers.add("Alert-Info", "<http://192.0.2.11/ring.wav>")
    invite.headers.add("Referred-By", "<sip:alice@192.0.2.11>")
    ladder.phone.sends(invite)
    assert b"192.0.2.11" not in ladder.provider.receives_request("INVITE").to_bytes()


@pytest.mark.parametrize(("privacy", "shown"), [("id", False), ("header; id;critical", False), ("none", True)])
def test_identity_that_is_private_is_not_shown_to_a_phone(privacy: str, shown: bool) -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.add("Privacy", privacy)
    invite.headers.add("P-Asserted-Identity", "<sip:+49301234@example.com>")
    ladder.provider.sends(invite)
    assert ("P-Asserted-Identity" in ladder.phone.receives_request("INVITE").headers) is shown


def test_identity_that_a_phone_prefers_names_the_domain() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("P-Preferred-Identity", '"Alice" <sip:alice@192.0.2.11:5070>')
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.headers.get("P-Preferred-Identity") == '"Alice" <sip:alice@example.com>'


def test_addresses_without_brackets_and_telephone_uris() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite("tel:+1-201-555-0123;phone-context=example.com")
    invite.headers.set("From", "sip:alice@example.com;tag=f1")
    invite.headers.set("To", "tel:+1-201-555-0123")
    ladder.phone.sends(invite)
    onward = ladder.provider.receives_request("INVITE")
    assert (onward.uri, onward.from_.uri.user, str(onward.to.uri)) == (invite.uri, "alice", "tel:+1-201-555-0123")


def test_call_that_the_provider_sends_back_here_counts_its_forwards() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.sends(Request("INVITE", "sip:alice-1@gw.example.com", onward.headers.copy(), onward.body))
    ladder.provider.receives(100)
    assert ladder.phone.receives_request("INVITE").max_forwards == (onward.max_forwards or 0) - 1


AUTO_ANSWER = [
    ("Answer-Mode", "Auto;require"),
    ("Priv-Answer-Mode", "Auto"),
    ("P-Auto-Answer", "normal"),
    ("Call-Info", "<sip:x>;answer-after=0"),
    ("Call-Info", '<sip:x>;answer-after=0;x=">"'),
    ("Call-Info", "<sip:x>; Answer-After = 0"),
    ("Alert-Info", "<http://198.51.100.9/x>;info=alert-autoanswer"),
    ("Alert-Info", '<http://198.51.100.9/x>;info="alert-auto\\answer";delay=0'),
    ("Alert-Info", "Auto Answer"),
    ("Alert-Info", "Ring Answer"),
    ("Alert-Info", "<http://x>;info=Intercom"),
    ("Alert-Info", '"auto answer'),
    ("X-Auto-Answer", "true"),
]


@pytest.mark.parametrize(("name", "value"), AUTO_ANSWER)
def test_wish_that_a_phone_answer_by_itself_does_not_cross(name: str, value: str) -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.add(name, value)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    assert name not in ladder.phone.receives_request("INVITE").headers


def test_other_values_of_these_fields_cross() -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.add("Alert-Info", "<http://127.0.0.1/Bellcore-dr2>, <http://x>;info=alert-autoanswer")
    invite.headers.add("Call-Info", "<http://example.com/alice.jpg>;purpose=icon, <sip:x>;answer-after=0")
    invite.headers.add("Answer-Mode", "Manual")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    crossed = ladder.phone.receives_request("INVITE").headers
    assert crossed.get("Alert-Info") == "<http://127.0.0.1/Bellcore-dr2>"
    assert crossed.get("Call-Info") == "<http://example.com/alice.jpg>;purpose=icon"
    assert crossed.get("Answer-Mode") == "Manual"


@pytest.mark.parametrize("field", ["From", "To"])
def test_wish_in_an_address_does_not_cross(field: str) -> None:
    ladder = Ladder()
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.set(field, "<sip:alice@example.com;intercom=true;user=phone>;tag=f1")
    if field == "To":
        invite.headers.set(field, "<sip:alice@example.com;intercom=true;user=phone>;auto-answer")
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    crossed = ladder.phone.receives_request("INVITE").headers.get(field) or ""
    assert crossed.partition(">")[0] == "<sip:alice@example.com;user=phone"
    assert "auto-answer" not in crossed


@pytest.mark.parametrize(("name", "value"), AUTO_ANSWER[:-1])
def test_domain_may_allow_that_phones_answer_by_themselves(name: str, value: str) -> None:
    ladder = Ladder(auto_answer=True)
    invite = ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP)
    invite.headers.add(name, value)
    ladder.provider.sends(invite)
    ladder.provider.receives(100)
    assert ladder.phone.receives_request("INVITE").headers.get(name) == value


def test_announcement_to_call_does_not_cross_to_a_phone() -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    fields = (("Error-Info", "<sip:sorry@198.51.100.7>, <http://example.com/sorry.wav>"),)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 404, fields=fields)
    assert ladder.phone.receives_response(404).headers.get("Error-Info") == "<http://example.com/sorry.wav>"


@pytest.mark.parametrize("name", ["Geolocation", "Geolocation-Routing"])
def test_place_of_the_caller_crosses(name: str) -> None:
    """RFC 6442 section 4."""
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add(name, "<cid:place@example.com>")
    ladder.phone.sends(invite)
    assert ladder.provider.receives_request("INVITE").headers.get(name) == "<cid:place@example.com>"


def test_response_refers_to_nobody() -> None:
    ladder = Ladder()
    ladder.provider.sends(ladder.provider.invite("sip:alice-1@gw.example.com", sdp=SAVP))
    ladder.provider.receives(100)
    fields = (
        ("Referred-By", "<sip:alice@192.0.2.11>"),
        ("Refer-To", "<sip:alice@192.0.2.11>"),
        ("Call-Info", "<sip:192.0.2.11>;appearance-index=1"),
    )
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 486, fields=fields)
    assert b"192.0.2.11" not in ladder.provider.receives_response(486).to_bytes()
