"""EXP: the doors of this gateway that others reach: listeners, administration, NG commands, provisioning, metrics."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

from gateway.security.posture.findings import (
    Check,
    Effort,
    Evidence,
    Gravity,
    Judgement,
    failed,
    not_applicable,
    passed,
    unknown,
    warned,
)
from gateway.security.posture.posture_facts import PostureFacts

NARROW: Final = 256
"""Addresses of a network that may read metrics without a question."""
ENCRYPTED_WAYS: Final = {
    "https": "phones get their settings over HTTPS",
    "sealed": "phones get files over HTTP that are encrypted by themselves",
}
"""Ways by which settings travel encrypted, and the words for them."""


def _listeners(facts: PostureFacts) -> Judgement:
    if not facts.listeners:
        return unknown("no listener is known")
    phones = [one for one in facts.listeners if one.side == "phones"]
    public = [f"{one.name}: {one.transport} on {one.address}" for one in phones if _is_public(one.address)]
    anywhere = [
        f"{one.name}: {one.transport} on every address of this machine" for one in phones if _is_any(one.address)
    ]
    remedy = "address of the [[listener]]: the one in the phones' network; else a firewall (docs/firewall.md)."
    if public:
        return failed(remedy, [*public, *anywhere])
    if anywhere:
        return warned(remedy, anywhere)
    return passed(*(f"{one.name}: {one.address}" for one in phones))


def _administration(facts: PostureFacts) -> Judgement:
    admin = facts.interface
    if admin is None:
        return unknown("the administration interface is not known")
    lacks = [] if admin.has_tls else ["it speaks no HTTPS"]
    lacks += [] if admin.has_users else ["no user exists"]
    if not lacks:
        return passed(f"{admin.address}: HTTPS, and users log in")
    told = [f"{admin.address}: {lack}" for lack in lacks]
    remedy = "gatewayctl users add NAME --role admin; certificate and private_key in [admin]: docs/administration.md."
    return warned(remedy, told) if _is_loopback(admin.address) else failed(remedy, told)


def _ng(facts: PostureFacts) -> Judgement:
    if facts.media is None:
        return unknown("the configuration of media is not known")
    if not facts.media.ng_listen:
        return passed("workers take no commands of others")
    host = facts.media.ng_listen.rpartition(":")[0].strip("[]")
    told = [f"media.ng_listen = {facts.media.ng_listen}"]
    if _is_loopback(host):
        return passed(*told)
    return failed("ng_listen in [media]: an address of 127.0.0.0/8, or take the key away.", told)


def _provisioning(facts: PostureFacts) -> Judgement:
    ways = facts.surroundings.provisioning
    if ways is None:
        return unknown("it is not known how phones get their settings")
    if not ways:
        return not_applicable("this gateway gives phones no settings")
    open_ways = [way for way in ways if way not in ENCRYPTED_WAYS]
    if not open_ways:
        return passed(*(ENCRYPTED_WAYS[way] for way in ways))
    remedy = "Let phones get their settings over HTTPS, and switch the other ways off."
    return failed(remedy, [f"phones get their settings over {way.upper()}" for way in open_ways])


def _window(facts: PostureFacts) -> Judgement:
    is_open = facts.surroundings.provisioning_open
    if is_open is None:
        return unknown("it is not known whether unknown phones get settings")
    if facts.surroundings.provisioning == ():
        return not_applicable("this gateway gives phones no settings")
    if not is_open:
        return passed("unknown phones get nothing")
    remedy = (
        "A window closes at its time, or with a restart. Open the next one for one DEVICE: gatewayctl provision enrol."
    )
    return warned(remedy, ["unknown phones get settings now"])


def _first_files(facts: PostureFacts) -> Judgement:
    keys, is_open = facts.surroundings.first_file_ports, facts.surroundings.provisioning_open
    if keys is None or is_open is None:
        return unknown("it is not known whether ports for the first files of phones are open")
    if facts.surroundings.provisioning == ():
        return not_applicable("this gateway gives phones no settings")
    if not keys:
        return passed("no port is open for first files in clear")
    if is_open:
        return passed(*(f"{key} is open, and so is a window" for key in keys))
    remedy = f"{' and '.join(f'{key} = 0' for key in keys)} in [provisioning] and a restart, until the next new phones."
    return warned(remedy, [f"{key} is open for files in clear, and no window is" for key in keys])


def _metrics(facts: PostureFacts) -> Judgement:
    if facts.interface is None:
        return unknown("the administration interface is not known")
    wide = [network for network in facts.interface.metrics_from if _is_wide(network)]
    if not wide:
        told = facts.interface.metrics_from or ("nobody without a log-in",)
        return passed(*(f"/metrics is read by {one}" for one in told))
    remedy = "metrics_from in [admin]: the address of Prometheus alone; or a token (gatewayctl tokens create)."
    return failed(remedy, [Evidence(f"{one} may read /metrics without a log-in") for one in wide])


def _is_public(address: str) -> bool:
    return not _is_any(address) and ip_address(address).is_global


def _is_any(address: str) -> bool:
    return ip_address(address).is_unspecified


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _is_wide(network: str) -> bool:
    known = ip_network(network)
    return known.is_global or (not known.is_loopback and known.num_addresses > NARROW)


CHECKS: Final = (
    Check(
        "EXP-1",
        "Phones' listeners are reached by phones alone",
        Gravity.HIGH,
        "A listener on the internet is found by scanners within hours, and its passwords are guessed from then on.",
        Effort.HOURS,
        _listeners,
    ),
    Check(
        "EXP-2",
        "Administration needs HTTPS and a log-in",
        Gravity.HIGH,
        "With access to it all calls can be read, and encryption switched off.",
        Effort.MINUTES,
        _administration,
    ),
    Check(
        "EXP-3",
        "Media workers take commands of this machine alone",
        Gravity.HIGH,
        "NG commands prove nothing about their sender, and lead media where it says.",
        Effort.MINUTES,
        _ng,
    ),
    Check(
        "EXP-4",
        "Settings of phones travel encrypted",
        Gravity.HIGH,
        "A phone's settings hold its password.",
        Effort.HOURS,
        _provisioning,
    ),
    Check(
        "EXP-5",
        "No window for unknown phones is open",
        Gravity.MEDIUM,
        "While it is open, whoever is in the network gets a phone's settings.",
        Effort.MINUTES,
        _window,
    ),
    Check(
        "EXP-6",
        "Metrics are read by few",
        Gravity.MEDIUM,
        "Metrics tell when nobody is in the office, and whether an attack has worked.",
        Effort.MINUTES,
        _metrics,
    ),
    Check(
        "EXP-7",
        "Ports for first files in clear are open in a window alone",
        Gravity.LOW,
        "Outside a window they give nothing to anybody, and are a door that is looked for all the same.",
        Effort.MINUTES,
        _first_files,
    ),
)
