"""Requests and responses (RFC 3261 section 7): a first line, headers and a body.

Headers are parsed when asked for; what a header said is remembered with the line it came from, so that the
transport, the transaction and the dialog that ask the same question cost one parse. Reading bytes is parser.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar, cast

import attrs

from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import TOKEN, parse_number, split_list
from gateway.sip.headers import Headers, value_of
from gateway.sip.reasons import REASONS
from gateway.sip.uri import Uri
from gateway.sip.via import Via

__all__ = ["REASONS", "CSeq", "Message", "Request", "Response"]

_CSEQ = re.compile(rf"([0-9]{{1,20}})[ \t]+({TOKEN})")
_CALL_ID = re.compile(r"[^\s,;@]+(?:@[^\s,;@]+)?")
_MEDIA_TYPE = re.compile(rf"({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*(?:;.*)?", re.DOTALL)
_RECORDS_ROUTE = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})
_LARGEST = 2**32 - 1

Value = TypeVar("Value")


@attrs.frozen
class CSeq:
    """The CSeq header (section 20.16): a number below 2**31 and a method."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Raises MalformedMessage."""
        match = _CSEQ.fullmatch(text)
        if match is None or int(match.group(1)) >= 2**31:
            raise MalformedMessage(f"not a CSeq: {text[:60]!r}")
        return cls(int(match.group(1)), match.group(2))

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@attrs.define(eq=False)
class _Message:
    """What requests and responses have in common. All properties raise MalformedMessage."""

    headers: Headers
    body: bytes
    _parsed: dict[str, tuple[str, object]]

    @property
    def top_via(self) -> Via:
        """The first value of the first Via line."""
        return self._required("via", _first_via)

    @property
    def from_(self) -> NameAddress:
        """The From header."""
        return self._required("from", NameAddress.parse)

    @property
    def to(self) -> NameAddress:
        """The To header."""
        return self._required("to", NameAddress.parse)

    @property
    def call_id(self) -> str:
        """The Call-ID, an opaque text compared by case."""
        return self._required("call-id", _parse_call_id)

    @property
    def cseq(self) -> CSeq:
        """The CSeq header."""
        return self._required("cseq", CSeq.parse)

    @property
    def contacts(self) -> list[NameAddress]:
        """All Contact values; empty for none and for "*"."""
        values = self.headers.values("contact")
        return [] if values == ["*"] else [NameAddress.parse(value) for value in values]

    @property
    def contact(self) -> NameAddress | None:
        """The first Contact value; None when there is none, and for "*"."""
        return self._optional("contact", _first_contact)

    @property
    def is_wildcard_contact(self) -> bool:
        """Whether Contact is "*" (section 10.2.2)."""
        return self.headers.get("contact") == "*"

    @property
    def max_forwards(self) -> int | None:
        """Hops left, 0..2**32-1; None when the header is missing."""
        return self._optional("max-forwards", lambda text: parse_number(text, "Max-Forwards", _LARGEST))

    @property
    def expires(self) -> int | None:
        """Expires in seconds, at most 2**32-1 (a larger number means that, section 20.19); None when missing."""
        return self._optional("expires", _parse_expires)

    @property
    def content_type(self) -> str | None:
        """type/subtype in lower case, without parameters; None when missing."""
        return self._optional("content-type", _parse_media_type)

    def _optional(self, key: str, parse: Callable[[str], Value]) -> Value | None:
        line = self.headers.line(key)
        if line is None:
            return None
        known = self._parsed.get(key)
        if known is None or known[0] is not line:
            known = (line, parse(value_of(line)))
            self._parsed[key] = known
        return cast(Value, known[1])

    def _required(self, key: str, parse: Callable[[str], Value]) -> Value:
        if key not in self.headers:
            raise MalformedMessage(f"no {key} header")
        return cast(Value, self._optional(key, parse))

    def _to_bytes(self, first_line: str) -> bytes:
        length = str(len(self.body))
        if self.headers.get("content-length") != length:
            self.headers.set("Content-Length", length)
        return self.headers.to_bytes(first_line) + b"\r\n" + self.body


@attrs.define(eq=False)
class Request(_Message):
    """A request. `uri` is the Request-URI as text, `request_uri` the same parsed."""

    method: str
    uri: str
    headers: Headers = attrs.field(factory=Headers)
    body: bytes = b""
    _parsed: dict[str, tuple[str, object]] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def request_uri(self) -> Uri:
        """The Request-URI."""
        return Uri.parse(self.uri)

    def to_bytes(self) -> bytes:
        """The wire form, with a right Content-Length. Raises ValueError when a value has a line break in it."""
        return self._to_bytes(f"{self.method} {self.uri} SIP/2.0")

    def response(self, status: int, reason: str | None = None, to_tag: str | None = None) -> Response:
        """A response to this request (section 8.2.6.2): Via, From, To, Call-ID and CSeq as they came.

        A To without a tag gets to_tag. A provisional or successful answer to what makes a dialog also has the
        Record-Route lines (section 12.1.1).
        """
        wanted = {"via", "from", "to", "call-id", "cseq"}
        if 100 < status < 300 and self.method in _RECORDS_ROUTE:
            wanted.add("record-route")
        response = Response(status, _reason(status) if reason is None else reason, self.headers.select(wanted))
        if to_tag is not None:
            response.add_to_tag(to_tag)
        return response


@attrs.define(eq=False)
class Response(_Message):
    """A response."""

    status: int
    reason: str = ""
    headers: Headers = attrs.field(factory=Headers)
    body: bytes = b""
    _parsed: dict[str, tuple[str, object]] = attrs.field(factory=dict, init=False, repr=False)

    def to_bytes(self) -> bytes:
        """The wire form, with a right Content-Length. Raises ValueError when a value has a line break in it."""
        return self._to_bytes(f"SIP/2.0 {self.status} {self.reason}")

    def add_to_tag(self, tag: str) -> None:
        """Give To this tag unless it has one. A To that cannot be read (this is its 400, then) gets it appended."""
        value = self.headers.get("to") or ""
        try:
            has_tag = self.to.tag is not None
        except MalformedMessage:
            has_tag = False
        if not has_tag:
            self.headers.set("To", f"{value};tag={tag}")


Message = Request | Response


def _reason(status: int) -> str:
    return REASONS.get(status) or REASONS.get(status // 100 * 100, "")


def _first_via(text: str) -> Via:
    return Via.parse(split_list(text)[0])


def _first_contact(text: str) -> NameAddress | None:
    return None if text == "*" else NameAddress.parse(split_list(text)[0])


def _parse_call_id(text: str) -> str:
    if _CALL_ID.fullmatch(text) is None:
        raise MalformedMessage(f"not a Call-ID: {text[:80]!r}")
    return text


def _parse_expires(text: str) -> int:
    return min(parse_number(text, "Expires", 10**20), _LARGEST)


def _parse_media_type(text: str) -> str:
    match = _MEDIA_TYPE.fullmatch(text)
    if match is None:
        raise MalformedMessage(f"not a media type: {text[:60]!r}")
    return f"{match.group(1)}/{match.group(2)}".lower()
