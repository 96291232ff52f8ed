"""Remarks on a provider, for an operator to see to; and the rule for places that a probe may not connect to."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Final

from gateway.b2bua.probe.found import ProviderFacts, TargetFacts
from gateway.base.network.kernel import RunningKernel
from gateway.config.model import Provider, Signalling
from gateway.transport.tls.certificates import RENEW_WITHIN_DAYS

LONG_CHAIN: Final = 10


def remarks(facts: ProviderFacts, provider: Provider) -> tuple[str, ...]:
    """All remarks on a provider."""
    return tuple(_all(facts, provider))


def _all(facts: ProviderFacts, provider: Provider) -> Iterator[str]:
    if provider.uri_for(Signalling.TLS) is None:
        yield "Its uri names a transport without TLS: nothing can be encrypted."
    elif not facts.targets and not facts.dns_failure:
        yield "DNS has no TLS record for it, so no way leads there over TLS."
    for target in facts.targets:
        yield from _of_target(target, provider)
    for call in facts.calls:
        if call.is_one_way:
            yield f"{call.number}: {call.sent} packets of media were sent, and none came back: an echo would have."
    if facts.digest is not None and facts.digest.password == "wrong":  # noqa: S105
        yield f"The password that is held here for {facts.digest.user} is wrong."
    if facts.digest is not None and facts.digest.algorithms == ("MD5",):
        yield "It offers no digest but MD5 (RFC 8760)."


def _of_target(target: TargetFacts, provider: Provider) -> Iterator[str]:
    name = target.target
    if target.chain and not target.failure and target.chain[0].days_left < RENEW_WITHIN_DAYS:
        yield f"{name}: its certificate ends in {target.chain[0].days_left} days."
    if target.chain_length > LONG_CHAIN:
        yield f"{name}: it presents {target.chain_length} certificates."
    if any(one.is_done and not one.is_ours for one in target.versions):
        old = ", ".join(one.version for one in target.versions if one.is_done and not one.is_ours)
        yield f"{name}: it speaks TLS {old} alone, which no call may use."
    if target.wants_certificate and provider.certificate is None:
        yield f"{name}: it asks for a certificate of ours, and none is configured."
    if target.sip is not None and not target.sip.status:
        yield f"{name}: TLS is up, and OPTIONS gets no answer."
    if target.sip is not None and target.sip.leads_to:
        yield f"{name}: it redirects OPTIONS to {target.sip.leads_to}, which nobody follows."


def barred_place(host: str, own: frozenset[str]) -> str:
    """Why a URI that an operator names may not lead to a numeric host; empty where it may. Else a probe would reach,
    from this machine, services that trust it."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_own, usual = address in map(ip_address, own), str(address)  # a URI may spell it in other ways
    if address.is_loopback and not is_own:
        return "a loopback address"
    if is_own or RunningKernel().is_own(usual):
        return "an address of this gateway"
    if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
        return "an address that is no server's"
    return ""
