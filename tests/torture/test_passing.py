"""What must cross while so much must not: the fields of extensions that the gateway itself has no part in."""

from __future__ import annotations

import pytest

from tests.support.ladder import Ladder


def test_publish_is_passed_on_with_its_entity_tags() -> None:
    ladder = Ladder()
    publish = ladder.phone.request("PUBLISH", "sip:alice@example.com")
    for name, value in (("Event", "presence"), ("SIP-If-Match", "e1"), ("Content-Type", "application/pidf+xml")):
        publish.headers.add(name, value)
    publish.body = b"<presence/>"
    ladder.phone.sends(publish)
    onward = ladder.provider.receives_request("PUBLISH")
    assert (onward.headers.get("Event"), onward.headers.get("SIP-If-Match")) == ("presence", "e1")
    assert (onward.content_type, onward.body) == ("application/pidf+xml", b"<presence/>")
    ladder.provider.answers(onward, 200, fields=(("SIP-ETag", "e2"), ("Expires", "600")))
    answer = ladder.phone.receives_response(200)
    assert (answer.headers.get("SIP-ETag"), answer.expires) == ("e2", 600)
    ladder.ends_clean()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Privacy", "id"),
        ("P-Preferred-Identity", "<sip:alice@example.com>"),
        ("Subject", "lunch"),
        ("Priority", "urgent"),
        ("User-to-User", "56a390f3d2b7310023a2"),
    ],
)
def test_what_is_declared_crosses_to_the_provider(name: str, value: str) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.add(name, value)
    ladder.phone.sends(invite)
    assert ladder.provider.receives_request("INVITE").headers.get(name) == value


@pytest.mark.parametrize("method", ["REFER", "UPDATE", "PRACK", "BYE"])
def test_what_makes_no_sense_outside_of_a_dialog_is_answered_405(method: str) -> None:
    ladder = Ladder()
    ladder.phone.sends(ladder.phone.request(method, "sip:bob@example.com"))
    assert "INVITE" in ladder.phone.receives_response(405).headers.values("Allow")
    ladder.provider.receives_nothing()
