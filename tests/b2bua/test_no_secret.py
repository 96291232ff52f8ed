"""A password in a URI (RFC 3261 section 19.1.1) stays between its peers: no record, reason or response repeats it."""

from __future__ import annotations

import json

import pytest

from tests.support.ladder import Ladder, drain
from tests.support.stories import ring

PASSWORD = "hunter2hunter2"
CUT = f"sip:alice:{PASSWORD}" + "x" * 90


def told(ladder: Ladder) -> str:
    """All that an operator sees of the calls, and all that the phone was sent."""
    records = json.dumps([record.as_json() for record in ladder.calls.records()])
    return records + b"".join(message.to_bytes() for message in drain(ladder.phone)).decode()


@pytest.mark.parametrize("name", ["Referred-By", "Replaces", "P-Preferred-Identity", "Refer-To", "Contact", "Route"])
@pytest.mark.parametrize(
    "value",
    [
        f"<sip:alice:{PASSWORD}@example.com",
        f"sip:alice:{PASSWORD}",
        f"<sip:alice:{PASSWORD}@example.com> x",
        f"<{CUT}@example.com",
        f"<sip:alice:{PASSWORD}@[::>",
        f'"alice <sip:alice:{PASSWORD}@example.com>',
    ],
)
def test_a_header_that_cannot_be_read_is_not_repeated(name: str, value: str) -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    invite.headers.set(name, value)
    ladder.phone.sends(invite)
    assert PASSWORD not in told(ladder)


@pytest.mark.parametrize(
    "reason", [f"<sip:alice:{PASSWORD}@example.com>", CUT, f"Authorization: Digest {PASSWORD}", f"password={PASSWORD}"]
)
def test_a_reason_phrase_loses_its_secrets_in_the_ladder(reason: str) -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    refusal = onward.response(486, reason, to_tag="t1")
    ladder.provider.sends(refusal)
    records = json.dumps([record.as_json() for record in ladder.calls.records()])
    assert "486 " in records
    assert PASSWORD not in records


def test_parties_are_recorded_without_their_passwords() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite(f"sip:bob:{PASSWORD}@example.com")
    for name in ("From", "To"):
        value = invite.headers.get(name) or ""
        invite.headers.set(
            name, value.replace("sip:", f"sip:x:{PASSWORD}", 1).replace(f"{PASSWORD}", f"{PASSWORD}@", 1)
        )
    ladder.phone.sends(invite)
    records = json.dumps([record.as_json() for record in ladder.calls.records()])
    assert PASSWORD not in records
