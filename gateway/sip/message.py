"""Requests and responses (RFC 3261 section 7): a first line, headers and a body.

Headers are parsed when asked for; a value is remembered with the line it came from, so that the transport, the
transaction and the dialog that ask the same question cost one parse. Reading bytes is parser.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import ClassVar, Literal, TypeVar, cast

import attrs

from gateway.sip import header_values as fields
from gateway.sip.address import NameAddress
from gateway.sip.bodies.multipart import BodyPart, fresh_boundary, join
from gateway.sip.errors import MalformedMessage
from gateway.sip.header_values import CSeq
from gateway.sip.headers import NO_BODY, Headers, lengthen, to_message, written
from gateway.sip.uri import KNOWN_URIS, Uri

_SECONDS = re.compile(r"([0-9]{1,9})[0-9]*[ \t]*(?:[;(]|$)")

__all__ = ["REASONS", "CSeq", "Message", "Request", "Response", "stateless_tag", "tag_for"]

Value = TypeVar("Value")

_OF_PARTS = frozenset(
    {
        "content-type",
        "content-disposition",
        "content-encoding",
        "content-id",
        "content-language",
        "content-transfer-encoding",
    }
)
_RECORDS_ROUTE = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})
IDENTIFIES = frozenset({"via", "from", "to", "call-id", "cseq"})
_IDENTIFIES_ROUTE = IDENTIFIES | {"record-route"}
_IDENTIFIES_TIME = IDENTIFIES | {"timestamp"}


def _mandatory(key: str, parse: Callable[[str, int], Value]) -> Value:
    """An attribute with the value of a header; raises MalformedMessage when that is missing or malformed.

    A call asks for some seventy, so no function of ours is called for one that is known (`Headers`). A `__getattr__`
    would do the same, but makes every attribute of a message dear: Python looks up none of such a class in its quick
    way.
    """
    setattr(Headers, key, fields.Reading(key, parse, optional=False))
    return cast(Value, property(attrgetter(f"headers.{key}")))


def _optional(key: str, parse: Callable[[str, int], Value]) -> Value | None:
    """The same for a header that may be missing, which is None."""
    setattr(Headers, key, fields.Reading(key, parse, optional=True))
    return cast("Value | None", property(attrgetter(f"headers.{key}")))


class _Message:
    """The common part of requests and responses. Every question about a header raises MalformedMessage."""

    __slots__ = ()
    headers: Headers
    body: bytes
    beside: tuple[BodyPart, ...]
    """Parts that travel with the body in a multipart (`bodies.session_part`)."""

    top_via = _mandatory("via", fields.first_via)
    """The first value of the first Via line."""
    from_ = _mandatory("from", fields.address)
    to = _mandatory("to", fields.address)
    call_id = _mandatory("call-id", fields.call_id)
    """An opaque text, compared by case."""
    cseq = _mandatory("cseq", fields.cseq)
    contact = _optional("contact", fields.first_contact)
    """The first Contact value; None when there is none, and for "*"."""
    max_forwards = _optional("max-forwards", fields.max_forwards)
    """Hops left, 0..2**32-1."""
    expires = _optional("expires", fields.expires)
    """Seconds, at most 2**32-1 (a larger number means that, section 20.19)."""
    content_type = _optional("content-type", fields.media_type)
    """type/subtype in lower case, without parameters."""

    @property
    def contacts(self) -> list[NameAddress]:
        """All Contact values; empty for none and for "*"."""
        values = self.headers.values("contact")
        return [] if values == ["*"] else [NameAddress.parse(value) for value in values]

    @property
    def is_wildcard_contact(self) -> bool:
        """Whether Contact is "*" (section 10.2.2)."""
        return self.headers.get("contact") == "*"

    def _with_body(self, first_line: str) -> bytes:
        headers, body = _together(self) if self.beside else (self.headers, self.body)
        return to_message(headers, first_line, body)


@attrs.define(eq=False)
class Request(_Message):
    """A request. `uri` is the Request-URI as text, `request_uri` the same parsed."""

    method: str
    uri: str
    headers: Headers = attrs.field(factory=Headers)
    body: bytes = b""
    beside: tuple[BodyPart, ...] = ()
    is_request: ClassVar[Literal[True]] = True

    @property
    def title(self) -> str:
        """The method: a short name for people, as a ladder has it."""
        return self.method

    @property
    def request_uri(self) -> Uri:
        """The Request-URI. Raises MalformedMessage."""
        return KNOWN_URIS[self.uri]

    def to_bytes(self) -> bytes:
        """The wire form, with a right Content-Length. Raises ValueError when a value has a line break in it."""
        first_line = f"{self.method} {self.uri} SIP/2.0"
        if self.body or self.beside or "content-length" in self.headers.present:
            return self._with_body(first_line)
        return written([first_line, *self.headers.lines, NO_BODY, "", ""])

    def response(self, status: int, reason: str | None = None, to_tag: str | None = None) -> Response:
        """A response to this request (section 8.2.6.2): Via, From, To, Call-ID and CSeq as they came.

        A To without a tag gets to_tag. A provisional or successful answer to a request that makes a dialog also has
        the Record-Route lines (section 12.1.1), a 100 the Timestamp (section 8.2.6.1).
        """
        if reason is None:
            reason = REASONS[status] if status in REASONS else _reason(status)
        copied = _IDENTIFIES_ROUTE if status < 300 and self.method in _RECORDS_ROUTE else IDENTIFIES
        headers = self.headers.select(_IDENTIFIES_TIME if status == 100 else copied)
        response = Response(status, reason, headers)
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
    beside: tuple[BodyPart, ...] = ()
    is_request: ClassVar[Literal[False]] = False

    @property
    def title(self) -> str:
        """Status and reason: a short name for people, as a ladder has it."""
        return f"{self.status} {self.reason}"

    @property
    def retry_after(self) -> int | None:
        """The seconds of Retry-After (section 20.33); None where there are none that can be read."""
        found = _SECONDS.match(self.headers.get("Retry-After") or "")
        return None if found is None else int(found[1])

    def to_bytes(self) -> bytes:
        """The wire form, with a right Content-Length. Raises ValueError when a value has a line break in it."""
        first_line = f"SIP/2.0 {self.status} {self.reason}"
        if self.body or self.beside or "content-length" in self.headers.present:
            return self._with_body(first_line)
        return written([first_line, *self.headers.lines, NO_BODY, "", ""])

    def add_to_tag(self, tag: str) -> None:
        """Give To this tag unless it has one. A To that cannot be read (this is its 400, then) gets it appended."""
        try:
            is_as_it_was = self.to.tag is not None
        except MalformedMessage:
            is_as_it_was = "to" not in self.headers
        if not is_as_it_was:
            lengthen(self.headers, "to", f";tag={tag}")


Message = Request | Response


def tag_for(*identity: Hashable) -> str:
    """A To tag that is the same for each copy of a request (sections 8.2.6.2 and 8.2.7), when its `identity` is.

    hash() of text is salted per process, so the tag tells nothing about us, and nobody can choose two requests that
    share one.
    """
    return f"{hash(identity) & 0xFFFFFFFFFFFF:012x}"


def stateless_tag(request: Request) -> str:
    """The To tag of a response without transaction."""
    return tag_for(request.headers.get("Via"), request.headers.get("Call-ID"))


def _together(message: _Message) -> tuple[Headers, bytes]:
    """Header fields and body of a message with parts beside its body: one of them goes as it is, several as a
    multipart."""
    headers = message.headers.copy()
    parts = message.beside
    if message.body:
        parts = (BodyPart(headers.select(_OF_PARTS), message.body), *parts)
    for name in (*_OF_PARTS, "mime-version", "content-length"):
        headers.remove(name)
    if len(parts) == 1:
        headers.extend(parts[0].headers, _OF_PARTS)
        return headers, parts[0].body
    boundary = fresh_boundary(part.body for part in parts)
    headers.add("MIME-Version", "1.0")
    headers.add("Content-Type", f"multipart/mixed;boundary={boundary}")
    described = [BodyPart(part.headers.select(_OF_PARTS), part.body) for part in parts]
    return headers, join(described, boundary)


def _reason(status: int) -> str:
    """The text of a status that has none of its own: that of its class."""
    return REASONS.get(status // 100 * 100, "")


REASONS: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    425: "Bad Alert Message",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
