"""Writes docs/torture.md from reactions.py: `python -m tests.torture.document`. test_reactions.py keeps it current."""

from __future__ import annotations

from html import escape
from pathlib import Path

from tests.support.rfc4475 import MESSAGES
from tests.torture.reactions import RFC4475, RFC5118, Reaction

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "torture.md"

_INTRODUCTION = """\
# Torture messages

<!-- Written by tests/torture/document.py from tests/torture/reactions.py: change that. -->

What the gateway does with each message of RFC 4475 (SIP torture test messages) and RFC 5118 (the same for IPv6) when a
phone sends it. `tests/torture/test_reactions.py` gives each to the whole signalling over UDP, TCP and TLS and checks
just this; `tests/sip/test_rfc4475.py` and `tests/sip/test_rfc5118.py` check what the parser reads in it. Where no
stream is mentioned, the same happens over TCP and TLS and the connection stays up. A stranger on the provider's side
gets no answer to any of them.
"""

_TITLES_IPV6 = {
    "4.1": "Valid SIP message with an IPv6 reference",
    "4.2": "Invalid SIP message with an IPv6 reference",
    "4.3": "Port ambiguous in a SIP URI",
    "4.4": "Port unambiguous in a SIP URI",
    "4.5-brackets": "IPv6 reference delimiters in Via: with brackets",
    "4.5": "IPv6 reference delimiters in Via: without brackets",
    "4.6": "SIP request with IPv6 addresses in Session Description Protocol (SDP) body",
    "4.7": "Multiple IP addresses in SIP headers",
    "4.8": "Multiple IP addresses in SDP",
    "4.9": "IPv4-mapped IPv6 addresses",
    "4.10-colons": "IPv6 reference bug in RFC 3261 ABNF: three colons",
    "4.10": "IPv6 reference bug in RFC 3261 ABNF: two colons",
}


def document() -> str:
    """The whole text."""
    ours = [
        _row(message.section, f"`{name}` {message.title}", RFC4475[name])
        for name, message in sorted(MESSAGES.items(), key=lambda item: _order(item[1].section))
    ]
    ipv6 = [_row(section.partition("-")[0], _TITLES_IPV6[section], RFC5118[section]) for section in RFC5118]
    return "\n".join([_INTRODUCTION, *_table("RFC 4475", ours), "", *_table("RFC 5118", ipv6), ""])


def _order(section: str) -> tuple[int, ...]:
    return tuple(int(number) for number in section.split("."))


def _table(title: str, rows: list[str]) -> list[str]:
    head = "| section | message | what the RFC asks | what the gateway does |"
    return [f"## {title}", "", head, "|---|---|---|---|", *rows]


def _row(section: str, title: str, reaction: Reaction) -> str:
    does = reaction.does + (f". Over a stream: {reaction.stream.does}" if reaction.stream else "")
    return escape(f"| {section} | {title} | {reaction.asks} | {does} |", quote=False)


if __name__ == "__main__":
    DOCUMENT.write_text(document())
