"""Streams: messages in any pieces, keep-alives, and what is beyond repair."""

from __future__ import annotations

import random

import pytest

from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import KeepAlive, StreamFramer
from gateway.sip.parser import Answerable, Limits

HEAD = b"INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n"
EMPTY = HEAD + b"Content-Length: 0\r\n\r\n"
WITH_BODY = HEAD + b"l : 8\r\n\r\nb\r\n\r\nody"
FOLDED = HEAD + b"Content-Length:\r\n  3\r\nX: a\r\n Content-Length: 7\r\n\r\nabc"
STREAM = EMPTY + b"\r\n\r\n" + WITH_BODY + FOLDED + b"\r\n" + EMPTY
PIECES = [EMPTY, KeepAlive.PING, WITH_BODY, FOLDED, KeepAlive.PONG, EMPTY]


def test_pipelined_messages_and_keep_alives() -> None:
    framer = StreamFramer()
    assert framer.receive(STREAM) == PIECES
    assert framer.is_idle


def test_byte_by_byte() -> None:
    framer = StreamFramer()
    seen: list[bytes | KeepAlive] = []
    for number in range(len(STREAM)):
        seen += framer.receive(STREAM[number : number + 1])
        assert framer.broken is None
    # The first half of a split PING cannot be told from a PONG, which is harmless; the second half makes it one.
    assert seen == [EMPTY, KeepAlive.PONG, KeepAlive.PING, *PIECES[2:]]


def test_any_cut_gives_the_same_messages() -> None:
    chance = random.Random(3261)
    for _ in range(300):
        cuts = sorted(chance.sample(range(1, len(STREAM)), 5))
        framer = StreamFramer()
        pieces = [STREAM[start:end] for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
        seen = [message for piece in pieces for message in framer.receive(piece)]
        assert [message for message in seen if isinstance(message, bytes)] == [EMPTY, WITH_BODY, FOLDED, EMPTY]
        assert KeepAlive.PING in seen


def test_an_unfinished_message_waits() -> None:
    framer = StreamFramer()
    assert framer.receive(WITH_BODY[:-1]) == []
    assert not framer.is_idle
    assert framer.receive(WITH_BODY[-1:]) == [WITH_BODY]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Content-Length: 4294967328\r\n",
        b"Content-Length: 65537\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: 1 1\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: " + b"1" * 5000 + b"\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nl: 4\r\n",
        b"Content-Length : 3\r\nL\t: 3\r\n",
        b"Content-Length: 3\r\nCONTENT-LENGTH:\r\n 3\r\n",
    ],
)
def test_a_stream_without_a_next_boundary_is_beyond_repair(line: bytes) -> None:
    framer = StreamFramer()
    with pytest.raises(Answerable) as caught:
        framer.receive(HEAD + line + b"\r\nabc" + EMPTY)
    assert caught.value.status == 400
    assert caught.value.request.method == "INFO"
    with pytest.raises(MalformedMessage):
        framer.receive(EMPTY)


def test_what_came_before_the_break_still_comes_out() -> None:
    framer = StreamFramer()
    assert framer.receive(EMPTY + HEAD + b"\r\n") == [EMPTY]
    assert framer.broken is not None
    assert framer.is_idle, "nothing of it is kept"


@pytest.mark.parametrize("data", [b"\n", b"\rX", b"\r\r", b"\n\r\n"])
def test_a_bare_line_break_between_messages(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="bare"):
        StreamFramer().receive(data)


def test_a_head_without_end_is_given_up_at_the_limit() -> None:
    framer = StreamFramer(Limits(head=1000))
    assert framer.receive(b"X" * 1000) == []
    with pytest.raises(MalformedMessage) as caught:
        framer.receive(b"X")
    assert caught.value.status == 513


def test_a_slow_stream_costs_no_more_than_a_fast_one() -> None:
    """What was searched is not searched again: 30,000 single bytes stay far from 30,000 searches of them all."""
    framer = StreamFramer()
    for _ in range(30_000):
        assert framer.receive(b"x") == []
    assert framer._searched == 30_000
