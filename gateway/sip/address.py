"""Addresses with a display name: From, To, Contact, Route and their like (RFC 3261 section 20.10).

Both forms are read: `"Alice" <sip:alice@example.com;lr>;tag=1` and `sip:alice@example.com;tag=1`, where without
angle brackets all parameters are the header's. What is written always has the brackets."""

from __future__ import annotations

import re

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import (
    QUOTED,
    WHITE,
    Parameters,
    find_parameter,
    format_parameters,
    parse_parameters,
    quote,
    remove_parameter,
    replace_parameter,
    unquote,
)
from gateway.sip.uri import Uri

# Commas and semicolons in an unquoted display name would make one address look like two.
_NAME_ADDR = re.compile(rf'({QUOTED}[ \t]*|[^<>",;\\\x00-\x08\x0a-\x1f\x7f]*)<([^<>]*)>[ \t]*(;.*)?', re.DOTALL)
_ADDR_SPEC = re.compile(r'([^<>" \t;,?]+)[ \t]*(;.*)?', re.DOTALL)


@attrs.frozen
class NameAddress:
    """A display name (without quotes, '' when absent), a URI and the header's parameters."""

    display_name: str
    uri: Uri
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> NameAddress:
        """The single address that text is. Raises MalformedMessage."""
        text = text.strip(WHITE)
        match = _NAME_ADDR.fullmatch(text)
        if match is not None:
            name, uri, parameters = match.groups()
            name = unquote(name.strip(WHITE))
        else:
            match = _ADDR_SPEC.fullmatch(text)
            if match is None:
                raise MalformedMessage(f"not an address: {text[:80]!r}")
            name, (uri, parameters) = "", match.groups()
        return cls(name, Uri.parse(uri), parse_parameters(parameters) if parameters else ())

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{format_parameters(self.parameters)}"

    @property
    def tag(self) -> str | None:
        """The tag of a From or To, None when there is none."""
        return find_parameter(self.parameters, "tag") or None

    def parameter(self, name: str) -> str | None:
        """The value of a header parameter: '' for a flag, None when absent."""
        return find_parameter(self.parameters, name)

    def with_tag(self, tag: str) -> NameAddress:
        """The same address with that tag."""
        return attrs.evolve(self, parameters=replace_parameter(self.parameters, "tag", tag))

    def without_tag(self) -> NameAddress:
        """The same address without a tag."""
        return attrs.evolve(self, parameters=remove_parameter(self.parameters, "tag"))

    def with_parameter(self, name: str, value: str | None) -> NameAddress:
        """The same address with that header parameter set; value None makes a flag."""
        return attrs.evolve(self, parameters=replace_parameter(self.parameters, name, value))
