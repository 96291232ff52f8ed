"""Requests and responses (RFC 3261 section 7): a first line, headers and a body.

Headers are parsed when asked for; what a header said is remembered with the line it came from, so that the
transport, the transaction and the dialog that ask the same question cost one parse. Reading bytes is parser.py's.
"""

from __future__ import annotations

import attrs

from gateway.sip import fields
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.fields import CSeq
from gateway.sip.headers import Headers
from gateway.sip.reasons import REASONS
from gateway.sip.uri import Uri
from gateway.sip.via import Via

__all__ = ["REASONS", "CSeq", "Message", "Request", "Response"]

_RECORDS_ROUTE = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})
_IDENTIFIES = frozenset({"via", "from", "to", "call-id", "cseq"})
_IDENTIFIES_ROUTE = _IDENTIFIES | {"record-route"}


class _Message:
    """What requests and responses have in common. All properties raise MalformedMessage."""

    __slots__ = ()
    headers: Headers
    body: bytes

    @property
    def top_via(self) -> Via:
        """The first value of the first Via line."""
        return self.headers.required("via", fields.first_via)

    @property
    def from_(self) -> NameAddress:
        """The From header."""
        return self.headers.required("from", fields.address)

    @property
    def to(self) -> NameAddress:
        """The To header."""
        return self.headers.required("to", fields.address)

    @property
    def call_id(self) -> str:
        """The Call-ID, an opaque text compared by case."""
        return self.headers.required("call-id", fields.call_id)

    @property
    def cseq(self) -> CSeq:
        """The CSeq header."""
        return self.headers.required("cseq", fields.cseq)

    @property
    def contacts(self) -> list[NameAddress]:
        """All Contact values; empty for none and for "*"."""
        values = self.headers.values("contact")
        return [] if values == ["*"] else [NameAddress.parse(value) for value in values]

    @property
    def contact(self) -> NameAddress | None:
        """The first Contact value; None when there is none, and for "*"."""
        return self.headers.parsed("contact", fields.first_contact)

    @property
    def is_wildcard_contact(self) -> bool:
        """Whether Contact is "*" (section 10.2.2)."""
        return self.headers.get("contact") == "*"

    @property
    def max_forwards(self) -> int | None:
        """Hops left, 0..2**32-1; None when the header is missing."""
        return self.headers.parsed("max-forwards", fields.max_forwards)

    @property
    def expires(self) -> int | None:
        """Expires in seconds, at most 2**32-1 (a larger number means that, section 20.19); None when missing."""
        return self.headers.parsed("expires", fields.expires)

    @property
    def content_type(self) -> str | None:
        """type/subtype in lower case, without parameters; None when missing."""
        return self.headers.parsed("content-type", fields.media_type)

    def _to_bytes(self, first_line: str) -> bytes:
        length = str(len(self.body))
        if self.headers.get("content-length") != length:
            self.headers.set("Content-Length", length)
        return b"%s\r\n%s" % (self.headers.to_bytes(first_line), self.body)


@attrs.define(eq=False)
class Request(_Message):
    """A request. `uri` is the Request-URI as text, `request_uri` the same parsed."""

    method: str
    uri: str
    headers: Headers = attrs.field(factory=Headers)
    body: bytes = b""

    @property
    def request_uri(self) -> Uri:
        """The Request-URI. Raises MalformedMessage."""
        return Uri.parse(self.uri)

    def to_bytes(self) -> bytes:
        """The wire form, with a right Content-Length. Raises ValueError when a value has a line break in it."""
        return self._to_bytes(f"{self.method} {self.uri} SIP/2.0")

    def response(self, status: int, reason: str | None = None, to_tag: str | None = None) -> Response:
        """A response to this request (section 8.2.6.2): Via, From, To, Call-ID and CSeq as they came.

        A To without a tag gets to_tag. A provisional or successful answer to what makes a dialog also has the
        Record-Route lines (section 12.1.1).
        """
        makes_dialog = 100 < status < 300 and self.method in _RECORDS_ROUTE
        wanted = _IDENTIFIES_ROUTE if makes_dialog else _IDENTIFIES
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

    def to_bytes(self) -> bytes:
        """The wire form, with a right Content-Length. Raises ValueError when a value has a line break in it."""
        return self._to_bytes(f"SIP/2.0 {self.status} {self.reason}")

    def add_to_tag(self, tag: str) -> None:
        """Give To this tag unless it has one. A To that cannot be read (this is its 400, then) gets it appended."""
        value = self.headers.get("to")
        if value is not None and not _has_tag(self):
            self.headers.set("To", f"{value};tag={tag}")


Message = Request | Response


def _reason(status: int) -> str:
    return REASONS.get(status) or REASONS.get(status // 100 * 100, "")


def _has_tag(message: _Message) -> bool:
    try:
        return message.to.tag is not None
    except MalformedMessage:
        return False
