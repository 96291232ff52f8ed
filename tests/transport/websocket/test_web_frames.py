"""Messages in frames (RFC 6455 section 5, RFC 7118 section 5): whole, in pieces, too large, and wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import KeepAlive
from gateway.sip.parser import LIMITS
from gateway.transport.websocket.upgrade import Origins
from gateway.transport.websocket.web_frames import WebFrames
from tests.support.web_peer import ORIGIN, asking, frame

TEXT, BINARY, MORE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MOST = LIMITS.message


def opened() -> WebFrames:
    frames = WebFrames(Origins("web", [ORIGIN]))
    assert frames.receive(asking()) == []
    assert frames.outgoing().startswith(b"HTTP/1.1 101 ")
    assert frames.is_idle
    return frames


def code_of(goodbye: bytes) -> int:
    """Of the close frame."""
    assert goodbye[0] == 0x88
    return int.from_bytes(goodbye[2:4], "big")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_rfc7118_5_one_message_is_one_message(opcode: int) -> None:
    assert opened().receive(frame(opcode, b"OPTIONS 1") + frame(opcode, b"OPTIONS 2")) == [b"OPTIONS 1", b"OPTIONS 2"]


def test_a_message_may_come_in_several_frames_with_pings_between() -> None:
    frames = opened()
    assert frames.receive(frame(TEXT, b"OPT", is_last=False) + frame(PING, b"?")) == []
    assert not frames.is_idle
    assert frames.outgoing() == b"\x8a\x01?"
    assert frames.receive(frame(MORE, b"IONS", is_last=False) + frame(MORE, b" 1")) == [b"OPTIONS 1"]
    assert frames.is_idle


@given(data=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), cut=st.integers(1, 40))
def test_messages_come_whole_however_their_bytes_are_cut(data: list[bytes], cut: int) -> None:
    frames, stream = opened(), b"".join(frame(BINARY, b"M" + one) for one in data)
    found = [piece for at in range(0, len(stream), cut) for piece in frames.receive(stream[at : at + cut])]
    assert found == [b"M" + one for one in data]


def test_frames_behind_the_request_are_read() -> None:
    frames = WebFrames(Origins("web", [ORIGIN]))
    assert frames.receive(asking() + frame(TEXT, b"OPTIONS")) == [b"OPTIONS"]


def test_rfc5626_keep_alives_are_taken_for_what_they_are() -> None:
    assert opened().receive(frame(TEXT, b"\r\n\r\n") + frame(TEXT, b"\r\n")) == [KeepAlive.PING, KeepAlive.PONG]
    assert opened().receive(frame(TEXT, b"")) == []


def test_text_goes_as_text_and_other_bytes_as_binary() -> None:
    frames = opened()
    assert frames.framed(b"SIP/2.0 200 OK")[:1] == b"\x81"
    assert frames.framed(b"\xff\xfe")[:1] == b"\x82"
    assert frames.ping() == b"\x89\x00"
    assert code_of(frames.goodbye()) == 1001
    assert frames.framed(b"late") == frames.ping() == frames.goodbye() == b""


def test_a_message_of_the_most_bytes_is_taken_and_one_more_ends_it() -> None:
    assert opened().receive(frame(BINARY, b"x" * MOST)) == [b"x" * MOST]
    frames = opened()
    assert frames.receive(frame(BINARY, b"x" * (MOST + 1))) == []
    assert frames.end == "a message that is too large"
    assert code_of(frames.outgoing()) == 1009


def test_fragments_are_bounded_as_a_whole() -> None:
    frames = opened()
    frames.receive(frame(BINARY, b"x", is_last=False))
    for _ in range(MOST // 1000 + 1):
        frames.receive(frame(MORE, b"x" * 1000, is_last=False))
    assert frames.end == "a message that is too large"
    assert frames.receive(frame(MORE, b"x" * 1000)) == []


def test_rfc6455_5_4_fragments_without_a_byte_keep_nothing_and_leave_the_message_unfinished() -> None:
    frames = opened()
    frames.receive(frame(TEXT, b"", is_last=False))
    for _ in range(1000):
        assert frames.receive(frame(MORE, b"", is_last=False)) == []
    assert not frames.is_idle
    assert frames._parts == []
    assert frames.receive(frame(MORE, b"OPTIONS")) == [b"OPTIONS"]
    assert frames.is_idle


def test_a_frame_that_promises_much_is_refused_once_it_has_sent_too_much() -> None:
    frames = opened()
    head = bytes([0x82, 0xFF]) + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0"
    assert frames.receive(head) == []
    for _ in range(20):
        frames.receive(b"x" * 4096)
    assert frames.end


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"OPTIONS", is_masked=False), 1002),
        (frame(TEXT, b"OPTIONS", bits=4), 1002),
        (frame(PING, b"?", is_last=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(MORE, b"no begin"), 1002),
        (frame(3, b"reserved"), 1002),
        (frame(TEXT, b"\xff\xff"), 1007),
        (frame(CLOSE, b"\x03"), 1002),
    ],
    ids=[
        "no mask",
        "extension",
        "control in parts",
        "control too long",
        "no begin",
        "opcode",
        "text",
        "close",
    ],
)
def test_rfc6455_frames_that_are_wrong_end_the_connection(data: bytes, code: int) -> None:
    frames = opened()
    assert frames.receive(data) == []
    assert frames.end.startswith("no WebSocket")
    assert code_of(frames.outgoing()) == code


def test_a_close_is_answered() -> None:
    frames = opened()
    frames.receive(frame(CLOSE, (1001).to_bytes(2, "big")))
    assert frames.end == "closed by the peer"
    assert code_of(frames.outgoing()) in (1000, 1001)


def test_bytes_that_are_no_request_are_malformed_for_ever() -> None:
    frames = WebFrames(Origins("web", [ORIGIN]))
    for _ in range(2):
        with pytest.raises(MalformedMessage):
            frames.receive(b"\x80\x01\x02\r\n\r\n")
    assert frames.outgoing().startswith(b"HTTP/1.1 400 ")


@given(data=st.binary(max_size=300))
def test_nothing_that_a_peer_sends_raises_anything_else(data: bytes) -> None:
    opened().receive(data)
    try:
        WebFrames(Origins("web", [ORIGIN])).receive(data)
    except MalformedMessage:
        pass
