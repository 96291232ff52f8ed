"""The stream of events: told at once, remembered, clean, and all of its names in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.observe import events as module
from gateway.observe.events import REMEMBERED, SEVERITIES, SUBSCRIBERS, EventName, Events, GatewayEvent, Severity

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"


@pytest.fixture
def events() -> Events:
    return Events(lambda: 1_700_000_000.25)


def test_each_name_is_in_the_documentation_with_its_severity() -> None:
    documented = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert dict(documented) == {str(name): str(SEVERITIES.get(name, Severity.INFO)) for name in EventName}
    assert len(documented) == len(EventName)


def test_an_event_reaches_every_subscriber_at_once(events: Events) -> None:
    heard: list[tuple[int, GatewayEvent]] = []
    assert events.subscribe(lambda number, event: heard.append((number, event)))
    events.note(EventName.CALL_ENDED, domain="example.com", call="c1", verdict="CLEAR", seconds=3.5)
    ((number, event),) = heard
    assert number == 1
    assert event.as_json() == {
        "at": 1_700_000_000.25,
        "name": "call.ended",
        "severity": "info",
        "source": "",
        "domain": "example.com",
        "who": "",
        "call": "c1",
        "fields": {"verdict": "CLEAR", "seconds": 3.5},
    }


def test_a_subscriber_that_fails_harms_nobody_and_gets_no_more(events: Events) -> None:
    heard: list[int] = []
    failed: list[int] = []

    def fails(number: int, event: GatewayEvent) -> None:
        failed.append(number)
        raise RuntimeError("broken")

    events.subscribe(fails)
    events.subscribe(lambda number, event: heard.append(number))
    events.note(EventName.GATEWAY_READY)
    events.note(EventName.GATEWAY_STOPPING)
    assert (failed, heard) == ([1], [1, 2])


def test_a_subscriber_that_leaves_while_told_harms_nobody(events: Events) -> None:
    heard: list[int] = []

    def leaves(number: int, event: GatewayEvent) -> None:
        heard.append(number)
        events.unsubscribe(leaves)

    events.subscribe(leaves)
    events.note(EventName.GATEWAY_READY)
    events.note(EventName.GATEWAY_READY)
    assert heard == [1]


def test_the_latest_are_remembered_and_found_by_number(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(REMEMBERED + 5):
        events.note(EventName.CALL_STARTED, who=str(number))
    everything = events.after(0)
    assert len(everything) == REMEMBERED
    assert (everything[0][0], everything[0][1].who) == (6, "5")
    assert [(number, event.who) for number, event in events.after(REMEMBERED + 3)] == [
        (REMEMBERED + 4, str(REMEMBERED + 3)),
        (REMEMBERED + 5, str(REMEMBERED + 4)),
    ]
    assert events.after(events.last) == []
    assert events.after(events.last + 1_000) == []


def test_subscribers_are_bounded(events: Events) -> None:
    taken = [events.subscribe(lambda number, event, index=index: None) for index in range(SUBSCRIBERS + 1)]  # type: ignore[misc]
    assert taken == [True] * SUBSCRIBERS + [False]


def test_text_of_peers_is_clean_short_and_without_secrets(events: Events) -> None:
    events.note(
        EventName.REGISTRATION_REFUSED,
        who="\x1b[2J\u202e" + "x" * 1000,
        source='Digest username="a", response="0123456789abcdef0123456789abcdef"',
        domain="\udcff",
        user_agent="sip:alice:hunter2@example.com",
    )
    ((_, event),) = events.after(0)
    text = repr(event)
    assert "\x1b" not in event.who
    assert "\u202e" not in event.who
    assert "0123456789abcdef" not in text
    assert "hunter2" not in text
    text.encode()
    assert len(event.who) <= 10 * module.LONGEST
