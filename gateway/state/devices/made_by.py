"""Make, model and firmware of a phone, as its User-Agent says (RFC 3261 section 20.41). A phone may say anything.

    "Yealink SIP-T46G 28.83.0.30" -> Yealink, SIP-T46G, 28.83.0.30

Known makes are read by a pattern each; of any other the first word is the make, and a version is looked for. Nothing
is decided by it: it is for lists, and for advice about firmware. Pure functions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import attrs

LONGEST: Final = 200
"""Characters of a User-Agent that are looked at."""

_VERSION: Final = r"(?P<firmware>[0-9][0-9A-Za-z._()-]*)"
_MODEL: Final = r"(?P<model>[A-Za-z0-9_.+-]+?)"
_KNOWN: Final = tuple(
    (make, re.compile(pattern))
    for make, pattern in (
        ("Yealink", rf"Yealink (?P<model>[A-Za-z0-9-]+) {_VERSION}"),
        ("Cisco", r"Cisco-(?P<model>CP-[A-Za-z0-9-]+)/(?P<firmware>[A-Za-z0-9._-]+)"),
        ("Cisco", rf"Cisco/(?P<model>(?:SPA|ATA)[A-Za-z0-9]+)-{_VERSION}"),
        ("Linksys", rf"Linksys/(?P<model>[A-Za-z0-9]+)-{_VERSION}"),
        ("Sipura", rf"Sipura/(?P<model>[A-Za-z0-9]+)-{_VERSION}"),
        ("Polycom", rf"Poly(?:com)?[A-Za-z]*-(?P<model>[A-Za-z0-9_]+)-UA/{_VERSION}"),
        ("snom", rf"snom(?P<model>[A-Za-z0-9]+)/{_VERSION}"),
        ("Grandstream", rf"Grandstream (?P<model>[A-Za-z0-9-]+) {_VERSION}"),
        ("Fanvil", rf"Fanvil (?P<model>[A-Za-z0-9-]+) {_VERSION}"),
        ("Gigaset", rf"Gigaset (?P<model>[A-Za-z0-9 -]+?)/{_VERSION}"),
        ("Panasonic", rf"Panasonic[_-](?P<model>[A-Za-z0-9-]+)/{_VERSION}"),
        ("Mitel", rf"(?:Mitel|Aastra) (?P<model>[A-Za-z0-9]+)/{_VERSION}"),
        ("AVM", rf"(?:AVM )?(?P<model>FRITZ!Box [^\d]*\d{{4}}[A-Za-z ()]*?) {_VERSION}"),
        ("AudioCodes", rf"AUDC(?:-IPPhone)?[-/ ](?P<model>[A-Za-z0-9-]+?)(?:[-_/]UC)?[-_/]{_VERSION}"),
    )
)
_OTHER: Final = re.compile(rf"(?P<make>[A-Za-z][A-Za-z0-9!_.-]*?)[ /-]?v?{_VERSION}?(?=[\s/(;,-]|$)")
_MAC: Final = re.compile(
    r"(?<![0-9A-Za-z])([0-9A-Fa-f]{2}(?:([:-]?)[0-9A-Fa-f]{2})(?:\2[0-9A-Fa-f]{2}){4})(?![0-9A-Za-z])"
)
_NODE: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-([0-9a-f]{12})", re.IGNORECASE)
_NO_NODE: Final = ("000000000000", "ffffffffffff")


@attrs.frozen
class Make:
    """A device as it calls itself; empty where it does not say."""

    make: str = ""
    model: str = ""
    firmware: str = ""


@lru_cache(maxsize=4096)
def make_of(user_agent: str) -> Make:
    """The make, model and firmware in a User-Agent."""
    text = user_agent[:LONGEST].strip()
    for make, pattern in _KNOWN:
        found = pattern.search(text)
        if found is not None:
            return Make(make, found["model"].strip(), found["firmware"])
    other = _OTHER.match(text)
    return Make() if other is None else Make(other["make"], "", other["firmware"] or "")


def hardware_address(user_agent: str, instance: str | None) -> str | None:
    """The hardware address (MAC) of a device, 12 digits in lower case; None where it does not tell.

    Some have it in their User-Agent, others in a UUID of version 1 (RFC 9562 section 5.1) as +sip.instance (RFC 5626
    section 4.1), whose last part it is, unless the bit is set that says that it was made up.
    """
    node = _NODE.search(instance or "")
    if node is not None and node[1].lower() not in _NO_NODE and not int(node[1][:2], 16) & 1:
        return node[1].lower()
    told = _MAC.search(user_agent[:LONGEST])
    if told is None:
        return None
    address = re.sub(r"[:-]", "", told[1]).lower()
    is_number = told[2] == "" and address.isdigit()  # a serial number, or a date
    return None if is_number or address in _NO_NODE or int(address[:2], 16) & 1 else address
