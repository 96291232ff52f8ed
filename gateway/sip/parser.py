"""Bytes -> Request or Response (RFC 3261 section 7), and the rules every message must keep (section 8.1.1).

`parse` reads the first line, finds the header lines and cuts the body; values stay unread. `check` then reads those
that every element needs. What has no hope of an answer raises MalformedMessage without a request; what can still be
answered carries it along. Cutting a stream into messages is framing.py's."""

from __future__ import annotations

import re

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import TOKEN
from gateway.sip.headers import KEYS, Headers, value_of
from gateway.sip.limits import LIMITS, Limits
from gateway.sip.message import Message, Request, Response

# Unfolding (7.3.1): a line that starts with white space continues the one before; all of it counts as one SP.
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_HEADER_NAMES = re.compile(rf"\r\n({TOKEN})[ \t]*:")
_HEADER_LINE = re.compile(rf"{TOKEN}[ \t]*:")
_REQUEST_LINE = re.compile(rf"({TOKEN}) ([^ \t\x00-\x1f\x7f]+) (SIP/[0-9]+\.[0-9]+)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: (.*))?", re.IGNORECASE | re.DOTALL)
_BARE_NUL = re.compile(r"(?<!\\)\0")
# Two of these would let two elements read two different messages.
_SINGLE = (
    "call-id",
    "content-length",
    "content-type",
    "cseq",
    "event",
    "expires",
    "from",
    "max-forwards",
    "min-expires",
    "refer-to",
    "replaces",
    "session-expires",
    "to",
)
_ANSWERABLE = ("via", "from", "to", "call-id", "cseq")
_REQUIRED = ("via", "from", "to", "call-id", "cseq")


def parse(data: bytes, limits: Limits = LIMITS) -> Message:
    """The message in one datagram, or in one piece of a stream. Raises MalformedMessage."""
    if data[:2] == b"\r\n":
        data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise MalformedMessage("no empty line after the headers", len(data))
    if len(data) > limits.message or end > limits.head:
        raise MalformedMessage("too large", limits.message, status=513)
    text = data[:end].decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    message = _parse_head(text, limits)
    message.body = _cut_body(message, data, end + 4)
    return message


def check(message: Message) -> None:
    """Raise MalformedMessage unless the message has the headers of section 8.1.1 and they can be read."""
    try:
        _check(message)
    except MalformedMessage as error:
        raise _with_request(error, message) from None


def _parse_head(text: str, limits: Limits) -> Message:
    first_line, *lines = text.split("\r\n")
    names = _HEADER_NAMES.findall(text)
    broken = len(names) != len(lines)
    if broken:
        lines = [line for line in lines if _HEADER_LINE.match(line)]
        names = [line.partition(":")[0].rstrip(" \t") for line in lines]
    keys = [KEYS[name] for name in names]
    message = _parse_first_line(first_line, Headers.from_lines(keys, lines))
    if broken:
        raise _with_request(MalformedMessage("a line that is no header"), message)
    _check_lines(text, keys, lines, limits, message)
    return message


def _parse_first_line(line: str, headers: Headers) -> Message:
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        method, uri, version = match.groups()
        request = Request(method, uri, headers)
        if version.upper() != "SIP/2.0":
            raise _with_request(MalformedMessage(f"version {version[:20]}", status=505), request)
        return request
    match = _STATUS_LINE.fullmatch(line)
    if match is not None:
        return Response(int(match.group(1)), match.group(2) or "", headers)
    raise _with_request(MalformedMessage(f"not a first line: {line[:80]!r}"), _guess_request(line, headers))


def _guess_request(line: str, headers: Headers) -> Message | None:
    """A request whose first line is wrong: enough to answer it with 400, if it is one at all."""
    words = line.split()
    if len(words) < 3 or not words[-1].upper().startswith("SIP/") or words[0].upper().startswith("SIP/"):
        return None
    return Request(words[0], words[1], headers)


def _check_lines(text: str, keys: list[str], lines: list[str], limits: Limits, message: Message) -> None:
    breaks = len(lines)
    if text.count("\r") != breaks or text.count("\n") != breaks or ("\0" in text and _BARE_NUL.search(text)):
        raise _with_request(MalformedMessage("a bare CR, LF or NUL in the headers"), message)
    if len(lines) > limits.headers or max(map(len, lines), default=0) > limits.line:
        raise _with_request(MalformedMessage("too many headers, or one too long", status=513), message)
    if len(set(keys)) == len(keys):
        return
    for key in _SINGLE:
        if keys.count(key) > 1:
            raise _with_request(MalformedMessage(f"more than one {key} header"), message)
    if keys.count("via") > limits.vias:
        raise _with_request(MalformedMessage("too many Vias", status=513), message)


def _cut_body(message: Message, data: bytes, start: int) -> bytes:
    """The body by Content-Length (18.3): the rest without it; less than the rest is fine, more is an error."""
    line = message.headers.line("content-length")
    if line is None:
        return data[start:]
    value = value_of(line)
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or int(value) > len(data) - start:
        raise _with_request(MalformedMessage(f"Content-Length {value[:40]!r} is wrong", start), message)
    return data[start : start + int(value)]


def _with_request(error: MalformedMessage, message: Message | None) -> MalformedMessage:
    if isinstance(message, Request) and all(key in message.headers for key in _ANSWERABLE):
        error.request = message
    return error


def _check(message: Message) -> None:
    for key in _REQUIRED:
        if key not in message.headers:
            raise MalformedMessage(f"no {key} header")
    message.top_via, message.from_, message.to, message.call_id  # noqa: B018 - reading is the check
    message.contact, message.max_forwards  # noqa: B018
    if isinstance(message, Request):
        _check_request(message)


def _check_request(request: Request) -> None:
    if request.cseq.method != request.method:
        raise MalformedMessage("the method of CSeq is another than the request's")
    if request.request_uri.headers:
        raise MalformedMessage("headers in the Request-URI")
