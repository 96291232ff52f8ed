"""Doubts about a configuration that is without mistakes: the gateway starts with it, and somebody should look.

Told by the log at each start and by `gatewayctl check`, in the same words. Not here: mistakes (checks), and doubts
about this machine and the files (gateway/ctl).
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from gateway.config import fields
from gateway.config.model import Admin, Configuration, Media, NetworkMode, Side
from gateway.config.placement import written_places
from gateway.config.places import interface_of, is_ipv6
from gateway.config.structuring import Mistake
from gateway.sip.uri import Uri
from gateway.state.sqlite import is_surely_empty

TEAMS: Final = ".pstnhub.microsoft.com"
"""The end of the names of Microsoft Teams Direct Routing."""


def doubts(configuration: Configuration) -> Iterator[Mistake]:
    """All doubts that the configuration by itself gives reason to."""
    yield from of_media(configuration)
    yield from of_teams(configuration)
    yield from of_leases(configuration)
    yield from of_acme(configuration)
    has_users = not is_surely_empty(configuration.gateway.state_directory / "users.sqlite", "user")
    yield from of_administration(configuration.admin, has_users=has_users)


def of_media(configuration: Configuration) -> Iterator[Mistake]:
    """Listeners on a side with media of the other version of IP: calls would be set up, and silent.

    None with rtpengine, which has addresses of its own.
    """
    if configuration.media.relay != "workers":
        return
    for index, listener in enumerate(configuration.listeners):
        media = _address(configuration.media, listener.side)
        if is_ipv6(media) is not is_ipv6(listener.address):
            kind = "IPv6" if is_ipv6(listener.address) else "IPv4"
            told = f"listener {listener.name} is {kind}, and media of its side has {media}"
            yield Mistake(f"listener[{index}].address", f"{told}: a peer that knows {kind} alone hears nothing")


def of_teams(configuration: Configuration) -> Iterator[Mistake]:
    """Microsoft Teams, which takes no request with an address in Contact, and none to a URI of sips."""
    for index, provider in enumerate(configuration.providers):
        uri = Uri.parse(provider.uri)
        if not uri.host.lower().rstrip(".").endswith(TEAMS):
            continue
        if uri.is_secure:
            yield Mistake(f"provider[{index}].uri", "is sips: Teams takes sip with transport=tls alone")
        if not provider.ping_seconds:
            yield Mistake(
                f"provider[{index}].ping_seconds", "is 0: Teams sends no call before it was asked with OPTIONS"
            )
        for number, listener in enumerate(configuration.listeners):
            is_toward = listener.side is Side.PROVIDER and listener.transport == "tls"
            if (
                is_toward
                and provider.contact_host is None
                and (listener.advertised_host is None or fields.is_address(listener.advertised_host))
            ):
                told = f"provider {provider.name} is Teams, which wants a name of the certificate in Contact"
                yield Mistake(f"listener[{number}].advertised_host", f"{told}: without one it refuses each call")


def of_acme(configuration: Configuration) -> Iterator[Mistake]:
    """Certificates beside the one that [acme] renews, of the same listener: nobody renews them, and they look alike."""
    acme = configuration.acme
    for index, listener in enumerate(configuration.listeners if acme is not None else ()):
        held = {f"listener[{index}].certificate": listener.certificate}
        held |= {
            f"listener[{index}].certificates[{place}]": one.certificate
            for place, one in enumerate(listener.certificates)
        }
        if acme is None or acme.certificate not in held.values():
            continue
        for path, file in held.items():
            if file != acme.certificate:
                told = f"{file} is not renewed by [acme], which renews {acme.certificate} alone"
                yield Mistake(path, f"{told}: put its names into acme.names, or renew it by other means")


def of_leases(configuration: Configuration) -> Iterator[Mistake]:
    """A DHCP client whose address nobody uses, or whose renewals nobody could ask for."""
    terms, default = configuration.network, configuration.network.interface
    if terms.mode is not NetworkMode.DHCP:
        return
    places = [interface_of(written, default) for _, written in written_places(configuration)]
    if all(place is None or place.name != default for place in places):
        told = f"no listener and no media have the address of {default}, which the DHCP client gets"
        yield Mistake("network.mode", f'{told}: address = "%" follows it')
    if terms.renew_after_seconds and not any(one.ping_seconds for one in configuration.providers):
        told = "no [[provider]] has ping_seconds, so that no silence is seen"
        yield Mistake("network.renew_after_seconds", f"{told}: the lease is renewed in its own time alone")


def of_administration(admin: Admin, *, has_users: bool) -> Iterator[Mistake]:
    """An interface that other machines reach, and that has nothing to answer them."""
    lacks = [] if has_users else ["no user exists (gatewayctl users add NAME --role admin)"]
    lacks += [] if admin.certificate else ["it has no certificate: log-ins and tokens are taken over HTTPS alone"]
    if lacks and not ip_address(admin.address).is_loopback:
        told = f"{admin.address} is reached from the network, and {'; '.join(lacks)}"
        yield Mistake(
            "admin.address",
            f"{told}; so other machines are answered nothing but /healthz and /readyz; 127.0.0.1 is reached from this "
            "machine alone",
        )
    far = [str(one) for one in admin.trusted_proxies if not one.is_loopback]
    if far and not admin.certificate:
        told = f"{', '.join(far)}: their requests are taken over HTTPS alone, and [admin] has no certificate"
        yield Mistake("admin.trusted_proxies", told)


def _address(media: Media, side: Side) -> str:
    return (media.phone_address if side is Side.PHONES else media.provider_address) or media.address
