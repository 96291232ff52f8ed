"""Whether media goes by the version of IP that signalling comes by: pure functions of the configuration.

A phone that knows IPv6 alone, on a listener of its own, sets up calls and hears nothing where media has an IPv4
address.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.model import Configuration, Listener, Media, Side


def mismatched(configuration: Configuration) -> Iterator[tuple[Listener, str]]:
    """Listeners whose side has media of the other version of IP, and the address of that media. None with rtpengine,
    whose addresses are its own."""
    if configuration.media.relay != "workers":
        return
    for listener in configuration.listeners:
        media = _address(configuration.media, listener.side)
        if (":" in media) is not (":" in listener.address):
            yield listener, media


def _address(media: Media, side: Side) -> str:
    return (media.phone_address if side is Side.PHONES else media.provider_address) or media.address
