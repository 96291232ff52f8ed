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
