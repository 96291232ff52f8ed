"""No secret in anything the gateway writes or tells, at any log level: a run of every kind of message is searched.

The secrets are those of the messages of this run: SDES keys of every party, passwords, nonces, cnonces and digest
responses, a password in a URI. Searched are the log as text and as JSON at debug level, the calls' records, the CDR,
the kept tables, the metrics, the pages, and what the other side of each message got.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

from gateway.admin.pages.call_pages import CallsAsked, ListedCalls, call_view, calls_view
from gateway.admin.pages.drawing import Frame, Pages
from gateway.observe.log import json_observer, text_observer
from gateway.sip.digest import Challenge, Credentials
from gateway.sip.message import Request, Response
from gateway.state.cdr import CdrFile
from gateway.state.history import CallHistory
from gateway.state.listing.call_table import CallTable, prepare_calls
from gateway.transport.flow import FailureKind
from tests.b2bua.test_challenge import PASSWORD, TO_ALICE, Challenged, authorization, calls_out, challenge_of, refuse
from tests.support.clocks import clock_at
from tests.support.direct_database import DirectDatabase, got
from tests.support.ladder import AVP, KEY, SAVP, drain

URI_PASSWORD = "hunter2-in-a-uri"
OTHER_KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
OTHER_SAVP = SAVP.replace(KEY.encode(), OTHER_KEY.encode())
NONCE, CNONCE, DIGEST = "nonce-of-the-provider-7531", "cnonce-of-the-phone-8642", "0123456789abcdef0123456789abcdef"


@pytest.fixture
def written() -> Iterator[list[io.StringIO]]:
    streams = [io.StringIO(), io.StringIO()]
    observers = [text_observer(streams[0]), json_observer(streams[1])]
    for observer in observers:
        globalLogPublisher.addObserver(observer)
    yield streams
    for observer in observers:
        globalLogPublisher.removeObserver(observer)


def secrets_of(challenges: list[Challenge], answers: list[str]) -> set[str]:
    made = [Credentials.parse(text) for text in answers]
    return {
        KEY,
        OTHER_KEY,
        PASSWORD,
        URI_PASSWORD,
        NONCE,
        CNONCE,
        DIGEST,
        *(challenge.nonce for challenge in challenges),
        *(one.response for one in made),
    }


def run(ladder: Challenged) -> tuple[list[Challenge], list[str]]:
    """One of everything that carries a secret: right, wrong, broken, refused, failing and retransmitted."""
    challenges = ladder.challenges("NOTIFY")
    answers = [authorization(challenges[0], "NOTIFY"), authorization(challenges[1], "NOTIFY", "guess")]
    for number, text in enumerate((*answers, 'Digest nonce="' + NONCE), 2):
        ladder.asks("NOTIFY", number, text)
    assert [message.method for message in drain(ladder.phone) if isinstance(message, Request)] == ["NOTIFY"]
    assert [message.status for message in drain(ladder.provider) if isinstance(message, Response)] == [401, 400]
    # An encrypted call in, with a password in a URI, and a re-INVITE with another key.
    challenges += ladder.challenges()
    answers.append(authorization(challenges[-2]))
    ladder.asks("INVITE", 2, answers[-1])
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    answer = ladder.provider.receives_response(200)
    ladder.provider.sends(ladder.provider.within(answer, "INVITE", sdp=OTHER_SAVP, cseq=3))
    list(drain(ladder.phone))
    list(drain(ladder.provider))
    # A call out whose challenge the gateway answers, then one that the phone answers itself, then one that fails.
    refuse(ladder, calls_out(ladder), 407, challenge_of(nonce=NONCE))
    list(drain(ladder.provider))
    own = f'Digest username="alice", realm="example.com", nonce="{NONCE}", uri="sip:x", response="{DIGEST}"'
    odd = ladder.phone.invite(f"sip:bob:{URI_PASSWORD}@example.com", call_id="c7")
    odd.headers.set("To", f"<sip:bob:{URI_PASSWORD}@example.com>")
    odd.headers.set("From", f"<sip:alice:{URI_PASSWORD}@example.com>;tag=f7")
    odd.headers.add("Proxy-Authorization", f'{own}, cnonce="{CNONCE}", nc=00000001, qop=auth')
    ladder.phone.sends(odd)
    ladder.phone.sends(odd)
    ladder.provider_flow.fail(FailureKind.CLOSED)
    ladder.clock.pump([1.0] * 100)
    ladder.calls.end_all("the end")
    ladder.clock.pump([1.0] * 100)
    return challenges, answers


def told(ladder: Challenged, directory: Path) -> Iterator[tuple[str, str]]:
    """(where, what) of everything that is kept or told of the calls of a run."""
    database = DirectDatabase(directory / "calls.sqlite", prepare_calls)
    table = CallTable(directory / "calls.sqlite", database, database.clock)
    history = CallHistory(table, CdrFile(directory / "cdr.jsonl"), clock_at(1e9, database.clock), days=3650)
    records = list(ladder.calls.records())
    assert len(records) >= 3
    for record in records:
        history.ended(json.loads(json.dumps(record.as_json())))
        yield "page", page("call.html", call_view(record.as_json(), {}, 0.0))
        yield "repr", repr(record)
    listed = calls_view(CallsAsked(), ListedCalls([record.summary() for record in records]), 0.0)
    yield "list", page("calls.html", listed)
    got(history.stop())
    yield "metrics", ladder.metrics.exposition().decode()
    for path in directory.iterdir():
        if path.name != "credentials.toml":
            yield path.name, path.read_bytes().decode("latin-1")


def page(template: str, view: dict[str, object]) -> str:
    return "".join(Pages().draw(template, Frame("gw", "1", "Calls", "/calls"), 0.0, view))


def test_a_run_at_debug_level_leaves_no_secret_anywhere(tmp_path: Path, written: list[io.StringIO]) -> None:
    ladder = Challenged(tmp_path)
    challenges, answers = run(ladder)
    secrets = secrets_of(challenges, answers)
    assert len(secrets) >= 11
    everything = [("text log", written[0].getvalue()), ("JSON log", written[1].getvalue()), *told(ladder, tmp_path)]
    assert "is no peer" not in everything[0][1]
    assert len(everything[0][1].splitlines()) > 12, "the log is at debug level"
    for where, text in everything:
        found = [secret for secret in secrets if secret in text]
        assert not found, f"{where} holds {found}: {re.findall('.*' + re.escape(found[0]) + '.*', text)[:1]}"
        assert not re.search(r"inline:[A-Za-z0-9+/]", text), where


def test_a_message_that_is_logged_by_mistake_is_written_without_its_secrets(written: list[io.StringIO]) -> None:
    from twisted.logger import Logger

    ladder_log = Logger()
    message = (
        f"INVITE sip:bob:{URI_PASSWORD}@example.com SIP/2.0\r\n"
        f'Proxy-Authorization: Digest nonce="{NONCE}", cnonce="{CNONCE}", response="{DIGEST}"\r\n'
        f"\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20\r\n"
    )
    ladder_log.debug("{data}", data=message)
    ladder_log.debug("{data!r}", data=message.encode())
    try:
        raise ValueError(message)
    except ValueError:
        ladder_log.failure("broke")
    for stream in written:
        assert stream.getvalue().count("\n") >= 3
        assert not [secret for secret in (URI_PASSWORD, NONCE, CNONCE, DIGEST, KEY) if secret in stream.getvalue()]


def test_neither_side_gets_the_secrets_of_the_other(tmp_path: Path) -> None:
    ladder = Challenged(tmp_path)
    challenges = ladder.challenges()
    ladder.asks("INVITE", 2, authorization(challenges[0]))
    to_phone = b"".join(message.to_bytes() for message in drain(ladder.phone)).decode()
    for secret in (KEY, challenges[0].nonce, Credentials.parse(authorization(challenges[0])).response):
        assert secret not in to_phone
    assert TO_ALICE not in to_phone
