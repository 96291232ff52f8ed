"""What the coverage-guided fuzzers try: bytes in, and what must hold of them. Whatever else is raised is a bug.

run.py gives these inputs; each is written so that it can be called with one input from a debugger too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from gateway.sdp.crypto import CryptoAttribute
from gateway.sdp.description import Description, MalformedDescription
from gateway.sdp.negotiation import is_encrypted, media_encrypted, media_security, offer_encrypted
from gateway.sip.digest import Challenge, Credentials, is_right
from gateway.sip.errors import MalformedMessage
from gateway.sip.framing import KeepAlive, StreamFramer
from gateway.sip.headers import Headers
from gateway.sip.message import Message, Request
from gateway.sip.parser import Answerable, check, parse, read


def parser(data: bytes) -> None:
    """A message that is accepted is the same when it is written and read again, and a stream is cut where it ends."""
    with contextlib.suppress(MalformedMessage):
        message = parse(data)
        check(message)
        _read(message)
        written = message.to_bytes()
        again = parse(written)
        check(again)
        assert again.to_bytes() == written
        assert again.body == message.body
        pieces = StreamFramer().receive(written)
        assert pieces == [written], "the stream would be cut elsewhere"
    _framing(data)


def quick(data: bytes) -> None:
    """The one pass over a usual message and the full way read the same, and refuse the same."""
    assert _outcome(data, read) == _outcome(data, _fully)


def _fully(data: bytes) -> Message:
    message = parse(data)
    check(message)
    return message


def _outcome(data: bytes, way: Callable[[bytes], Message]) -> tuple[object, ...]:
    try:
        message = way(data)
    except MalformedMessage as malformed:
        request = malformed.request if isinstance(malformed, Answerable) else None
        understood = None if request is None else (request.method, request.uri, request.headers.lines)
        return type(malformed), malformed.reason, malformed.status, malformed.offset, understood
    headers, beside = message.headers, [(part.headers.lines, part.body) for part in message.beside]
    kind = (message.method, message.uri) if message.is_request else (message.status, message.reason)
    return kind, headers.present, headers.lines, _values(headers), message.body, beside


def _values(headers: Headers) -> dict[str, str]:
    return {key: repr(value) for key, value in vars(headers).items()}


def _read(message: Message) -> None:
    """Everything that the layers above ask for, each of which may be malformed by itself."""
    questions: list[Callable[[], object]] = [
        lambda: message.contacts,
        lambda: message.content_type,
        lambda: message.expires,
        lambda: message.headers.values("Route"),
        lambda: message.request_uri if isinstance(message, Request) else None,
    ]
    for question in questions:
        with contextlib.suppress(MalformedMessage):
            question()


def _framing(data: bytes) -> None:
    """The same pieces come out however the bytes are cut."""
    assert _pieces(data, len(data)) == _pieces(data, max(1, len(data) // 3))


def _pieces(data: bytes, size: int) -> list[bytes | KeepAlive]:
    framer, found = StreamFramer(), list[bytes | KeepAlive]()
    with contextlib.suppress(MalformedMessage):
        for start in range(0, len(data), size or 1):
            found += framer.receive(data[start : start + size])
    return [piece for piece in found if isinstance(piece, bytes)]


def sdp(data: bytes) -> None:
    """A description that is accepted is the same when it is written and read again; its keys are shown to nobody."""
    with contextlib.suppress(MalformedDescription):
        written = Description.parse(data).to_bytes()
        assert Description.parse(written).to_bytes() == written
        for look in (media_security, media_encrypted, offer_encrypted, is_encrypted):
            look(data)
    with contextlib.suppress(MalformedDescription):
        attribute = CryptoAttribute.parse(data.decode("utf-8", "surrogateescape"))
        # Of several keys without an MKI only the first is kept: enough to refuse the line, which is never written.
        assert attribute.mki == "" or CryptoAttribute.parse(str(attribute)) == attribute


def digest(data: bytes) -> None:
    """A challenge and credentials that are accepted are the same when written and read again; no answer is right by
    chance."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(MalformedMessage):
        challenge = Challenge.parse(text)
        assert Challenge.parse(str(challenge)) == challenge
    with contextlib.suppress(MalformedMessage):
        credentials = Credentials.parse(text)
        assert Credentials.parse(str(credentials)) == credentials
        assert not is_right(credentials, password="no such password", method="REGISTER", body=data)


TARGETS: dict[str, Callable[[bytes], None]] = {"parser": parser, "quick": quick, "sdp": sdp, "digest": digest}
