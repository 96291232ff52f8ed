"""A session description as lines that can be changed and written again (RFC 4566, RFC 8866).

Here: splitting a body into its session part and its m-lines, the few fields a gateway must read or replace (origin,
connection, port, profile, attributes, direction), and writing it back. Not here: the meaning of ``a=crypto``
(crypto.py), offer/answer choices (negotiation.py), codecs.

    bytes --Description.parse--> Description(attributes, media=[Media...]) --changes--> to_bytes() --> bytes

Unknown lines are kept, in order. Attributes are written after the other lines of their part, where RFC 8866 section 9
wants them. ``parse`` raises MalformedDescription and nothing else, for any bytes.
"""

import re
from enum import StrEnum
from functools import lru_cache
from string import ascii_letters
from typing import ClassVar, Final

import attrs

from gateway.sdp.shared_lines import LONGEST_KNOWN, OfOneCall, check_shared

MAXIMUM_BYTES = 65_535
MAXIMUM_LINES = 2_000
MAXIMUM_MEDIA = 64

_LETTERS: Final = frozenset(ascii_letters)
_BLANK: Final = re.compile(r"\n\s|\A\s")
"""The sign of a line that is blank, or begins with a blank."""
_Lines = tuple[tuple[tuple[str, str | None], ...], tuple[tuple[str, str], ...]]
"""Attributes, and other lines."""


class MalformedDescription(Exception):
    """A body, or one of its lines, that cannot be read. ``reason`` never repeats key material."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Direction(StrEnum):
    """The way that media flow, seen from the writer of the description (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


_DIRECTIONS: Final = {direction.value: direction for direction in Direction}


@attrs.frozen
class Origin:
    """The ``o=`` line (RFC 8866 section 5.2). ``version`` goes up by one with every change of the description."""

    username: str
    session_id: str
    version: str
    address_type: str
    address: str

    @classmethod
    def parse(cls, value: str) -> "Origin":
        # Counted from the right: some phones put a display name with spaces into <username>.
        fields = value.rsplit(maxsplit=5)
        if len(fields) != 6:
            raise MalformedDescription("o= has fewer than six fields")
        username, session_id, version, _network, address_type, address = fields
        return cls(username, session_id, version, address_type, address)

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {self.address_type} {self.address}"


@attrs.define
class Part:
    """The common part of a session and an m-line: attributes, and other lines kept as (type letter, value)."""

    _before_connection: ClassVar[str] = "vosiuep"
    """The types of line that stand before ``c=`` (RFC 8866 section 9)."""

    attributes: list[tuple[str, str | None]] = attrs.field(factory=list, kw_only=True)
    lines: list[tuple[str, str]] = attrs.field(factory=list, kw_only=True)

    def attribute(self, name: str) -> str | None:
        """The first such attribute's value; "" for one without a value, None when absent."""
        for key, value in self.attributes:
            if key == name:
                return value or ""
        return None

    def attributes_named(self, name: str) -> list[str]:
        """The value of every such attribute, in order ("" for one without a value)."""
        return [value or "" for key, value in self.attributes if key == name]

    def has_attribute(self, name: str) -> bool:
        return self.attribute(name) is not None

    def add_attribute(self, name: str, value: str | None = None) -> None:
        self.attributes.append((name, value))

    def remove_attribute(self, name: str) -> None:
        """Remove every such attribute."""
        self.attributes = [item for item in self.attributes if item[0] != name]

    def line(self, letter: str) -> str | None:
        """The first line of that type (not ``a`` or ``m``), as text."""
        for key, value in self.lines:
            if key == letter:
                return value
        return None

    def remove_lines(self, letter: str) -> None:
        self.lines = [item for item in self.lines if item[0] != letter]

    @property
    def connection(self) -> str | None:
        """The address of this part's own ``c=`` line, without any multicast suffix; None when it has none."""
        for letter, value in self.lines:
            if letter == "c":
                fields = value.split()
                return fields[2].partition("/")[0] if len(fields) == 3 else None
        return None

    @connection.setter
    def connection(self, address: str | None) -> None:
        """Replace this part's ``c=`` lines by one, in the place RFC 8866 gives it; None removes them."""
        self.remove_lines("c")
        if address is not None:
            self.lines.insert(self._connection_place(), ("c", f"IN {address_type(address)} {address}"))

    def _connection_place(self) -> int:
        letters = [letter for letter, _ in self.lines]
        return next((i for i, letter in enumerate(letters) if letter not in self._before_connection), len(letters))

    def _own_direction(self) -> Direction | None:
        for name, _ in self.attributes:
            if name in _DIRECTIONS:
                return _DIRECTIONS[name]
        return None

    def _remove_direction(self) -> None:
        self.attributes = [item for item in self.attributes if item[0] not in _DIRECTIONS]

    def _text(self) -> list[str]:
        lines = [f"{letter}={value}" for letter, value in self.lines]
        return lines + [f"a={name}" if value is None else f"a={name}:{value}" for name, value in self.attributes]


@attrs.define
class Media(Part):
    """One m-line and the lines below it (RFC 8866 section 5.14). ``port`` 0 means refused or removed (RFC 3264)."""

    _before_connection: ClassVar[str] = "i"

    kind: str
    port: int
    protocol: str
    formats: list[str]
    port_count: int = 1
    inherited_direction: Direction = Direction.SENDRECV

    @classmethod
    def parse(cls, value: str) -> "Media":
        fields = value.split()
        if len(fields) < 3:
            raise MalformedDescription("m= has fewer than three fields")
        port, _, count = fields[1].partition("/")
        media = cls(fields[0], _number(port, 65_535), fields[2], fields[3:])
        media.port_count = _number(count, 65_535) if count else 1
        return media

    @property
    def is_active(self) -> bool:
        return self.port != 0

    @property
    def is_rtp(self) -> bool:
        """Whether it is any RTP profile, DTLS-SRTP's included."""
        return "RTP" in self.protocol.upper().split("/")

    @property
    def is_secure(self) -> bool:
        """Whether its profile is RTP/SAVP or RTP/SAVPF: keys by ``a=crypto`` (not DTLS, which is another profile)."""
        return self.protocol.upper() in ("RTP/SAVP", "RTP/SAVPF")

    @property
    def direction(self) -> Direction:
        """Its own direction, else the session's, else sendrecv (RFC 8866 section 6.7)."""
        return self._own_direction() or self.inherited_direction

    @direction.setter
    def direction(self, direction: Direction) -> None:
        self._remove_direction()
        self.add_attribute(direction.value)

    def _text(self) -> list[str]:
        count = "" if self.port_count == 1 else f"/{self.port_count}"
        return [" ".join([f"m={self.kind}", f"{self.port}{count}", self.protocol, *self.formats]), *super()._text()]


@attrs.define
class Description(Part):
    """A whole session description."""

    media: list[Media] = attrs.field(factory=list)

    @classmethod
    def parse(cls, body: bytes) -> "Description":
        """The description in ``body``; raises MalformedDescription."""
        session, *sections = _text_of(body).split("\nm=")
        attributes, lines = _parsed(session.split("\n"))
        description = cls(attributes=attributes, lines=lines)
        # Every description passes here several times, and phones of a kind write the same below their m-lines.
        for section in sections:
            first, _, below = section.partition("\n")
            media = Media.parse(first)
            read = _lines_of(below)
            media.attributes, media.lines = [*read[0]], [*read[1]]
            description.media.append(media)
        description._check()
        return description

    def to_bytes(self) -> bytes:
        lines = self._text()
        for media in self.media:
            lines += media._text()
        lines.append("")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")

    @property
    def origin(self) -> Origin:
        return Origin.parse(self.line("o") or "")

    @origin.setter
    def origin(self, origin: Origin) -> None:
        self.lines = [("o", str(origin)) if letter == "o" else (letter, value) for letter, value in self.lines]

    def connection_of(self, media: Media) -> str | None:
        """Where ``media`` wants its packets: its own ``c=`` address, else the session's."""
        return media.connection or self.connection

    def _check(self) -> None:
        if len(self.media) > MAXIMUM_MEDIA:
            raise MalformedDescription("too many m-lines")
        if len((self.line("o") or "").rsplit(maxsplit=5)) != 6:
            raise MalformedDescription("o= has fewer than six fields")
        inherited = self._own_direction() or Direction.SENDRECV
        for part in (self, *self.media):
            for letter, value in part.lines:
                if letter == "c":
                    if len(value.split()) != 3:
                        raise MalformedDescription("c= has not three fields")
                    break
        for media in self.media:
            media.inherited_direction = inherited


def address_type(address: str) -> str:
    """IP6 for an IPv6 literal, IP4 for IPv4 literals and names."""
    return "IP6" if ":" in address else "IP4"


def _text_of(body: bytes) -> str:
    """The lines that are not blank, ended by LF; in the body by CRLF, LF or CR."""
    if len(body) > MAXIMUM_BYTES or b"\0" in body:
        raise MalformedDescription("too long, or holds a NUL byte")
    # surrogateescape: text in another charset (s=, i=) passes through byte for byte.
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    if _BLANK.search(text) is not None:
        text = "\n".join([line for line in text.split("\n") if line and not line.isspace()])
    if not text or text.count("\n") >= MAXIMUM_LINES:
        raise MalformedDescription("no lines, or too many")
    first = text.partition("\n")[0]
    if first[:2] != "v=" or first[2:].strip(" \t") != "0":
        raise MalformedDescription("does not begin with v=0")
    return text


def _parsed(lines: list[str]) -> tuple[list[tuple[str, str | None]], list[tuple[str, str]]]:
    """Attributes, and other lines than m-lines."""
    attributes: list[tuple[str, str | None]] = []
    others: list[tuple[str, str]] = []
    for line in lines:
        letter, value = line[0], line[2:]
        if line[1:2] != "=" or letter not in _LETTERS:
            raise MalformedDescription("a line is not of the form x=value")
        if letter == "a":
            name, colon, value = value.partition(":")
            attributes.append((name.strip(), value.strip() if colon else None))
        else:
            others.append((letter, value.strip(" \t") if letter in "voc" else value))
    return attributes, others


def _read(below: str) -> _Lines:
    """Those of the lines below an m-line."""
    attributes, others = _parsed(below.split("\n") if below else [])
    return tuple(attributes), tuple(others)


def _lines_of(below: str) -> _Lines:
    """The same, perhaps remembered."""
    if len(below) <= LONGEST_KNOWN and "crypto" not in below:
        try:
            return _known(below)
        except OfOneCall:
            pass
    return _read(below)


@lru_cache(maxsize=256)
def _known(below: str) -> _Lines:
    """The same, remembered; raises OfOneCall. Of a peer's lines that are not of the form nothing is kept either."""
    check_shared(below)
    return _read(below)


def _number(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > maximum:
        raise MalformedDescription("a port is not a number in range")
    return int(text)
