"""Event packages are between the two ends (RFC 6665 section 3): option tags, lists, and Call-Info of shared lines."""

from __future__ import annotations

import pytest

from gateway.sip.message import Request
from tests.support.ladder import Ladder


def subscribed(ladder: Ladder, event: str, *fields: tuple[str, str]) -> Request:
    request = ladder.phone.request("SUBSCRIBE", "sip:lamps@example.com")
    for name, value in (("Event", event), ("Expires", "600"), *fields):
        request.headers.add(name, value)
    ladder.phone.sends(request)
    return ladder.provider.receives_request("SUBSCRIBE")


def test_list_of_resources_is_subscribed_to() -> None:
    """RFC 4662 section 4.1: without the option tag the notifier refuses a list; section 4.5: NOTIFY requires it."""
    ladder = Ladder()
    onward = subscribed(ladder, "dialog", ("Supported", "eventlist, 100rel, x-own"))
    assert onward.headers.get("Supported") == "eventlist"
    ladder.provider.answers(onward, 200, fields=(("Expires", "600"), ("Require", "eventlist")))
    assert ladder.phone.receives_response(200).headers.get("Require") == "eventlist"
    notify = ladder.provider.within_answered(onward, "NOTIFY")
    for field in (("Event", "dialog"), ("Subscription-State", "active"), ("Require", "eventlist")):
        notify.headers.add(*field)
    ladder.provider.sends(notify)
    assert ladder.phone.receives_request("NOTIFY").headers.get("Require") == "eventlist"


def test_call_knows_nothing_of_lists() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add("Require", "eventlist")
    ladder.phone.sends(invite)
    assert ladder.phone.receives_response(420).headers.get("Unsupported") == "eventlist"


@pytest.mark.parametrize("place", ["<http://192.0.2.11/me.jpg>", " <HTTP://192.0.2.11/>", "http://192.0.2.11/"])
def test_rfc3261_20_9_file_of_a_phone_is_no_shared_line(place: str) -> None:
    onward = subscribed(Ladder(), "line-seize", ("Call-Info", f"{place};appearance-index=1"))
    assert onward.headers.get("Call-Info") is None


@pytest.mark.parametrize("event", ["call-info", "line-seize"])
def test_appearance_of_a_shared_line_crosses_both_ways(event: str) -> None:
    ladder = Ladder()
    appearance = "<sip:192.0.2.1>;appearance-index=1"
    onward = subscribed(ladder, event, ("Call-Info", f"{appearance}, <http://192.0.2.11/me.jpg>;purpose=icon"))
    assert onward.headers.get("Call-Info") == "<sip:example.com>;appearance-index=1"
    ladder.provider.answers(onward, 200, fields=(("Expires", "600"),))
    ladder.phone.receives(200)
    notify = ladder.provider.within_answered(onward, "NOTIFY")
    told = "<sip:example.com>;appearance-index=*;appearance-state=idle"
    for field in (("Event", event), ("Subscription-State", "active"), ("Call-Info", told)):
        notify.headers.add(*field)
    ladder.provider.sends(notify)
    assert ladder.phone.receives_request("NOTIFY").headers.get("Call-Info") == told


def test_packages_that_a_notifier_knows_cross_with_its_refusal() -> None:
    """RFC 6665 section 8.3.2: 489 says which."""
    ladder = Ladder()
    ladder.provider.answers(subscribed(ladder, "x"), 489, fields=(("Allow-Events", "dialog, presence"),))
    assert ladder.phone.receives_response(489).headers.get("Allow-Events") == "dialog, presence"
