"""Addresses with a display name: From, To, Contact, Route and their like (RFC 3261 section 20.10).

Both forms are read: `"Alice" <sip:alice@example.com;lr>;tag=1` and `sip:alice@example.com;tag=1`, where without
angle brackets all parameters are the header's. The written form always has the brackets.

Most addresses of a message are only looked at for their tag, so parse() checks the text whole with one pattern and
keeps its parts; the Uri and the tuple of parameters are made on demand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import (
    QUOTED,
    WHITE,
    Parameters,
    find_in_text,
    find_parameter,
    format_parameters,
    parse_parameters,
    quote,
    remove_parameter,
    replace_in_text,
    replace_parameter,
    tight_parameters,
    unquote,
)
from gateway.sip.uri import KNOWN_URIS, PLAIN_URI, Uri

# Commas and semicolons in an unquoted display name would make one address look like two.
_NAME = rf'{QUOTED}[ \t]*|[^<>",;\\\x00-\x08\x0a-\x1f\x7f]*'
# The usual form, in two parts: the parameters and the text before them. Uri.parse and parse_parameters accept all that
# this matches.
_PLAIN = re.compile(rf"[ \t]*+((?:{_NAME})<({PLAIN_URI})>){tight_parameters('tag')}[ \t]*", re.DOTALL)
_NAME_ADDR = re.compile(rf"({_NAME})<[ \t]*([^<> \t]*)[ \t]*>[ \t]*(;.*)?", re.DOTALL)
_ADDR_SPEC = re.compile(r'([^<>" \t;,?]+)[ \t]*(;.*)?', re.DOTALL)

_set = object.__setattr__


@attrs.frozen
class NameAddress:
    """A display name (without quotes, '' when absent), a URI and the header's parameters."""

    display_name: str
    uri: Uri
    parameters: Parameters = ()
    # The two parts of the text that parse() left as they were; None when made otherwise.
    _front: str | None = attrs.field(default=None, init=False, eq=False, repr=False)
    _tail: str = attrs.field(default="", init=False, eq=False, repr=False)
    text: str = attrs.field(init=False, eq=False, repr=False)
    """The same as str(), which calls no function."""
    uri_text: str = attrs.field(init=False, eq=False, repr=False)
    """The URI as text: the way it came, where parse() left it as it was."""
    tag: str | None = attrs.field(init=False, eq=False, repr=False)
    """The tag of a From or To, None when there is none. Found at once: every message asks for it several times."""

    def __attrs_post_init__(self) -> None:
        _set(self, "tag", find_parameter(self.parameters, "tag") or None)

    @classmethod
    def parse(cls, text: str, start: int = 0) -> NameAddress:
        """The single address that text is from start on. Raises MalformedMessage."""
        match = _PLAIN.fullmatch(text, start)
        if match is None:
            return cls._parse_rare(text[start:].strip(WHITE))
        address = cls.__new__(cls)
        front, tail = match[1], match[3]
        _set(address, "_front", front)
        _set(address, "_tail", tail)
        _set(address, "text", front + tail)
        _set(address, "uri_text", match[2])
        _set(address, "tag", match[4] or (find_in_text(tail, "tag") if tail else None) or None)
        return address

    @classmethod
    def _of_parts(cls, front: str, uri: str, tail: str, tag: str | None) -> NameAddress:
        address = cls.__new__(cls)
        _set(address, "_front", front)
        _set(address, "_tail", tail)
        _set(address, "text", front + tail)
        _set(address, "uri_text", uri)
        _set(address, "tag", tag)
        return address

    @classmethod
    def written(cls, display_name: str, uri: Uri) -> NameAddress:
        """The address of a URI without password and headers, kept as text: it is to be sent."""
        name = f"{quote(display_name)} " if display_name else ""
        text = str(uri)
        return cls._of_parts(f"{name}<{text}>", text, "", None)

    @classmethod
    def _parse_rare(cls, text: str) -> NameAddress:
        match = _NAME_ADDR.fullmatch(text)
        if match is not None:
            name, uri, parameters = match.groups()
            name = unquote(name.strip(WHITE))
        else:
            match = _ADDR_SPEC.fullmatch(text)
            if match is None:
                raise MalformedMessage("not an address")
            name, (uri, parameters) = "", match.groups()
        return cls(name, Uri.parse(uri), parse_parameters(parameters) if parameters else ())

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """The fields that were left for later: an unset slot asks here once."""
            if name == "uri":
                value = KNOWN_URIS[self.uri_text]
            elif name == "parameters":
                value = parse_parameters(self._tail)
            elif name == "display_name":
                value = unquote(self._front[: -len(self.uri_text) - 2].strip(WHITE))
            elif name == "uri_text":
                value = str(self.uri)
            elif name == "text":
                display_name = f"{quote(self.display_name)} " if self.display_name else ""
                value = f"{display_name}<{self.uri}>{format_parameters(self.parameters)}"
            else:
                raise AttributeError(name)
            _set(self, name, value)
            return value

    def __str__(self) -> str:
        return self.text

    @property
    def is_plain(self) -> bool:
        """Whether it came in the usual form: a URI without password and headers."""
        return self._front is not None

    def parameter(self, name: str) -> str | None:
        """The value of a header parameter: '' for a flag, None when absent."""
        if self._front is not None:
            return find_in_text(self._tail, name)
        return find_parameter(self.parameters, name)

    def with_tag(self, tag: str) -> NameAddress:
        """The same address with that tag."""
        if self._front is None or self._tail:
            return self.with_parameter("tag", tag)
        return NameAddress._of_parts(self._front, self.uri_text, f";tag={tag}", tag)

    def without_tag(self) -> NameAddress:
        """The same address without a tag."""
        return attrs.evolve(self, parameters=remove_parameter(self.parameters, "tag"))

    def with_parameter(self, name: str, value: str | None) -> NameAddress:
        """The same address with that header parameter set; value None makes a flag."""
        if self._front is None:
            return NameAddress(self.display_name, self.uri, replace_parameter(self.parameters, name, value))
        tail = replace_in_text(self._tail, name, value)
        return NameAddress._of_parts(self._front, self.uri_text, tail, find_in_text(tail, "tag") or None)
