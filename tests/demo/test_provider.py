"""Events of the provider are read from a line as they were written on it."""

import pytest

from gateway.demo.audio.listen import Heard
from gateway.demo.provider import CallEnded, CallRefused, Event, Listening, Registered, from_line, to_line


@pytest.mark.parametrize(
    "event",
    [
        Listening("127.0.0.21", 5061),
        Registered("alice", "sip:x@127.0.0.20:5061;transport=tls"),
        CallRefused("a@b", 488, "SRTP required"),
        CallEnded("a@b", Heard(198, 2, 0, (440,))),
    ],
)
def test_there_and_back(event: Event) -> None:
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


@pytest.mark.parametrize(
    "line", ["", "hello", "[]", "{}", '{"event": "Listening"}', '{"event": "Exit", "code": 1}', "1"]
)
def test_other_lines_are_no_events(line: str) -> None:
    assert from_line(line) is None
