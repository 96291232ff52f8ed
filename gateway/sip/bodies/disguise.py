"""Session descriptions and keys under other names: found, and taken out of bodies that can do without (RFC 4235, 3420).

A description that crosses outside the relay's sight brings keys and addresses of one side to the other. So a body of
any type is looked at: one that holds the lines of a description does not cross. Of a dialog's state the
``session-description`` is taken out, of a fragment of a message everything but its status line.

A body that can be read in two ways does not cross either: one that declares its own entities, or a character set in
which the lines of a description would not look like them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from gateway.sip.bodies.multipart import type_parameter
from gateway.sip.message import Request

_LINES: Final = re.compile(
    rb"(?:\A|[\r\n>])[ \t]*(?:v=0[ \t]*(?=[\r\n]|\Z)|m=[a-z]+[ \t]+[0-9]+|a=crypto[ \t]*:|a=(?:fingerprint|key-mgmt):)"
    rb"|inline:[A-Za-z0-9+/]{36,}",
    re.IGNORECASE,
)

_SECTIONS: Final = (b"<![CDATA[", b"]]>", b"<!--", b"-->")
"""The begin and end of a section of characters and of a comment."""
_TAG: Final = re.compile(rb"<[^<>]*>")
_VALUE: Final = re.compile(rb"=\s?(?:\"([^\"]*)\"|'([^']*)')")
_SCATTERED: Final = re.compile(
    rb"m ?= ?[a-z]+ ?[0-9]+(?:/[0-9]+)? ?(?:rtp|udp|tcp|dccp)"
    rb"|a ?= ?(?:crypto|key-mgmt|fingerprint) ?:|inline ?: ?[A-Za-z0-9+/]{36,}",
    re.IGNORECASE,
)
"""Lines of a description whose pieces may have stood in several elements."""

_SIGNS: Final = (b"crypto", b"inline", b"key-mgmt", b"fingerprint", b"m=", b"m =", b"v=0")
"""Looked for one by one, which takes a hundredth of the pattern's time: most bodies have none."""

_ELEMENT: Final = re.compile(
    rb"<((?:[\w.-]+:)?)session-description\b[^<>]*(?:/>|>.*?</\1session-description\s*>)", re.DOTALL
)
_ELEMENT_NAME: Final = b"session-description"
_MOST_ELEMENTS: Final = 64
"""Descriptions in a body; a body with more has another purpose than to tell the state of dialogs."""

_XML_ENCODING: Final = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_XML_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1"})
_LIKE_ASCII: Final = re.compile(
    r"utf-?8|(?:us-)?ascii|iso-8859-[0-9]{1,2}|(?:windows-|cp)125[0-8]|koi8-[ru]|tis-620"
    r"|gb2312|gbk|gb18030|big5|shift_jis|euc-(?:jp|kr)",
    re.IGNORECASE,
)
"""Character sets in which the lines of a description look like themselves."""

_STATUS_LINE: Final = re.compile(rb"SIP/2\.0 [1-6][0-9][0-9](?: [^\r\n]*)?")
_OF_FRAGMENTS: Final = (b"reason:", b"retry-after:")

_LARGEST_KEY_MESSAGE: Final = 4096
"""Bytes; longer bodies are no part of an exchange of keys in Sipura's own way."""

_KEY_MESSAGE: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4}){40,}(?:[A-Za-z0-9+/]{2,3}={1,2})?")
"""At least 120 bytes in base64, white space taken out: "Caller Final", the shortest message, holds a signature and
a wrapped key."""


def holds_description(body: bytes) -> bool:
    """Whether a body has lines of a session description: as they are, as XML writes them, or in UTF-16 or UTF-32, which
    readers guess from a body's first bytes; or pieces of them that only markup keeps apart."""
    texts = {body, _unescaped(body), body.replace(b"\0", b"")}
    if any(_finds(_LINES, text) for text in texts):
        return True
    return any(_finds(_SCATTERED, text) for marked in texts if b"<" in marked for text in _texts_of(marked))


def _finds(lines: re.Pattern[bytes], text: bytes) -> bool:
    lower = text.lower()
    return any(sign in lower for sign in _SIGNS) and lines.search(text) is not None


def _texts_of(body: bytes) -> Iterator[bytes]:
    """The text of a body of XML as a reader may put it together: that of its elements, and that of their attributes,
    each with its references before and after they are read."""
    together = b" ".join(body.split())
    values = b"".join([one or other for one, other in _VALUE.findall(together)])
    for written in (_without_markup(together), values):
        yield written
        if b"&" in written:
            yield _without_markup(_unescaped(written))


def _without_markup(text: bytes) -> bytes:
    """Without tags, and without the white space around them, which is one space each."""
    for mark in _SECTIONS:
        text = text.replace(mark, b"<>")
    return _TAG.sub(b"", text.replace(b" <", b"<").replace(b"> ", b">"))


def without_descriptions(type_line: str, body: bytes) -> bytes | None:
    """A body of XML or text without session descriptions: itself when it has none; None when it cannot be told. Raises
    MalformedMessage."""
    charset = type_parameter(type_line, "charset") or ""
    if charset and _LIKE_ASCII.fullmatch(charset) is None:
        return None
    if _is_xml(type_line):
        if not _is_plain_xml(body, charset):
            return None
        if body.count(_ELEMENT_NAME) > _MOST_ELEMENTS:
            return None
        body = _ELEMENT.sub(b"", body)
        if _ELEMENT_NAME in _unescaped(body).lower():
            return None
    return None if holds_description(body) else body


def status_line(fragment: bytes) -> bytes | None:
    """A fragment of a response (RFC 3420): its status line with the reason, no other field, no body; None for another
    fragment. A transfer's events begin with that line (RFC 3515 section 2.4.5)."""
    first, *lines = re.split(rb"\r?\n", fragment)
    if _STATUS_LINE.fullmatch(first) is None:
        return None
    if not any(lines):
        return fragment
    head = lines[: lines.index(b"")] if b"" in lines else lines
    kept = [first, *(line for line in head if line.lower().startswith(_OF_FRAGMENTS))]
    return b"".join(line + b"\r\n" for line in kept)


def _unescaped(body: bytes) -> bytes:
    """The characters that references of XML stand for."""
    if b"&" not in body:
        return body
    return html.unescape(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogatepass")


def _is_xml(type_line: str) -> bool:
    bare = type_line.partition(";")[0].strip().lower()
    return bare.endswith(("+xml", "/xml"))


def _is_plain_xml(body: bytes, charset: str) -> bool:
    declared = _XML_ENCODING.search(body[:256])
    charsets = {charset.lower() or "utf-8", declared[1].decode("latin-1").lower() if declared else "utf-8"}
    return b"\0" not in body and charsets <= _XML_CHARSETS and b"<!DOCTYPE" not in body and b"<!ENTITY" not in body


def is_own_srtp(request: Request) -> bool:
    """Whether a request is part of an exchange of keys in Sipura's own way (INFO with x-sipura)."""
    if request.method != "INFO" or not request.body:
        return False
    if "sipura" in (request.content_type or ""):
        return True
    return (
        len(request.body) <= _LARGEST_KEY_MESSAGE and _KEY_MESSAGE.fullmatch(b"".join(request.body.split())) is not None
    )
