"""The header lines of one message, in order (RFC 3261 section 7.3).

A line stays the text that came from the wire until its value is asked for, and is written again as it came: most
headers of most messages only travel through. Beside the lines there is the list of their keys (lower case, compact
forms spelled out), so that looking one up is a search for an equal string. Not here: the meaning of a value."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import compress
from typing import Any, Final, TypeVar

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import BARE_NUL, WHITE, split_list
from gateway.sip.known_values import KnownValues

# fmt: off
COMPACT_FORMS = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "n": "identity-info", "o": "event", "r": "refer-to", "s": "subject",
    "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}
_COMMON = (
    "Accept", "Alert-Info", "Allow", "Allow-Events", "Authorization", "Call-ID", "Call-Info", "CSeq", "Contact",
    "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Transfer-Encoding", "Content-Type", "Date",
    "Error-Info", "Event", "Expires", "From", "Max-Forwards", "MIME-Version", "Min-SE", "P-Asserted-Identity",
    "P-Preferred-Identity", "Path", "Privacy", "Proxy-Authenticate", "Proxy-Authorization", "RAck", "Reason",
    "Record-Route", "Refer-To", "Referred-By", "Replaces", "Reply-To", "Require", "Retry-After", "Route",
    "RSeq", "Server", "Service-Route", "Session-Expires", "Subject", "Subscription-State", "Supported", "Timestamp",
    "To", "User-Agent", "Via", "Warning", "WWW-Authenticate",
)
# fmt: on


Value = TypeVar("Value")


class _Keys(dict[str, str]):
    """Header name -> key. Names not met before are computed each time: peers must not make this grow."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        return COMPACT_FORMS.get(lower, lower)


# Interned: searching a list of keys compares identities first.
KEYS = _Keys({name: sys.intern(key) for name, key in COMPACT_FORMS.items()})
KEYS.update({name: sys.intern(name.lower()) for name in _COMMON})
KEYS.update({name.lower(): KEYS[name] for name in _COMMON})


NO_BODY = "Content-Length: 0"

HeaderLine = tuple[str, str]
"""A key, and the whole line."""


def line_of(name: str, value: str) -> HeaderLine:
    """A line that is made once, for many messages."""
    return KEYS[name], f"{name}: {value}"


class Headers:
    """Ordered header lines, looked up by name in any case or in compact form.

    A value that was read stands in the dictionary of this object, under its key, until the first line of that key
    changes: there Python finds it before it asks the class (`header_values.Reading`), and calls no function.
    """

    __slots__ = ("__dict__", "lines", "present")

    def __init__(
        self,
        items: Iterable[tuple[str, str]] = (),
        keys: list[str] | None = None,
        lines: list[str] | None = None,
        known: dict[str, Any] | None = None,
    ) -> None:
        """Lines of names and values; or headers that take over whole lines without their CRLF, the key of each, and the
        values that are `known` of them."""
        self.present: list[str] = [] if keys is None else keys
        """The key of each line: lower case, compact forms spelled out. Everybody may look whether one is there, which
        calls no function; it is changed here alone."""
        self.lines: list[str] = [] if lines is None else lines
        """Likewise."""
        if known is not None:
            self.__dict__ = known
        if items:
            self.add_all(items)

    def get(self, name: str) -> str | None:
        """The value of the first line of that name, None when there is none."""
        key = KEYS[name]
        if key not in self.present:
            return None
        line = self.lines[self.present.index(key)]
        return line[line.index(":") + 1 :].strip(WHITE)

    def parsed(self, key: str, parse: Callable[[str, int], Value]) -> Value | None:
        """The result of parse(line, start of the value) for the first line of that key; None when there is none.

        Remembered until that line changes: a key must always come with the same parse.
        """
        return self.required(key, parse) if key in self.present else None

    def required(self, key: str, parse: Callable[[str, int], Value]) -> Value:
        """The same for a header that must be there: raises MalformedMessage when it is not."""
        try:
            found: Value = self.__dict__[key]
        except KeyError:
            if key not in self.present:
                raise MalformedMessage(f"no {key} header") from None
            line = self.lines[self.present.index(key)]
            found = self.__dict__[key] = parse(line, line.index(":") + 1)
        return found

    def get_all(self, name: str) -> list[str]:
        """The value of each line of that name."""
        key = KEYS[name]
        count = self.present.count(key)
        if count == 0:
            return []
        if count == 1:
            line = self.lines[self.present.index(key)]
            return [line[line.index(":") + 1 :].strip(WHITE)]
        return [value_of(line) for candidate, line in zip(self.present, self.lines, strict=True) if candidate == key]

    def lines_of(self, key: str) -> tuple[str, ...]:
        """The lines of that key, as they stand."""
        index = self.present.index(key)
        if key not in self.present[index + 1 :]:
            return (self.lines[index],)
        return tuple(line for other, line in zip(self.present, self.lines, strict=True) if other == key)

    def values(self, name: str) -> list[str]:
        """The values of all lines of that name, split at commas. Raises MalformedMessage on an unbalanced quote."""
        key = KEYS[name]
        return [*_LISTS[self.lines_of(key)]] if key in self.present else []

    def count(self, name: str) -> int:
        """How many lines have that name."""
        return self.present.count(KEYS[name])

    def add(self, name: str, value: str) -> None:
        """Append a line."""
        self.present += (KEYS[name],)
        self.lines += (f"{name}: {value}",)

    def add_all(self, fields: Headers | Iterable[tuple[str, str]]) -> None:
        """Append the lines of other headers, as they stand, or one for each name and value."""
        if isinstance(fields, Headers):
            self.present += fields.present
            self.lines += fields.lines
        elif fields != ():
            pairs = tuple(fields)
            self.present += [KEYS[name] for name, _ in pairs]
            self.lines += [f"{name}: {value}" for name, value in pairs]

    def prepend(self, name: str, value: str) -> None:
        """Insert a line before the first of that name, or before all others."""
        key = KEYS[name]
        index = self.present.index(key) if key in self.present else 0
        self.present.insert(index, key)
        self.lines.insert(index, f"{name}: {value}")
        self.__dict__.pop(key, None)

    def lead(self, key: str, line: str) -> None:
        """Let that line be the only one of its key, before all others."""
        if key in self.present:
            self._discard(key)
        self.present = [key, *self.present]
        self.lines = [line, *self.lines]

    def set(self, name: str, value: str) -> None:
        """Let value be the only one of that name, in the place of the first; appended when there was none."""
        self.set_lines(((KEYS[name], f"{name}: {value}"),))

    def set_lines(self, lines: Collection[HeaderLine]) -> None:
        """set() for lines that are made already, each of another key."""
        for key, line in lines:
            if key in self.present:
                self._put(key, line)
            else:
                self.present += (key,)
                self.lines += (line,)

    def _put(self, key: str, line: str) -> None:
        index = self.present.index(key)
        if key in self.present[index + 1 :]:
            self._discard(key, kept=index)
        self.lines[index] = line
        self.__dict__.pop(key, None)

    def rewrite(self, index: int, line: str, value: object) -> None:
        """Replace the line with that index, the first of its key, and its value for parsed()."""
        self.lines[index] = line
        self.__dict__[self.present[index]] = value

    def remove(self, name: str) -> None:
        """Remove all lines of that name."""
        key = KEYS[name]
        if key in self.present:
            self._discard(key)

    def remove_first(self, name: str) -> None:
        """Remove the first value of that name: of a line with several, only the first one. Raises MalformedMessage."""
        key = KEYS[name]
        if key not in self.present:
            return
        self.__dict__.pop(key, None)
        index = self.present.index(key)
        rest = split_list(value_of(self.lines[index]))[1:]
        if rest:
            self.lines[index] = f"{name}: {', '.join(rest)}"
        else:
            del self.present[index], self.lines[index]

    def select(self, keys: frozenset[str]) -> Headers:
        """New Headers with the lines of those keys (lower-case full names), as they stand, and their parsed values."""
        wanted = list(map(keys.__contains__, self.present))
        known = {**self.__dict__}
        for key in known.keys() - keys:
            del known[key]
        return Headers((), list(compress(self.present, wanted)), list(compress(self.lines, wanted)), known)

    def extend(self, source: Headers, keys: Collection[str]) -> None:
        """Append the lines of source that have one of the keys (lower-case full names), as they stand."""
        wanted = list(map(keys.__contains__, source.present))
        self.present.extend(compress(source.present, wanted))
        self.lines.extend(compress(source.lines, wanted))

    def items(self) -> Iterator[tuple[str, str]]:
        """Name, as written, and value of each line."""
        for line in self.lines:
            name, _, value = line.partition(":")
            yield name, value.strip(WHITE)

    def __contains__(self, name: str) -> bool:
        return KEYS[name] in self.present

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self.present)}>"

    def copy(self) -> Headers:
        """The same lines, to be changed apart."""
        return Headers((), [*self.present], [*self.lines], {**self.__dict__})

    def to_bytes(self, keys: Collection[str] | None = None) -> bytes:
        """All lines, or those of the keys, each with its CRLF. Raises ValueError when one has a line break or NUL."""
        chosen = self.lines if keys is None else compress(self.lines, map(keys.__contains__, self.present))
        return written([*chosen, ""])

    def _discard(self, key: str, kept: int = -1) -> None:
        indexes = [index for index, other in enumerate(self.present) if other != key or index == kept]
        self.lines = [self.lines[index] for index in indexes]
        self.present = [self.present[index] for index in indexes]
        self.__dict__.pop(key, None)


def to_message(headers: Headers, first_line: str, body: bytes) -> bytes:
    """The bytes of a message, with a right Content-Length, the last line where there is none. Raises ValueError as
    Headers.to_bytes() does."""
    if "content-length" in headers.present:
        headers.set("Content-Length", str(len(body)))
        return b"%s\r\n%s" % (written([first_line, *headers.lines, ""]), body)
    return b"%s\r\n%s" % (written([first_line, *headers.lines, f"Content-Length: {len(body)}", ""]), body)


def written(lines: list[str]) -> bytes:
    """The lines, of which the last is empty. Raises ValueError when one has a line break or NUL in it.

    Nobody can add a header, or end the head early, through a value (a display name, a reason phrase): the line breaks
    are counted in the whole text. A NUL is allowed where RFC 3261 has it, escaped in a quoted string.
    """
    text = "".join(lines)
    if "\n" in text or "\r" in text or ("\0" in text and BARE_NUL.search(text)):
        raise ValueError("a line break or NUL in a header value")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def length_of(headers: Headers) -> int:
    """Characters of all lines."""
    return sum(map(len, headers.lines))


def lengthen(headers: Headers, key: str, text: str) -> None:
    """Add text at the end of the first line of that key, which must be there."""
    index = headers.present.index(key)
    line = headers.lines[index]
    headers.lines[index] = (line.rstrip(WHITE) if line[-1] in WHITE else line) + text
    if key in headers.__dict__:
        del headers.__dict__[key]


def has_several(headers: Headers, key: str) -> bool:
    """Whether that key, which must be there, has several values, on one line or on more. Raises MalformedMessage."""
    keys = headers.present
    index = keys.index(key)
    return key in keys[index + 1 :] or ("," in headers.lines[index] and len(headers.values(key)) > 1)


class _Lists(KnownValues[tuple[str, ...], tuple[str, ...]]):
    """Lines of one key -> their values. Lists (Allow, Supported) come again with every message of a phone."""

    def __missing__(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        values = tuple(value for text in map(value_of, lines) if text for value in split_list(text))
        return self.remember(lines, values) if sum(map(len, lines)) < _LONGEST_LIST else values


_LISTS: Final = _Lists()
_LONGEST_LIST: Final = 500
"""Characters of all lines: some 8 KB with the values, where each of them is short."""


def value_of(line: str) -> str:
    """The value of a line: the text after the colon, trimmed."""
    return line[line.index(":") + 1 :].strip(WHITE)
