"""SIP and SIPS URIs (RFC 3261 section 19.1), and any other URI as an opaque text.

A `Uri` is a value: parse, look, copy with changes, `str()`. Finding out where a URI leads is transport's (RFC 3263).
Escapes stay in `user` as `%HH`, except those of unreserved characters, which mean the characters themselves (19.1.4).
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import Parameters, find_parameter, format_parameters, parse_number, replace_parameter

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
PORT = r"[1-5]?[0-9]{1,4}|6(?:[0-4][0-9]{3}|5(?:[0-4][0-9]{2}|5(?:[0-2][0-9]|3[0-5])))"
"""0..65535; the high ones are those that a NAT gives."""
HOST = rf"\[[0-9A-Fa-f:.]+\]|{_NAME}"
# Phones send more than user-unreserved in a user part ("#" of a star code above all): take all that cannot change the
# structure.
_SAFE = r'[^@:<>"\\\x00-\x20\x7f%]'
_USER = rf"{_SAFE}*(?:%[0-9A-Fa-f]{{2}}{_SAFE}*)*"
_PARAMETERS = r'(?:;[^;?=@<>"\\\x00-\x20\x7f]+(?:=[^;?@<>"\\\x00-\x20\x7f]*)?)*'
_HEADERS = r'[^<>"\\\x00-\x20\x7f]*'
_SIP = re.compile(
    rf"(sips?):(?:({_USER})(?::({_USER}))?@)?({HOST})(?::([0-9]{{1,5}}))?({_PARAMETERS})(?:\?({_HEADERS}))?",
    re.IGNORECASE,
)
# The usual form of a SIP URI, without escapes, IPv6, password and headers. As a part of larger patterns without its
# groups: all that this matches, Uri.parse accepts.
_PLAIN = re.compile(rf"(sips?):(?:({_SAFE}+)@)?({_NAME})(?::({PORT}))?({_PARAMETERS})")
PLAIN_URI = rf"sips?:(?:{_SAFE}+@)?{_NAME}(?::(?:{PORT}))?{_PARAMETERS}"
_OTHER = re.compile(r'([A-Za-z][A-Za-z0-9+.\-]*):([^<>"\\\x00-\x20\x7f]+)')
_SAFE_USER = re.compile(rf"{_SAFE}*")
_ESCAPED_OCTET = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPED_UNRESERVED = re.compile(r"%(?:2[D1EA789]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE)
_LONGEST_KNOWN = 200  # characters, which bounds the memory of the known URIs
_MOST_KNOWN = 4096
# 19.1.4: these must match even when only one of the two URIs has them.
_ALWAYS_COMPARED = ("user", "ttl", "method", "maddr", "transport")


@attrs.frozen
class Uri:
    """A URI. `host` has no brackets; `headers` is the text after "?"; other schemes keep all their text in `user`."""

    scheme: str = "sip"
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    parameters: Parameters = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """The URI that text is, whole and without white space around. Raises MalformedMessage."""
        return KNOWN_URIS[text]

    @classmethod
    def _parse_rare(cls, text: str) -> Uri:
        match = _SIP.fullmatch(text)
        if match is None:
            return cls._parse_other(text)
        scheme, user, password, host, port, parameters, headers = match.groups()
        if user == "":
            raise MalformedMessage("a URI with an empty user")
        if "%" in text:
            user, password, parameters = [part and _unescape(part) for part in (user, password, parameters)]
        return cls(
            scheme.lower(),
            user,
            password,
            parse_host(host),
            None if port is None else parse_number(port, "the port of a URI", 65535),
            _split(parameters) if parameters else (),
            headers or "",
        )

    @classmethod
    def _parse_other(cls, text: str) -> Uri:
        match = _OTHER.fullmatch(text)
        if match is None or match.group(1).lower() in ("sip", "sips"):
            raise MalformedMessage("not a URI")
        return cls(match.group(1), match.group(2))

    def __str__(self) -> str:
        if not self.host:
            return f"{self.scheme}:{self.user}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        password = "" if self.password is None else f":{self.password}"
        user = "" if self.user is None else f"{self.user}{password}@"
        parameters = format_parameters(self.parameters) if self.parameters else ""
        return f"{self.scheme}:{user}{host}{port}{parameters}{headers}"

    def parameter(self, name: str) -> str | None:
        """The value of a URI parameter: '' for a flag, None when absent."""
        return find_parameter(self.parameters, name)

    @property
    def is_sip(self) -> bool:
        """Whether this is a SIP or SIPS URI, the only ones with a host."""
        return bool(self.host)

    @property
    def is_secure(self) -> bool:
        """Whether the scheme is sips."""
        return self.scheme == "sips"

    @property
    def transport(self) -> str | None:
        """The transport parameter in lower case."""
        value = self.parameter("transport")
        return value.lower() if value else None

    def with_parameter(self, name: str, value: str | None) -> Uri:
        """The same URI with that parameter set."""
        return attrs.evolve(self, parameters=replace_parameter(self.parameters, name, value))

    def without_parameters(self) -> Uri:
        """The same URI without parameters and headers."""
        return attrs.evolve(self, parameters=(), headers="")

    def at_host(self, host: str) -> Uri:
        """The same user at another host, without password, port, parameters and headers."""
        return Uri(self.scheme, self.user, None, host)

    def address_of_record(self, domain: str) -> str:
        """The key of this user's bindings in a domain: "sip:user@domain" (section 10.3 step 5).

        Every spelling of a user gives the same key, and no two users share one: escapes are undone, and only what
        would be read as something else, or cannot be kept as text, is written as an escape again. The case of the user
        part counts, that of the host does not (19.1.4). Without scheme, password, port, parameters and headers.
        """
        return f"sip:{_unescaped_user(self.user or '')}@{domain.lower()}"

    def matches(self, other: Uri) -> bool:
        """Whether both are equivalent by RFC 3261 section 19.1.4."""
        if not self.host or not other.host:
            return str(self) == str(other)
        return _identity(self) == _identity(other) and _parameters_match(self, other)


class _KnownUris(dict[str, Uri]):
    """Text -> URI, as `known_values`, but without its call: each call brings URIs of its own. Equal ones share one
    value."""

    def __missing__(self, text: str) -> Uri:
        match = _PLAIN.fullmatch(text)
        if match is None:
            uri = Uri._parse_rare(text)
        else:
            port, parameters = match[4], match[5]
            uri = Uri(
                match[1],
                match[2],
                None,
                match[3],
                None if port is None else int(port),
                _split(parameters) if parameters else (),
            )
        if len(text) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[text] = uri
        return uri


KNOWN_URIS: Final = _KnownUris()


def parse_host(text: str) -> str:
    """A host that matched HOST, an IPv6 reference without its brackets. Raises MalformedMessage."""
    if text[0] != "[":
        return text
    # An extra colon comes from a mistake in RFC 3261's own grammar (RFC 5118 section 4.10).
    host = text[1:-1].replace(":::", "::", 1)
    try:
        IPv6Address(host)
    except AddressValueError:
        raise MalformedMessage("not an IPv6 address") from None
    return host


def _unescape(text: str) -> str:
    """The same text with unreserved characters as themselves."""
    return _ESCAPED_UNRESERVED.sub(lambda match: chr(int(match.group()[1:], 16)), text)


def _split(text: str) -> Parameters:
    if ";" not in text[1:]:
        name, equal, value = text[1:].partition("=")
        return ((name, value if equal else None),)
    pairs = [part.partition("=") for part in text[1:].split(";")]
    return tuple([(name, value if equal else None) for name, equal, value in pairs])


def _identity(uri: Uri) -> tuple[object, ...]:
    headers = sorted(_unescape(header).lower() for header in uri.headers.split("&") if header)
    return uri.scheme, _canonical(uri.user), _canonical(uri.password), canonical_host(uri.host), uri.port, headers


def _canonical(text: str | None) -> str | None:
    return text and _ESCAPE.sub(lambda match: match.group().upper(), _unescape(text))


@lru_cache(maxsize=1024)
def _unescaped_user(user: str) -> str:
    if user.isascii() and _SAFE_USER.fullmatch(user):
        return user
    octets = _ESCAPED_OCTET.sub(lambda match: bytes([int(match[1], 16)]), user.encode("utf-8", "surrogateescape"))
    return "".join(_safe_in_user(character) for character in octets.decode("utf-8", "surrogateescape"))


def _safe_in_user(character: str) -> str:
    if character.isprintable() and _SAFE_USER.fullmatch(character):
        return character
    return "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogateescape"))


def canonical_host(host: str) -> str:
    """The one spelling of a host that compares equal: names in lower case, IPv6 compressed."""
    return IPv6Address(host).compressed if ":" in host else host.lower()


def _parameters_match(one: Uri, other: Uri) -> bool:
    ours = {name.lower(): (value or "").lower() for name, value in one.parameters}
    theirs = {name.lower(): (value or "").lower() for name, value in other.parameters}
    if any(ours.get(name) != theirs.get(name) for name in _ALWAYS_COMPARED):
        return False
    return all(theirs.get(name, value) == value for name, value in ours.items())
