r"""Packets of known scanners, by their look: pure functions of a request.

A scanner names itself in User-Agent, unless its user takes care. SIPVicious keeps no state: it writes the place, the
user or the password that it tries into its own From tag, as `hex(text + "\x01" + digits)`, and its name into From's. A
packet with such a look is dropped without a trace and without an answer. That is safe however its source is forged: it
makes nothing but that packet disappear. A scanner without such a look is found by its deeds (judge.py).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.sip.message import Request

SCANNERS: Final = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli/",
    "sip-scan",
    "sipscan",
    "sundayddr",
    "vaxsipuseragent",
    "vaxipuseragent",
    "iwar",
    "sivus",
    "smap ",
    "pplsip",
    "nmap nse",
    "sipptk",
    "sippts",
    "eyebeam-scan",
    "gulp",
    "cisco-scan",
    "custom sip phone scan",
    "sip call sniffer",
    "sip.scanner",
)
"""Parts of User-Agents, in lower case, from public lists of what is seen in the wild."""

_TAG: Final = re.compile(r"(?:[2-7][0-9a-f])+01(?:3[0-9]){6,10}|3206210844|(root)")
"""SIPVicious' From tags: in hexadecimal a text, 01, and the digits of a random number; and the one fixed in svcrack. Of
random hexadecimal tags one in a thousand million looks so. The last is of nmap's probe of versions (`-sV`), by which
search engines of the whole internet ask as well: it names no User-Agent."""


def look_of(more: tuple[str, ...] = ()) -> re.Pattern[bytes]:
    """The look of such a packet in bytes, unparsed: by its User-Agent or From, and no other line."""
    names = b"|".join(re.escape(one.strip().encode()) for one in (*SCANNERS, *more))
    agent, sender = rb"user-agent[ \t]*:[^\r\n]*(?:" + names + rb")", rb"(?:from|f)[ \t]*:[^\r\n]*sipvicious"
    return re.compile(rb"\n(?:" + agent + rb"|" + sender + rb")", re.IGNORECASE)


def scanner_in(request: Request, more: tuple[str, ...] = ()) -> str:
    """The sign by which a request is a scanner's; empty where there is none. Raises MalformedMessage."""
    agent = request.headers.get("User-Agent")
    if agent:
        small = agent.casefold()
        for known in (*SCANNERS, *more):
            if known in small:
                return f"User-Agent {known.strip()}"
    sender = request.from_
    if sender.display_name and "sipvicious" in sender.display_name.casefold():
        return "From sipvicious"
    tag = sender.tag
    found = _TAG.fullmatch(tag) if tag else None
    return "" if found is None else f"From tag of {'nmap' if found[1] else 'SIPVicious'}"
