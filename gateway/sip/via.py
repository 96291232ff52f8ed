"""One value of a Via header (RFC 3261 section 20.42; received and rport: 18.2.1, RFC 3581).

Which branch to choose and where a response goes are decided by transaction and transport. Parameters stay text
until more than one of them is asked for: a response or a retransmission is matched by its branch alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import (
    TOKEN,
    WHITE,
    Parameters,
    find_in_text,
    find_parameter,
    format_parameters,
    parse_number,
    parse_parameters,
    replace_parameter,
    tight_parameters,
)
from gateway.sip.uri import HOST, PORT, parse_host

MAGIC_COOKIE = "z9hG4bK"

# The usual form, and all that section 25.1 allows (white space around the slashes, the colon and the parameters).
_PLAIN = re.compile(rf"[ \t]*SIP/2\.0/([A-Z]+) ({HOST})(?::({PORT}))?{tight_parameters('branch')}[ \t]*")
_VIA = re.compile(
    rf"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({TOKEN})[ \t]+({HOST})[ \t]*(?::[ \t]*([0-9]{{1,5}})[ \t]*)?(;.*)?",
    re.IGNORECASE | re.DOTALL,
)

_RPORT = re.compile(r";rport(?:=[^;]*)?(?=;|$)", re.IGNORECASE)

_set = object.__setattr__


@attrs.frozen
class Via:
    """A sender of a message and its transport. `transport` is in upper case, `host` has no brackets."""

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = ()
    # The parameters as they came, while `parameters` is unset.
    _text: str | None = attrs.field(default=None, init=False, eq=False, repr=False)
    branch: str | None = attrs.field(init=False, eq=False, repr=False)
    """The branch parameter, None when absent (RFC 2543). Every message is asked for it."""
    has_rport: bool = attrs.field(init=False, eq=False, repr=False)
    """Whether rport is there, asked for or seen."""

    def __attrs_post_init__(self) -> None:
        _set(self, "branch", find_parameter(self.parameters, "branch") or None)

    @classmethod
    def parse(cls, text: str, start: int = 0) -> Via:
        """The single Via value that text is from start on. Raises MalformedMessage."""
        match = _PLAIN.fullmatch(text, start)
        if match is None:
            return cls._parse_rare(text[start:].strip(WHITE))
        host, port, text = match[2], match[3], match[4]
        via = cls.__new__(cls)
        _set(via, "transport", match[1])
        _set(via, "host", parse_host(host) if host[0] == "[" else host)
        _set(via, "port", None if port is None else int(port))
        _set(via, "_text", text)
        _set(via, "branch", match[5] or find_in_text(text, "branch") or None)
        if text[-6:] == ";rport":  # most phones write it last, and ask for it
            _set(via, "has_rport", True)
        return via

    def _with_text(self, text: str) -> Via:
        """The same with other parameters, of which branch is the same, and rport there or not as it was."""
        via = self.__class__.__new__(self.__class__)
        _set(via, "transport", self.transport)
        _set(via, "host", self.host)
        _set(via, "port", self.port)
        _set(via, "_text", text)
        _set(via, "branch", self.branch)
        _set(via, "has_rport", self.has_rport)
        return via

    @classmethod
    def _parse_rare(cls, text: str) -> Via:
        match = _VIA.fullmatch(text)
        if match is None:
            raise MalformedMessage("not a Via")
        transport, host, port, parameters = match.groups()
        return cls(
            transport.upper(),
            parse_host(host),
            None if port is None else parse_number(port, "the port of a Via", 65535),
            parse_parameters(parameters) if parameters else (),
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """The fields that parse() left for later: an unset slot asks here once."""
            if name == "parameters":
                value: object = parse_parameters(self._text)
            elif name == "has_rport":
                value = self.parameter("rport") is not None
            else:
                raise AttributeError(name)
            _set(self, name, value)
            return value

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        parameters = format_parameters(self.parameters) if self._text is None else self._text
        return f"SIP/2.0/{self.transport} {host}{port}{parameters}"

    def parameter(self, name: str) -> str | None:
        """The value of a parameter: '' for a flag, None when absent."""
        if self._text is not None:
            return find_in_text(self._text, name)
        return find_parameter(self.parameters, name)

    @property
    def received(self) -> str | None:
        """The source address that a server saw, without brackets."""
        value = self.parameter("received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """The source port that a server saw; 0 when it is only asked for (RFC 3581), None when absent."""
        value = self.parameter("rport")
        if value is None:
            return None
        return parse_number(value, "rport", 65535) if value else 0

    def with_parameter(self, name: str, value: str | None) -> Via:
        """The same Via with that parameter set; value None makes a flag."""
        return attrs.evolve(self, parameters=replace_parameter(self.parameters, name, value))

    def with_source(self, line: str, host: str, port: int) -> tuple[str, Via]:
        """The header line with this Via as its only value, and the Via, with the source that a server saw: received,
        and rport where it is asked for (RFC 3581 section 4). The rest of the line stays as it is, to the letter."""
        text = self._text
        if text is not None and text[-6:] == line[-6:] == ";rport" and "received" not in text.lower():
            added = f"={port};received={host}"
            return line + added, self._with_text(text + added)
        if text is None or "received" in text.lower():
            via = self.with_parameter("received", host)
            if self.parameter("rport") is not None:
                via = via.with_parameter("rport", str(port))
            return f"Via: {via}", via
        line = line.rstrip(WHITE)
        new = f"{_RPORT.sub(f';rport={port}', text, count=1)};received={host}"
        return line[: len(line) - len(text)] + new, self._with_text(new)
