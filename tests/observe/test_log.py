"""The lines that events become, and that no secret survives in them."""

import io
import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import FileLogObserver, LogEvent, Logger, LogLevel

from gateway.observe.log import GATHERED, LineLogger, LogOutput, json_observer, text_observer
from gateway.observe.redaction import redacted

KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
ANSWER = "6629fae49393a05397450978507c4ef1"
PASSWORD = "Circle_of_Life"  # RFC 2617 writes it with blanks
SECRETS = (KEY, NONCE, ANSWER, PASSWORD, "0a4f113b")

MESSAGE = (
    "INVITE sip:bob@example.com SIP/2.0\r\n"
    f"From: <sip:alice:{PASSWORD}@example.com>;tag=1\r\n"
    f'Authorization: Digest username="alice", realm="example.com", nonce="{NONCE}",\r\n'
    f'  uri="sip:example.com", qop=auth, nc=00000001, cnonce="0a4f113b", response="{ANSWER}"\r\n'
    f"proxy-authorization : Digest nonce={NONCE},response={ANSWER}\r\n"
    f'WWW-Authenticate: Digest realm="example.com", nonce="{NONCE}", opaque="{KEY}"\r\n'
    f'Authentication-Info: nextnonce="{NONCE}", rspauth="{ANSWER}"\r\n'
    "X-Kept: kept\r\n\r\n"
    "v=0\r\n"
    f"k=base64:{KEY}\r\n"
    "m=audio 20000 RTP/SAVP 0\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:4\r\n"
    f"a=key-mgmt:mikey {KEY}\r\n"
)

Observer = Callable[[io.StringIO], FileLogObserver]
BOTH = pytest.mark.parametrize("make_observer", [text_observer, json_observer])


def written(make_observer: Observer, message: str, **fields: object) -> str:
    """What an observer writes for one event at level info."""
    stream = io.StringIO()
    Logger("gateway.test", observer=make_observer(stream)).info(message, **fields)
    return stream.getvalue()


@BOTH
@pytest.mark.parametrize(
    "value",
    [
        MESSAGE,
        MESSAGE.encode(),
        repr(MESSAGE),
        repr(MESSAGE.encode()),
        json.dumps({"sdp": MESSAGE}),
        repr(json.dumps({"sdp": MESSAGE})),
        MESSAGE.replace("\r\n", "\n"),
        [("Authorization", f'Digest nonce="{NONCE}", response="{ANSWER}"')],
        {"password": PASSWORD, "nested": {"nonce": NONCE}},
        f"alice's password='{PASSWORD}' and --pwd {PASSWORD}",
        f"Credentials(nonce='{NONCE}', response='{ANSWER}', cnonce='0a4f113b')",
        f"CryptoAttribute(tag=1, key=b'{KEY}')",
        f"https://admin:{PASSWORD}@127.0.0.1/config",
        f"-----BEGIN EC PRIVATE KEY-----\n{KEY}\n-----END EC PRIVATE KEY-----",
        f'a nonce that was cut off: nonce="{NONCE}',
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
    ],
    ids=lambda value: str(value)[:30].replace("\r\n", " "),
)
def test_no_secret_is_written_whatever_the_field_holds(make_observer: Observer, value: object) -> None:
    line = written(make_observer, "received {what}", what=value)
    assert "received" in line
    assert not [secret for secret in SECRETS if secret in line]


@BOTH
@pytest.mark.parametrize("name", ["password", "nonce", "cnonce", "authorization", "ha1", "secret", "srtp_key"])
def test_a_field_named_like_a_secret_is_blanked_whatever_it_holds(make_observer: Observer, name: str) -> None:
    line = written(make_observer, "got {" + name + "}", **{name: "correct horse"})
    assert "correct horse" not in line
    assert "got [redacted]" in line


@BOTH
def test_a_traceback_is_written_without_the_secrets_in_it(make_observer: Observer) -> None:
    stream = io.StringIO()
    log = Logger("gateway.test", observer=make_observer(stream))
    try:
        raise ValueError(MESSAGE)
    except ValueError:
        log.failure("broken")
    assert "ValueError" in stream.getvalue()
    assert not [secret for secret in SECRETS if secret in stream.getvalue()]


def test_what_is_no_secret_stays() -> None:
    text = redacted(MESSAGE)
    assert "INVITE sip:bob@example.com SIP/2.0" in text
    assert "X-Kept: kept\r\n" in text
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[redacted]|2^31|1:4\r\n" in text
    assert '\r\nWWW-Authenticate: Digest realm="example.com", nonce=[redacted]' in text
    for harmless in (
        "response=200 key=phones:udp:127.0.0.11:5060",
        "wrong password for alice",
        "Contact: <sip:alice@10.0.0.1:5060;ob>, <sip:bob@10.0.0.2:5062>",
        "the certificate's private_key file certs/gateway.key is missing",
        "nonces: 5 live",
    ):
        assert redacted(harmless) == harmless


def test_text_is_one_line_and_a_peer_cannot_forge_another() -> None:
    line = written(text_observer, "from {name}", name="x\r\n2026-01-01T00:00:00.000Z info  gateway: forged \x1b[31m")
    assert line.count("\n") == 2
    assert "\n\t2026-01-01" in line
    assert "\x1b" not in line


@BOTH
@pytest.mark.parametrize(
    "odd", ["\x1b[2J", "\x9b31m", "\x7f", "\u202e", "\u2066", "\u2028", "\u200b", "\udcff", "\x08"]
)
def test_no_character_of_a_peer_moves_a_cursor_or_turns_the_line(make_observer: Observer, odd: str) -> None:
    line = written(make_observer, "from {name}", name=f"a{odd}b").removesuffix("\n")
    assert line.isprintable() or odd == "\x7f"
    assert "from a\\" in line or make_observer is json_observer


def test_json_holds_the_fields() -> None:
    entry = json.loads(written(json_observer, "call {call_id} answered", call_id="abc", seconds=1.5, legs=("caller",)))
    assert entry["message"] == "call abc answered"
    assert entry["level"] == "info"
    assert entry["namespace"] == "gateway.test"
    assert entry["time"].endswith("Z")
    assert entry["fields"] == {"call_id": "abc", "seconds": 1.5, "legs": ["caller"]}


@pytest.mark.parametrize(("log_format", "make_observer"), [("json", json_observer), ("text", text_observer)])
def test_twists_log_formats_choose_the_lines(log_format: str, make_observer: Observer) -> None:
    event: LogEvent = {"log_time": 1.0, "log_format": "x"}
    assert LogOutput(log_format)(io.StringIO()).formatEvent(event) == make_observer(io.StringIO()).formatEvent(event)


def test_a_reader_that_stops_is_not_waited_for_and_told_what_it_missed() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    output = LogOutput("text")
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as reader:
        log = Logger("gateway.test", observer=output(stream))
        for number in range(30_000):
            log.info("line {number} nonce={nonce}", number=number, nonce=NONCE)
        assert output.lost > 1_000
        told = b""
        while piece := reader.read(65536):
            told += piece
            output.retry()
        lines = told.decode().splitlines()
        numbers = [int(line.split("line ")[1].split()[0]) for line in lines[:-1]]
        assert numbers == list(range(len(numbers))), "what was kept is whole and in order"
        assert len(numbers) + output.lost == 30_000
        assert lines[-1].endswith(f"{output.lost} lines of the log were lost: whoever reads it does not keep up")
        assert NONCE not in told.decode()


def test_a_log_without_a_reader_or_room_is_nobodys_trouble() -> None:
    reading, writing = os.pipe()
    output = LogOutput("json")
    with os.fdopen(writing, "w") as stream:
        os.close(reading)
        Logger("gateway.test", observer=output(stream)).info("nobody reads this")
        output.close()
    assert output.lost == 1
    with Path("/dev/full").open("w") as full:
        output = LogOutput("json")
        Logger("gateway.test", observer=output(full)).info("no space for this")
        assert output.lost >= 1


@pytest.mark.parametrize(
    "filler",
    [
        "\\" * 20000,
        "nonce=" * 5000,
        "authorization:" * 2000,
        '"' * 20000,
        "sip:a" * 5000,
        "@ " + "sip:a:" * 10000,
        "sip%3a" * 9000,
        "a://" * 9000,
        "sip:" + "%4" * 20000,
    ],
)
def test_redaction_takes_time_in_proportion_to_the_text(filler: str) -> None:
    # A pattern that backtracks far would not end within the life of the test run; one that looks at the rest of the
    # text from every place of it takes seconds.
    began = time.thread_time()
    assert isinstance(redacted(filler), str)
    assert time.thread_time() - began < 1.5


def test_a_password_in_a_uri_is_taken_out_however_long_it_is() -> None:
    assert redacted(f"<sip:alice:{'x' * 5000}@example.com>") == "<sip:alice:[redacted]@example.com>"
    assert redacted("sip:a:5060 sip:alice:x@example.com") == "sip:a:5060 sip:alice:[redacted]@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "<sip:alice:{}@example.com",
        "<sip:alice:{}",
        "'<sip:alice:{}'",
        "sip:alice:5060{}",
        "SIPS:alice:{}@example.com",
        "sip::{}@example.com",
        "sip://alice:{}@example.com",
        "sip:o'neil:{}'x@example.com",
        "sip:a/b;c=d:{}@example.com",
        "sip:[alice:{}@example.com",
        "\\r\\nsip:alice:{}@example.com",
        "<sip:bob@example.com?Referred-By=%3Csip%3Aalice%3A{}%40example.com%3E>",
        "<sip:bob@example.com?Refer-To=sip:alice:{}%40example.com>",
        "<sip:bob@example.com?Referred-By=%3csip%3aalice%3a{}",
        "<sip:bob@example.com?Authorization=Digest%20{}>",
        "sip:alice%3A{}@example.com",
        "turns://alice:{}@example.com",
    ],
)
def test_a_password_in_a_uri_is_taken_out_in_any_position_and_where_it_is_cut(text: str) -> None:
    assert PASSWORD not in redacted(text.format(PASSWORD))


@pytest.mark.parametrize(
    "text",
    [
        "sip:10.0.0.1:5060",
        "<sip:[2001:db8::1]:5060;lr>",
        "sip:alice@[2001:db8::1]:5060",
        "no way to sip:gw1:5060.",
        "http://[::1]:8080/a@b",
        "https://example.com/a:b",
        "administration on http://127.0.0.1:8080/",
    ],
)
def test_ports_and_addresses_are_no_passwords(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"credentials": "correct horse"},
        {"Crypto": "correct horse"},
        {"nested": {"credentials": "correct horse"}},
        {"nested": {"Master-Key": "correct horse"}},
        {"what": "pa\u017fsword=correct-horse"},  # a long s, which is an s to patterns that ignore case
    ],
)
def test_what_is_secret_by_name_or_by_an_odd_letter_is_not_taken_for_harmless(fields: dict[str, object]) -> None:
    line = written(json_observer, "got it", **fields)
    assert "correct" not in line
    assert "[redacted]" in line


def test_fields_of_any_kind_become_json() -> None:
    fields = {"raw": b"\xff", "names": {1: {"x"}}, "keys": {(1, 2): 3}, "kind": LogLevel.info}
    entry = json.loads(written(json_observer, "got it", **fields))
    assert entry["fields"]["raw"] == "\\xff"
    assert entry["fields"]["names"] == {"1": ["x"]}
    assert list(entry["fields"]["keys"].values()) == [3]


def test_a_logger_of_lines_makes_the_events_of_twisteds() -> None:
    events: list[LogEvent] = []
    said = {"call_id": "c", "seconds": 1.5}
    for kind in (Logger, LineLogger):
        logger = kind("gateway.calls", observer=cast(Any, events.append))
        logger.info("call {call_id} answered", **said)
        logger.warn("call {call_id}", log_trace=[], **said)
        logger.emit(cast(Any, "loud"), "nothing of ours", **said)
    theirs, ours = events[: len(events) // 2], events[len(events) // 2 :]
    assert (len(ours), ours[0]["log_fields"]) == (3, said)
    for one, other in zip(theirs, ours, strict=True):
        other.pop("log_fields", None)
        changing = {"log_time", "log_logger", "log_trace", "log_failure", "logger"}
        assert {key: one[key] for key in one.keys() - changing} == {key: other[key] for key in other.keys() - changing}
        assert one.keys() == other.keys()
        assert abs(one["log_time"] - other["log_time"]) < 60
    assert (ours[0]["log_namespace"], type(ours[0]["log_logger"])) == ("gateway.calls", LineLogger)


def test_a_logger_of_lines_is_named_by_its_module() -> None:
    assert LineLogger().namespace == __name__


class Kept:
    """A log into a file, whose lines about calls are gathered."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self._path = path
        self.output = LogOutput("text")
        self._stream = path.open("w")
        observer = self.output(self._stream)
        self.of_calls, self.other = LineLogger(observer=observer), Logger("gateway.test", observer=observer)
        self.output.gather(self.clock)

    @property
    def written(self) -> list[str]:
        return [line.rpartition(": ")[2] for line in self._path.read_text().splitlines()]


def test_lines_about_calls_are_written_together_a_moment_later(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "log")
    for number in range(3):
        kept.of_calls.info("call {number}", number=number)
    assert kept.written == []
    kept.clock.advance(GATHERED)
    assert kept.written == ["call 0", "call 1", "call 2"]
    assert kept.clock.getDelayedCalls() == []


@pytest.mark.parametrize("level", [LogLevel.warn, LogLevel.error, LogLevel.critical])
def test_a_line_that_an_operator_should_look_at_waits_for_nothing_and_keeps_its_place(
    tmp_path: Path, level: Any
) -> None:
    kept = Kept(tmp_path / "log")
    kept.of_calls.info("first")
    kept.of_calls.emit(level, "second")
    assert kept.written == ["first", "second"]
    kept.of_calls.info("third")
    kept.other.info("fourth")
    assert kept.written == ["first", "second", "third", "fourth"]
    assert kept.clock.getDelayedCalls() == []


def test_no_line_is_left_behind_at_the_end(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "log")
    kept.of_calls.info("last")
    kept.output.close()
    assert kept.written == ["last"]
    kept.of_calls.info("later")
    assert kept.written == ["last", "later"]


def test_the_time_of_a_line_is_that_of_its_event(tmp_path: Path) -> None:
    path = tmp_path / "log"
    kept = Kept(path)
    before = time.time()
    kept.of_calls.info("now")
    after = time.time()
    time.sleep(0.01)
    kept.clock.advance(GATHERED)
    told = datetime.fromisoformat(path.read_text().split()[0]).timestamp()
    assert before - 0.001 <= told <= after


def test_of_gathered_lines_that_are_not_read_each_is_counted() -> None:
    reading, writing = os.pipe()
    output, clock = LogOutput("text"), Clock()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as reader:
        log = LineLogger(observer=output(stream))
        output.gather(clock)
        for number in range(30_000):
            log.info("line {number} of a call, as long as any", number=number)
            if number % 100 == 99:
                clock.advance(GATHERED)
        os.set_blocking(reading, False)
        told = b""
        while piece := reader.read(65536):
            told += piece
            output.retry()
        lines = told.decode().splitlines()
        assert output.lost > 1_000
        assert len(lines) - 1 + output.lost == 30_000
        assert lines[-1].endswith(f"{output.lost} lines of the log were lost: whoever reads it does not keep up")
