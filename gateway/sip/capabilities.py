"""The capabilities that this user agent names: methods, extensions, software (RFC 3261 sections 11.2 and 20.5)."""

from __future__ import annotations

from typing import Final

from gateway.sip.headers import line_of

METHODS: Final = (
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "OPTIONS",
    "UPDATE",
    "PRACK",
    "INFO",
    "MESSAGE",
    "NOTIFY",
    "SUBSCRIBE",
    "REFER",
    "PUBLISH",
)
"""Methods that this user agent takes part in: its own Allow (RFC 3261 section 20.5)."""


ALLOW: Final = ", ".join(METHODS)
ALLOW_LINE: Final = line_of("Allow", ALLOW)


EXTENSIONS: Final = ("replaces", "norefersub")
"""Option tags (RFC 3261 section 19.2) that mean the same on both sides when they cross; all others are per leg."""


EVENT_METHODS: Final = frozenset({"SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER"})
"""Methods of event packages, which are between the two ends (RFC 6665 section 3): they carry option tags of their
own."""

EVENT_EXTENSIONS: Final = ("eventlist", "recipient-list-subscribe", "multiple-refer", "nosub", "explicitsub")
"""Those tags: lists of resources (RFC 4662, RFC 5367, RFC 5368), subscriptions asked for or not (RFC 7614)."""

SOFTWARE: Final = "gateway"
"""User-Agent and Server toward both sides: no phone's make or version reaches the provider."""
SERVER_LINE: Final = line_of("Server", SOFTWARE)
USER_AGENT_LINE: Final = line_of("User-Agent", SOFTWARE)


TIMER: Final = "timer"
"""Session timers (RFC 4028)."""

RELIABLE: Final = "100rel"
"""Reliable provisional responses (RFC 3262)."""

SUPPORTED: Final = (*EXTENSIONS, TIMER, RELIABLE)


def extensions_of(method: str) -> tuple[str, ...]:
    """The option tags that cross in requests of this method, and in their responses."""
    return (*EXTENSIONS, *EVENT_EXTENSIONS) if method in EVENT_METHODS else EXTENSIONS


CAPABILITIES = (("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", ", ".join(SUPPORTED)))
"""Headers of the 200 to an OPTIONS for the gateway itself (RFC 3261 section 11.2)."""
