"""The client's word to the gateway: questions and answers of one line of JSON each, over its UNIX socket.

    ClientMachine --report_of()--> LeaseReport --encoded()--> socket --> answer_of() --> LeaseAnswer, in the gateway
    LeaseQuestion --encoded()--> socket --> question_of() --> LeaseQuestion, here

Pure. Neither end believes the other: a line is bounded, each value is looked at, and anything else is Unusable. The
client may change addresses, so the gateway can make it do no more than look at a list of addresses that are others',
and send one request in five minutes. Not here: the socket (lease_socket.py), its other end (app/network).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Final

import attrs

from gateway.base.json_codec import decode, encode
from gateway.base.network.dhcp.client_machine import ClientMachine
from gateway.base.network.dhcp.lease import Lease
from gateway.base.network.dhcp.renewals import RenewalCause, RenewalResult

LONGEST_LINE: Final = 16 * 1024
"""Bytes of a question or an answer."""
MOST_TAKEN: Final = 64
"""Addresses of others that a question may name."""
_CAUSES, _RESULTS = frozenset(map(str, RenewalCause)), frozenset(map(str, RenewalResult))
_MOST_TEXT: Final = 300
_MOST_LISTED: Final = 16


class Unusable(Exception):
    """A line is no question, or no answer."""


@attrs.frozen
class LeaseQuestion:
    """A question of the gateway, or of an operator by it."""

    taken: tuple[str, ...] | None = None
    """IPv4 addresses that are others' for certain: no lease may name them. None leaves those that were told before."""
    renew: bool = False
    """Send one DHCPREQUEST, if it is time for one."""
    even_with_router: bool = False
    """Though the router answers: without it, a network that works is left alone."""

    def encoded(self) -> bytes:
        """The line."""
        return encode(attrs.asdict(self)) + b"\n"


def question_of(line: bytes) -> LeaseQuestion:
    """The question of a line. Raises Unusable."""
    found = _table(line)
    taken = found.get("taken")
    if taken is not None and (not isinstance(taken, list) or len(taken) > MOST_TAKEN):
        raise Unusable("taken is no list of addresses")
    addresses = None if taken is None else tuple(_address(one) for one in taken)
    return LeaseQuestion(addresses, found.get("renew") is True, found.get("even_with_router") is True)


@attrs.frozen
class LeaseFacts:
    """The lease in force."""

    address: str
    prefix: int
    server: str
    router: str
    seconds_left: float | None
    """None for a lease without an end."""
    seconds: float | None
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    domain: str = ""
    tftp: tuple[str, ...] = ()
    sip_servers: tuple[str, ...] = ()
    vendor: str = ""
    """Option 43 in hexadecimal."""


@attrs.frozen
class RenewalFacts:
    """The latest renewal."""

    cause: str
    result: str
    seconds_ago: float


@attrs.frozen
class ServerFacts:
    """A DHCP server on the wire that the client did not choose."""

    address: str
    mac: str
    seconds_ago: float


@attrs.frozen
class LeaseReport:
    """How the client stands."""

    interface: str
    state: str
    lease: LeaseFacts | None = None
    renewal: RenewalFacts | None = None
    renewals: tuple[tuple[str, str, int], ...] = ()
    """The number of all by cause and result, since the client's start."""
    others: tuple[ServerFacts, ...] = ()
    refused: str = ""
    """The reason of the latest reply that was not taken."""
    refusals: int = 0


@attrs.frozen
class LeaseAnswer:
    """An answer: the report, and the outcome of the order."""

    report: LeaseReport
    renewed: str = ""
    """sent, wait (it is not time), idle (there is no lease, or it is renewed anyway), router (it answers); empty where
    nothing was ordered."""
    wait: float = 0.0
    """Seconds until it is time."""

    def encoded(self) -> bytes:
        """The line."""
        return encode(attrs.asdict(self)) + b"\n"


def report_of(interface: str, machine: ClientMachine, now: float) -> LeaseReport:
    """How a client stands."""
    latest, lease = machine.renewals.latest, machine.lease
    return LeaseReport(
        interface,
        str(machine.state),
        None if lease is None else _facts(lease, now),
        None if latest is None else RenewalFacts(str(latest.cause), str(latest.result), now - latest.at),
        tuple((str(cause), str(result), count) for (cause, result), count in machine.renewals.counts.items()),
        tuple(ServerFacts(one.address, one.mac.hex(":"), now - one.at) for one in machine.others.known),
        machine.refusals.latest,
        machine.refusals.counts.total(),
    )


def answer_of(line: bytes) -> LeaseAnswer:
    """The answer of a line. Raises Unusable."""
    found = _table(line)
    return LeaseAnswer(_report(_inner(found, "report")), _text(found, "renewed"), _number(found, "wait"))


def _facts(lease: Lease, now: float) -> LeaseFacts:
    has_end = lease.ends != float("inf")
    return LeaseFacts(
        lease.address,
        lease.prefix,
        lease.server,
        lease.router,
        max(0.0, lease.ends - now) if has_end else None,
        lease.seconds if has_end else None,
        lease.dns,
        lease.ntp,
        lease.domain,
        lease.tftp,
        lease.sip_servers,
        lease.vendor.hex(),
    )


def _report(found: Mapping[str, object]) -> LeaseReport:
    lease, renewal = found.get("lease"), found.get("renewal")
    return LeaseReport(
        _text(found, "interface"),
        _text(found, "state"),
        None if lease is None else _lease(_inner(found, "lease")),
        None if renewal is None else _renewal(_inner(found, "renewal")),
        tuple(_count(one) for one in _list(found, "renewals")),
        tuple(_server(_as_table(one)) for one in _list(found, "others")),
        _text(found, "refused"),
        int(_number(found, "refusals")),
    )


def _lease(found: Mapping[str, object]) -> LeaseFacts:
    prefix = int(_number(found, "prefix"))
    if not 0 <= prefix <= 32:
        raise Unusable("prefix is out of range")
    return LeaseFacts(
        _address(found.get("address")),
        prefix,
        _address(found.get("server")),
        _address(found.get("router")) if found.get("router") else "",
        None if found.get("seconds_left") is None else _number(found, "seconds_left"),
        None if found.get("seconds") is None else _number(found, "seconds"),
        _texts(found, "dns"),
        _texts(found, "ntp"),
        domain=_text(found, "domain"),
        tftp=_texts(found, "tftp"),
        sip_servers=_texts(found, "sip_servers"),
        vendor=_text(found, "vendor", 2 * 512),
    )


def _renewal(found: Mapping[str, object]) -> RenewalFacts:
    return RenewalFacts(_text(found, "cause"), _text(found, "result"), _number(found, "seconds_ago"))


def _server(found: Mapping[str, object]) -> ServerFacts:
    return ServerFacts(_address(found.get("address")), _text(found, "mac"), _number(found, "seconds_ago"))


def _count(value: object) -> tuple[str, str, int]:
    match value:
        case [str(cause), str(result), int(count)] if cause in _CAUSES and result in _RESULTS and 0 <= count < 2**53:
            return cause, result, count
        case _:
            raise Unusable("renewals has a bad row")


def _table(line: bytes) -> Mapping[str, object]:
    if len(line) > LONGEST_LINE:
        raise Unusable("it is too long")
    try:
        return _as_table(decode(line))
    except (ValueError, RecursionError) as error:
        raise Unusable("it is no JSON") from error


def _as_table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Unusable("it is no table")
    return value


def _inner(found: Mapping[str, object], key: str) -> Mapping[str, object]:
    return _as_table(found.get(key))


def _list(found: Mapping[str, object], key: str) -> Iterable[object]:
    value = found.get(key)
    if not isinstance(value, list) or len(value) > _MOST_LISTED:
        raise Unusable(f"{key} is no short list")
    return value


def _texts(found: Mapping[str, object], key: str) -> tuple[str, ...]:
    return tuple(_text({key: one}, key) for one in _list(found, key))


def _text(found: Mapping[str, object], key: str, most: int = _MOST_TEXT) -> str:
    value = found.get(key)
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise Unusable(f"{key} is no short text")
    return value


def _number(found: Mapping[str, object], key: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value < 2**53:
        raise Unusable(f"{key} is no number in range")
    return value


def _address(value: object) -> str:
    try:
        return str(IPv4Address(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise Unusable("an address is none") from error
