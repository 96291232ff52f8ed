"""Multipart bodies (RFC 2046 section 5.1, RFC 5621): read into parts, written again.

    Content-Type, body --split--> parts --join--> Content-Type, body

Reading is strict: nothing but line breaks stands before the first part and behind the last, and the boundary nowhere
else. A body that another reader could cut in another place is none: a part that we did not see would cross unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import TOKEN, find_parameter, parse_parameters
from gateway.sip.headers import Headers

MOST_PARTS: Final = 32

_BOUNDARY: Final = re.compile(r"[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]")
_LINE: Final = re.compile(rf"({TOKEN})[ \t]*:[ \t]*(.*)", re.DOTALL)
_FOLD: Final = re.compile(rb"\r\n[ \t]+")
_PLAIN_ENCODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})


@attrs.frozen
class BodyPart:
    """One part: its header fields, and its content."""

    headers: Headers = attrs.field(eq=False)
    body: bytes = attrs.field(repr=False)

    @property
    def type_line(self) -> str:
        """The Content-Type with its parameters; that of a part without one is text (RFC 2046 section 5.2)."""
        return self.headers.get("Content-Type") or "text/plain"

    @property
    def content_type(self) -> str:
        """The same without parameters, in lower case."""
        return bare_type(self.type_line)

    @property
    def is_encoded(self) -> bool:
        """Whether its content has to be decoded before it can be read."""
        return is_encoded(self.headers)

    @property
    def disposition(self) -> str:
        """The Content-Disposition without parameters, in lower case; empty for none (RFC 3261 section 20.11)."""
        return (self.headers.get("Content-Disposition") or "").partition(";")[0].strip().lower()

    @property
    def is_optional(self) -> bool:
        """Whether it may be left out (``handling=optional``)."""
        return is_optional(self.headers)


def is_encoded(headers: Headers) -> bool:
    """Whether a body with these fields has to be decoded before it can be read: any line of them may say so."""
    if "content-transfer-encoding" not in headers.present and "content-encoding" not in headers.present:
        return False
    transfer = {value.strip().lower() for value in headers.get_all("Content-Transfer-Encoding")}
    return not transfer <= _PLAIN_ENCODINGS or any(headers.get_all("Content-Encoding"))


def is_optional(headers: Headers) -> bool:
    """Whether a body with these fields may be left out (``handling=optional``, RFC 3261 section 8.2.3)."""
    disposition = (headers.get("Content-Disposition") or "").lower().replace(" ", "").replace('"', "")
    return "handling=optional" in disposition.split(";")


def bare_type(type_line: str) -> str:
    """type/subtype in lower case, without parameters."""
    return "".join(type_line.partition(";")[0].split()).lower()


def type_parameter(type_line: str, name: str) -> str | None:
    """A parameter of a Content-Type, None when absent. Raises MalformedMessage for one that stands there twice, or in
    the pieces of RFC 2231 section 3: another reader could take another value for it."""
    _, semicolon, rest = type_line.partition(";")
    parameters = parse_parameters(semicolon + rest) if rest.strip() else ()
    same = [key for key, _ in parameters if key.lower().partition("*")[0] == name]
    if len(same) > 1 or any("*" in key for key in same):
        raise MalformedMessage(f"more than one {name}")
    return find_parameter(parameters, name)


def boundary_of(type_line: str) -> str:
    """The boundary that a Content-Type names. Raises MalformedMessage."""
    boundary = type_parameter(type_line, "boundary")
    if boundary is None or _BOUNDARY.fullmatch(boundary) is None:
        raise MalformedMessage("a multipart without a boundary")
    return boundary


def split(type_line: str, body: bytes) -> tuple[BodyPart, ...]:
    """The parts of a multipart body. Raises MalformedMessage."""
    delimiter = b"--" + boundary_of(type_line).encode()
    first, *pieces = re.split(rb"(?:\A|\r\n)%s(?=--|[ \t]*\r\n)" % re.escape(delimiter), body)
    if first.strip(b"\r\n") or not 2 <= len(pieces) <= MOST_PARTS + 1 or body.count(delimiter) != len(pieces):
        raise MalformedMessage("a multipart that cannot be cut into its parts")
    *found, last = pieces
    if not last.startswith(b"--") or last[2:].strip(b" \t\r\n"):
        raise MalformedMessage("a multipart without an end")
    return tuple(_part(piece.lstrip(b" \t")) for piece in found)


def join(parts: Sequence[BodyPart], boundary: str) -> bytes:
    """The body of a multipart of these parts."""
    delimiter = b"--" + boundary.encode()
    written = (b"%s\r\n%s\r\n%s\r\n" % (delimiter, part.headers.to_bytes(), part.body) for part in parts)
    return b"".join((*written, delimiter, b"--\r\n"))


def fresh_boundary(bodies: Iterable[bytes]) -> str:
    """A boundary that stands in none of these, and is the same each time."""
    return sha256(b"\0".join(bodies)).hexdigest()[:32]


def _part(piece: bytes) -> BodyPart:
    """The part that stands behind its delimiter, from the line break on."""
    if piece.startswith(b"\r\n\r\n"):
        return BodyPart(Headers(), piece[4:])
    head, gap, content = piece[2:].partition(b"\r\n\r\n")
    if not gap:
        raise MalformedMessage("a part without an empty line")
    lines = _FOLD.sub(b" ", head).decode("utf-8", "surrogateescape").split("\r\n")
    fields = [_LINE.fullmatch(line) for line in lines]
    if any(field is None or set("\r\n\0") & set(field[2]) for field in fields):
        raise MalformedMessage("a part with a line that is no header")
    headers = Headers([(field[1], field[2].strip()) for field in fields if field is not None])
    if headers.count("Content-Type") > 1 or headers.count("Content-Transfer-Encoding") > 1:
        raise MalformedMessage("a part of two types")
    return BodyPart(headers, content)
