"""A configuration with the addresses that its interfaces have now.

    Configuration ("%eth0") + the kernel's word -> placed() -> Configuration ("192.0.2.10")

Parts of the gateway know placed configurations alone. Not here: the kernel (base/network), whether an address is there
still (app/network/presence.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from gateway.config.model import Configuration, ConfigurationError, Listener, Media
from gateway.config.places import NamedInterface, interface_of
from gateway.config.structuring import Mistake

FirstAddress = Callable[[str, int], str | None]
"""The address of an interface by its name and an IP version, 4 or 6; None where it has none."""

_MEDIA_KEYS: Final = ("address", "phone_address", "provider_address")


def placed(configuration: Configuration, first_address: FirstAddress) -> Configuration:
    """The configuration with numeric addresses alone. Raises ConfigurationError, with a line for each interface that
    has none."""
    addresses = present_addresses(configuration, first_address)
    missing = tuple(f"{configuration.source}: {mistake}" for mistake in without_address(configuration, addresses))
    if missing:
        raise ConfigurationError(missing)
    return at_addresses(configuration, addresses)


def present_addresses(configuration: Configuration, first_address: FirstAddress) -> dict[NamedInterface, str]:
    """The address of each interface that a configuration names, of those that have one. Each is asked for once: a
    second answer may be another."""
    named = dict.fromkeys(place for _, place in _places(configuration))
    found = {place: first_address(place.name, place.version) for place in named}
    return {place: address for place, address in found.items() if address is not None}


def without_address(configuration: Configuration, present: Mapping[NamedInterface, str]) -> Iterator[Mistake]:
    """The mistake of each key that names an interface that is not among those ``present``."""
    for key, place in _places(configuration):
        if place not in present:
            yield Mistake(
                key,
                f"interface {place.name} is not there, or has no global IPv{place.version} address (ip address show)",
            )


def at_addresses(configuration: Configuration, addresses: Mapping[NamedInterface, str]) -> Configuration:
    """The configuration with these addresses of interfaces; the places of others stay as they are written."""
    default = configuration.network.interface

    def numeric(written: str) -> str:
        place = interface_of(written, default)
        return written if place is None else addresses.get(place, written)

    media = configuration.media
    return attrs.evolve(
        configuration,
        listeners=tuple(attrs.evolve(one, address=numeric(one.address)) for one in configuration.listeners),
        media=attrs.evolve(
            media,
            address=numeric(media.address),
            phone_address=media.phone_address and numeric(media.phone_address),
            provider_address=media.provider_address and numeric(media.provider_address),
        ),
    )


def addresses_of(configuration: Configuration, placed_one: Configuration) -> dict[NamedInterface, str]:
    """The addresses that the interfaces of a configuration have in its placed form."""
    now = dict(written_places(placed_one))
    default = configuration.network.interface
    pairs = ((interface_of(written, default), now[user]) for user, written in written_places(configuration))
    return {place: address for place, address in pairs if place is not None}


def moved_listeners(configuration: Configuration, moved: Mapping[NamedInterface, str]) -> tuple[Listener, ...]:
    """The listeners at interfaces that moved, as they are written."""
    default = configuration.network.interface
    return tuple(one for one in configuration.listeners if interface_of(one.address, default) in moved)


def does_media_move(media: Media, default: str | None, moved: Mapping[NamedInterface, str]) -> bool:
    """Whether a side's media are at one of the interfaces that moved."""
    return any(interface_of(written, default) in moved for _, written in _media_places(media))


def _places(configuration: Configuration) -> Iterator[tuple[str, NamedInterface]]:
    """Each interface with its key."""
    default = configuration.network.interface
    written = [(f"listener[{index}].address", one.address) for index, one in enumerate(configuration.listeners)]
    written += [(f"media.{key}", getattr(configuration.media, key) or "") for key in _MEDIA_KEYS]
    for key, text in written:
        place = interface_of(text, default)
        if place is not None:
            yield key, place


def written_places(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Each place in use as it is written, with its user for people."""
    yield from ((f"listener {one.name}", one.address) for one in configuration.listeners)
    yield from _media_places(configuration.media)


def _media_places(media: Media) -> Iterator[tuple[str, str]]:
    """The two sides' places; an rtpengine has its own."""
    if media.relay == "workers":
        yield "media of phones", media.phone_address or media.address
        yield "media of the provider", media.provider_address or media.address
