"""Records of DNS as values: of SRV (RFC 2782), NAPTR (RFC 3403) and addresses, read out of an answer.

    dns.RRHeader -> service, pointer, ipv4, ipv6 -> value, None where it is of another kind

Here: the values. Not here: asking for them (names.py), and their meaning for SIP (locate.py).
"""

import socket

from attrs import frozen
from twisted.names import dns


@frozen
class Service:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    host: str
    port: int


@frozen
class NamingPointer:
    """A NAPTR record (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


Value = str | Service | NamingPointer
"""One record of an answer; a str is an address."""


def shown(value: object) -> str:
    """A record as zone files write it."""
    match value:
        case Service():
            return f"{value.priority} {value.weight} {value.port} {value.host or '.'}"
        case NamingPointer():
            pointer = f'{value.order} {value.preference} "{value.flags}" "{value.service}"'
            return f"{pointer} {value.replacement}"
        case _:
            return str(value)


def _text(name: dns.Name) -> str:
    return str(name.name.decode("ascii", "replace")).rstrip(".").lower()


def service(answer: dns.RRHeader) -> Service | None:
    """The record of SRV."""
    record: object = answer.payload
    if not isinstance(record, dns.Record_SRV):
        return None
    return Service(record.priority, record.weight, _text(record.target), record.port)


def pointer(answer: dns.RRHeader) -> NamingPointer | None:
    """The record of NAPTR."""
    record: object = answer.payload
    if not isinstance(record, dns.Record_NAPTR):
        return None
    flags, service = (text.string.decode("ascii", "replace").upper() for text in (record.flags, record.service))
    return NamingPointer(record.order, record.preference, flags, service, _text(record.replacement))


def ipv4(answer: dns.RRHeader) -> str | None:
    """The address of A."""
    record: object = answer.payload
    return str(record.dottedQuad()) if isinstance(record, dns.Record_A) else None


def ipv6(answer: dns.RRHeader) -> str | None:
    """The address of AAAA."""
    record: object = answer.payload
    return socket.inet_ntop(socket.AF_INET6, record.address) if isinstance(record, dns.Record_AAAA) else None
