"""One value of a Via header (RFC 3261 section 20.42; received and rport: 18.2.1, RFC 3581).

Which branch to choose and where a response goes are decided by transaction and transport.
"""

from __future__ import annotations

import re

import attrs

from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import (
    TOKEN,
    WHITE,
    Parameters,
    find_parameter,
    format_parameters,
    parse_number,
    parse_parameters,
    replace_parameter,
)
from gateway.sip.uri import HOST, parse_host

MAGIC_COOKIE = "z9hG4bK"

_VIA = re.compile(
    rf"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({TOKEN})[ \t]+({HOST})[ \t]*(?::[ \t]*([0-9]{{1,5}})[ \t]*)?(;.*)?",
    re.IGNORECASE | re.DOTALL,
)


@attrs.frozen
class Via:
    """Who sent a message and over what. `transport` is in upper case, `host` has no brackets."""

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """The single Via value that text is. Raises MalformedMessage."""
        match = _VIA.fullmatch(text.strip(WHITE))
        if match is None:
            raise MalformedMessage(f"not a Via: {text[:80]!r}")
        transport, host, port, parameters = match.groups()
        return cls(
            transport.upper(),
            parse_host(host),
            None if port is None else parse_number(port, "the port of a Via", 65535),
            parse_parameters(parameters) if parameters else (),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {host}{port}{format_parameters(self.parameters)}"

    def parameter(self, name: str) -> str | None:
        """The value of a parameter: '' for a flag, None when absent."""
        return find_parameter(self.parameters, name)

    @property
    def branch(self) -> str | None:
        """The branch parameter, None when absent (RFC 2543)."""
        return find_parameter(self.parameters, "branch") or None

    @property
    def received(self) -> str | None:
        """The source address that a server saw, without brackets."""
        value = find_parameter(self.parameters, "received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """The source port that a server saw; 0 when it is only asked for (RFC 3581), None when absent."""
        value = find_parameter(self.parameters, "rport")
        if value is None:
            return None
        return parse_number(value, "rport", 65535) if value else 0

    def with_parameter(self, name: str, value: str | None) -> Via:
        """The same Via with that parameter set; value None makes a flag."""
        return attrs.evolve(self, parameters=replace_parameter(self.parameters, name, value))
