"""Doubts about a configuration that is without mistakes: the gateway starts with it, and somebody should look.

Told by the log at each start and by `gatewayctl check`, in the same words. Not here: mistakes (checks), and doubts
about this machine and the files (gateway/ctl).
"""

from collections.abc import Iterator
from ipaddress import ip_address

from gateway.config.model import Admin, Configuration, Media, Side
from gateway.config.structuring import Mistake
from gateway.state.sqlite import is_surely_empty


def doubts(configuration: Configuration) -> Iterator[Mistake]:
    """All doubts that the configuration by itself gives reason to."""
    yield from of_media(configuration)
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
        if (":" in media) is not (":" in listener.address):
            kind = "IPv6" if ":" in listener.address else "IPv4"
            told = f"listener {listener.name} is {kind}, and media of its side has {media}"
            yield Mistake(f"listener[{index}].address", f"{told}: a peer that knows {kind} alone hears nothing")


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


def _address(media: Media, side: Side) -> str:
    return (media.phone_address if side is Side.PHONES else media.provider_address) or media.address
