"""Records of DNS as values: of SRV (RFC 2782), NAPTR (RFC 3403) and addresses, read out of an answer.

    dns.RRHeader -> service, pointer, ipv4, ipv6 -> value, None where it is of another kind

Here: the values, answers that are kept, and errors in words. Not here: asking for them (names.py), and their meaning
for SIP (locate.py).
"""

import socket

from attrs import frozen
from twisted.names import dns
from twisted.names.error import DNSQueryRefusedError, DNSServerError, DomainError, ResolverError


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


@frozen
class KnownAnswer:
    """An answer of DNS, or a line of the hosts file, that is in memory."""

    kind: str
    """NAPTR, SRV, A, AAAA or hosts."""
    name: str
    values: tuple[str, ...]
    """As text; none where DNS has no such record."""
    seconds: float | None
    """How long it serves from now on; below 0: DNS is silent, and it serves all the same. None for the hosts file."""


@frozen
class LastingAnswer:
    """An answer of DNS that outlives the process."""

    kind: str
    name: str
    values: tuple[Value, ...]
    good_for: float
    """Seconds until DNS is to be asked again; below 0 for one that is old."""
    serves_for: float
    """Seconds for which it serves while DNS is silent."""


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


def said(error: Exception) -> str:
    """An error of DNS in plain words."""
    match error:
        case DNSServerError():
            return "the DNS server answers that it failed (SERVFAIL)"
        case DNSQueryRefusedError():
            return "the DNS server refuses to answer us (REFUSED)"
        case OSError():
            return f"DNS cannot be asked: {error.strerror or error}"
        case DomainError() | ResolverError():
            return f"DNS gives no answer that can be used ({type(error).__name__})"
        case _:
            return f"this is no name that DNS could know ({error})"
