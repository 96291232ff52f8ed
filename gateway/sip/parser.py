"""Bytes -> Request or Response (RFC 3261 section 7), and the rules every message must keep (section 8.1.1).

    bytes -> read -+- the usual form: one pass
                   `- any other: parse, check

`parse` reads the first line, finds the header lines and cuts the body; values stay unread. `check` then reads those
that every element needs. Bytes without hope of an answer raise MalformedMessage, a request that can still be answered
raises Answerable. Cutting a stream into messages is framing.py's.

`read` gives the same as both. It takes messages in the usual form and knows nothing of errors: any other message goes
the full way, which names the fault. The usual form: every line starts with a usual header name and a colon, and
Content-Length is right. White space before the colon (section 25.1 allows it), a folded line and nonsense
look the same there, and `parse` writes an allowed line in the usual form: no element behind us can read it in another
way than we did.
"""

from __future__ import annotations

import re

import attrs

from gateway.sip.bodies.session_part import set_apart
from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import BARE_NUL, TOKEN, WHITE, is_token
from gateway.sip.header_values import MANDATORY, OPTIONAL, Places, places_of, read_at
from gateway.sip.headers import KEYS, Headers
from gateway.sip.known_values import KnownValues
from gateway.sip.message import Message, Request, Response
from gateway.sip.stray_keys import may_hold_keys, take_out_keys
from gateway.sip.uri import KNOWN_URIS


@attrs.frozen
class Limits:
    """Ceilings for one message: sizes in bytes, the rest in pieces."""

    message: int = 65_536
    head: int = 32_768
    line: int = 8_192
    headers: int = 256
    vias: int = 100


LIMITS = Limits()


class Answerable(MalformedMessage):
    """A malformed message of which enough was understood to answer it."""

    request: Request
    """The part that was understood; a header that is missing is missing in the answer too (section 8.1.1)."""

    def __init__(self, malformed: MalformedMessage, request: Request) -> None:
        super().__init__(malformed.reason, malformed.offset, malformed.status)
        self.request = request


_LINE_START = re.compile(r"\n([A-Za-z0-9_-]+:)")  # the names that people give headers
_HEADER = re.compile(rf"({TOKEN})[ \t]*:[ \t]*([^\r\n]*)")
# Unfolding (7.3.1): a line that starts with white space continues the one before; all of it counts as one SP.
_FOLD = re.compile(r"\r\n[ \t]+")
_REQUEST_LINE = re.compile(rf"({TOKEN}) ([^ \x00-\x1f\x7f]+) SIP/2\.0", re.IGNORECASE)
_USUAL_REQUEST = re.compile(r"([A-Z]+) ([^ \x00-\x1f\x7f]+) SIP/2\.0")  # a quicker way to what is above
_OTHER_VERSION = re.compile(r" SIP/(?!2\.0$)[0-9]+\.[0-9]+$", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: ([^\0\r\n]*))?", re.IGNORECASE)
# Two of these would let two elements read two different messages.
_SINGLE = frozenset(
    {
        "call-id",
        "content-length",
        "content-type",
        "cseq",
        "event",
        "expires",
        "from",
        "max-forwards",
        "min-expires",
        "min-se",
        "rack",
        "refer-to",
        "referred-by",
        "replaces",
        "rseq",
        "session-expires",
        "to",
    }
)
_LONGEST_START = 40
_LONGEST_STATUS_LINE = 60
_LONGEST_ORDER = 600
"""Characters: some 40 lines."""


class _LineStarts(KnownValues[str, str]):
    """Start of a line, colon and all -> key."""

    def __missing__(self, start: str) -> str:
        key = KEYS[start[:-1]]
        return self.remember(start, key) if len(start) < _LONGEST_START else key


_Order = tuple[list[str], int, bool, Places | None, int]
"""The key of each line, their number, whether they are few and no key comes twice, the places of the headers that every
element reads, and the number of the line with Content-Length, -1 for none."""


class _Orders(KnownValues[str, _Order]):
    """Starts of all lines, one after the other -> their order. A phone's messages have the same lines in the same order
    again and again."""

    def __missing__(self, text: str) -> _Order:
        starts = [f"{name}:" for name in text.split(":")[:-1]]
        keys = [_LINE_STARTS[start] for start in starts]
        length = keys.index("content-length") if "content-length" in keys else -1
        order = keys, len(keys), len(set(keys)) == len(keys) <= LIMITS.vias, places_of(keys, starts), length
        return self.remember(text, order) if len(text) < _LONGEST_ORDER else order


class _StatusLines(KnownValues[str, tuple[int, str] | None]):
    """Status line -> status and reason, None for a line that is none."""

    def __missing__(self, line: str) -> tuple[int, str] | None:
        match = _STATUS_LINE.fullmatch(line)
        found = None if match is None else (int(match[1]), match[2] or "")
        return self.remember(line, found) if len(line) < _LONGEST_STATUS_LINE else found


_LINE_STARTS = _LineStarts()
_ORDERS = _Orders()
_STATUS_LINES = _StatusLines()


def read(data: bytes) -> Message:
    """The message in one datagram, or in one piece of a stream, with the headers of section 8.1.1 read and in order.
    Raises MalformedMessage, or its Answerable."""
    size, end = len(data), data.find(b"\r\n\r\n")
    if end > 0 and size <= LIMITS.line:  # no line is too long to be remembered, nor anything else
        text = data[:end].decode("utf-8", "surrogateescape")
        first_line, *lines = pieces = text.split("\r\n")
        keys, count, is_single, places, length = _ORDERS["".join(_LINE_START.findall(text))]
        joined, start = "".join(pieces), end + 4
        is_odd = "\n" in joined or "\r" in joined or "\0" in joined or len(lines) != count
        is_whole = length < 0 or (not is_odd and lines[length] == f"Content-Length: {size - start}")
        if places is not None and is_whole and not is_odd and not may_hold_keys(text):
            try:
                if not is_single:
                    _check_numbers(keys, lines, size, LIMITS, None)
                message = _parse_first_line(first_line, Headers((), [*keys], lines, read_at(places, lines)))
                if message.is_request:
                    _check_request(message)
            except MalformedMessage:
                pass
            else:
                if start < size:
                    message.body = data[start:]
                    set_apart(message)
                return message
    message = parse(data)
    check(message)
    return message


def parse(data: bytes, limits: Limits = LIMITS) -> Message:
    """The message in one datagram, or in one piece of a stream. Raises MalformedMessage, or its Answerable."""
    data = data.lstrip(b"\r\n") if data[:1] == b"\r" else data
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise MalformedMessage("no empty line after the headers", len(data))
    if end > limits.head:
        raise MalformedMessage("the headers are too large", end, status=513)
    text = data[:end].decode("utf-8", "surrogateescape")
    first_line, *lines = text.split("\r\n")
    keys, count, is_single, _, _ = _ORDERS["".join(_LINE_START.findall(text))]
    is_broken = False
    is_bare = text.count("\n") != count or text.count("\r") != count
    if is_bare or len(lines) != count or ("\0" in text and BARE_NUL.search(text) is not None):
        first_line, keys, lines, is_broken = _read_odd_lines(text)
        count, is_single = len(keys), False
    message = _parse_first_line(first_line, Headers((), [*keys], lines))
    if is_broken:
        raise _with_request(MalformedMessage("a line that is no header, or a bare CR, LF or NUL"), message)
    if may_hold_keys(text):
        _leave_out_keys(message)
    size, start = len(data), end + 4
    if not is_single or size > limits.line or count > limits.vias:
        _check_numbers(keys, lines, size, limits, message)
    is_whole = bool(lines) and lines[-1] == f"Content-Length: {size - start}"
    message.body = data[start:] if is_whole else _cut_body(message, data, start)
    if message.body:
        set_apart(message)
    return message


def check(message: Message) -> None:
    """Raise MalformedMessage, or its Answerable, unless the headers of section 8.1.1 are there and can be read."""
    try:
        _read(message.headers)
        if message.is_request:
            _check_request(message)
    except MalformedMessage as error:
        raise _with_request(error, message) from None


def _check_request(request: Request) -> None:
    if request.cseq.method != request.method:
        raise MalformedMessage("the method of CSeq is another than the request's")
    if KNOWN_URIS[request.uri].headers:
        raise MalformedMessage("headers in the Request-URI")


def _read(headers: Headers) -> None:
    for key, parse in MANDATORY:
        headers.required(key, parse)
    for key, parse in OPTIONAL:
        headers.parsed(key, parse)


def _leave_out_keys(message: Message) -> None:
    try:
        take_out_keys(message)
    except MalformedMessage as error:
        raise _with_request(error, message) from None


def _read_odd_lines(text: str) -> tuple[str, list[str], list[str], bool]:
    """First line, keys, good lines in the usual form, and whether there were others."""
    first_line, *lines = _FOLD.sub(" ", text).split("\r\n")
    matches = [_HEADER.fullmatch(line) for line in lines]
    good = [match for match in matches if match and not BARE_NUL.search(match[2])]
    keys = [KEYS[match[1]] for match in good]
    return first_line, keys, [f"{match[1]}: {match[2].rstrip(WHITE)}" for match in good], len(good) != len(lines)


def _parse_first_line(line: str, headers: Headers) -> Message:
    found = _STATUS_LINES[line] if line[:8] == "SIP/2.0 " else None  # no request: a method has no slash
    if found is not None:
        return Response(found[0], found[1], headers)
    match = _USUAL_REQUEST.fullmatch(line) or _REQUEST_LINE.fullmatch(line)
    if match is not None:
        return Request(match[1], match[2], headers)
    match = _STATUS_LINE.fullmatch(line)
    if match is not None:
        return Response(int(match[1]), match[2] or "", headers)
    is_other_version = _OTHER_VERSION.search(line) is not None
    what, status = ("another version of SIP", 505) if is_other_version else ("not a first line", 400)
    error = MalformedMessage(what, status=status)
    raise _with_request(error, _guess_request(line, headers))


def _guess_request(line: str, headers: Headers) -> Message | None:
    """A request with a wrong first line: enough to answer it with 400, if it is one at all."""
    words = line.split()
    if len(words) < 3 or not words[-1].upper().startswith("SIP/") or not is_token(words[0]):
        return None
    return Request(words[0], words[1], headers)


def _check_numbers(keys: list[str], lines: list[str], size: int, limits: Limits, message: Message | None) -> None:
    vias = sum(1 + line.count(",") for key, line in zip(keys, lines, strict=True) if key == "via")
    if size > limits.message or len(lines) > limits.headers or vias > limits.vias:
        raise _with_request(MalformedMessage("too large", size, status=513), message)
    if max(map(len, lines), default=0) > limits.line:
        raise _with_request(MalformedMessage("a line is too long", status=513), message)
    repeated = [key for key in _SINGLE.intersection(keys) if keys.count(key) > 1]
    if repeated:
        raise _with_request(MalformedMessage(f"more than one {', '.join(sorted(repeated))} header"), message)


def _cut_body(message: Message, data: bytes, start: int) -> bytes:
    """The body by Content-Length (18.3): the rest without it; less than the rest is fine, more is an error."""
    value = message.headers.get("content-length")
    if value is None:
        return data[start:]
    if len(value) > 10 or not (value.isascii() and value.isdigit()) or int(value) > len(data) - start:
        raise _with_request(MalformedMessage("Content-Length is wrong", start), message)
    return data[start : start + int(value)]


def _with_request(malformed: MalformedMessage, message: Message | None) -> MalformedMessage:
    """The error as an Answerable one, when the message is a request with a Via to answer it along."""
    if isinstance(message, Request) and "via" in message.headers:
        return Answerable(malformed, message)
    return malformed
