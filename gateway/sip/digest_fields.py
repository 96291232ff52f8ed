"""The `Digest name=value, ...` form that challenges and credentials share (RFC 7616 sections 3.3 to 3.5).

Only the syntax: which parameter means what is in digest.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import QUOTED, TOKEN, WHITE, quote, unquote

_SCHEME = re.compile(rf"({TOKEN})(?:[ \t]+(.*))?", re.DOTALL)
_FIELD = re.compile(rf"[ \t,]*({TOKEN})[ \t]*=[ \t]*({QUOTED}|[^ \t,\"]*)[ \t]*(?:,[ \t,]*|\Z)", re.DOTALL)
_LARGEST = 8192  # characters


class UnknownScheme(MalformedMessage):
    """An authentication scheme other than Digest: no error of the peer's, only nothing for us."""


def parse_fields(text: str) -> dict[str, str]:
    """Lower-case name -> unquoted value. Raises MalformedMessage (UnknownScheme when it is not Digest)."""
    match = _SCHEME.fullmatch(text.strip(WHITE))
    if match is None or len(text) > _LARGEST:
        raise MalformedMessage("no authentication header")
    scheme, rest = match.groups()
    if scheme.lower() != "digest":
        raise UnknownScheme(f"authentication scheme {scheme[:40]}")
    return _parse_list(rest or "")


def _parse_list(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _FIELD.match(text, position)
        if match is None:
            raise MalformedMessage("a Digest parameter that cannot be read", position)
        name = match.group(1).lower()
        if name in fields:
            raise MalformedMessage(f"Digest parameter {name[:40]} twice", position)
        fields[name] = unquote(match.group(2))
        position = match.end()
    return fields


def required(fields: dict[str, str], name: str) -> str:
    """The value of a parameter that must be there. Raises MalformedMessage."""
    if name not in fields:
        raise MalformedMessage(f"Digest without {name}")
    return fields[name]


def format_fields(quoted: Iterable[tuple[str, str | None]], plain: Iterable[tuple[str, str | None]]) -> str:
    """`Digest ...` with those parameters that are not None."""
    parts = [f"{name}={quote(value)}" for name, value in quoted if value is not None]
    parts += [f"{name}={value}" for name, value in plain if value is not None]
    return f"Digest {', '.join(parts)}"
