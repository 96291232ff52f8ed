"""The table [network]: the watch over this machine's addresses, and the DHCP client beside the gateway.

Here: its keys. Not here: addresses and interfaces as other tables name them (config/places.py), the watch
(gateway/app/network), the client, a process of its own that reads no configuration (gateway/base/network/dhcp).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import attrs

from gateway.config import fields
from gateway.config.places import interface_name
from gateway.config.structuring import Mistake, Unread, known, number

LEAST_SILENCE: Final = 10
"""Seconds: with less, a provider that restarts would be a reason to ask for a lease again."""


class NetworkMode(StrEnum):
    """Whether the gateway follows the addresses of this machine."""

    OBSERVE = "observe"
    STATIC = "static"
    DHCP = "dhcp"


@attrs.frozen
class NetworkTerms:
    """[network]: the addresses of this machine, which may change while the gateway runs."""

    mode: NetworkMode = NetworkMode.OBSERVE
    interface: Annotated[str, interface_name] | None = None
    """The interface that `address = "%"` means, and the DHCP client's."""
    hold_seconds: Annotated[int, number(1, 3600)] = 10
    """Between two moves to another address at least; old listeners are closed so long after a move."""
    helper: Path = Path("/run/gateway-network/lease.sock")
    """The UNIX socket of the DHCP client."""
    helper_user: Annotated[str, fields.user] = "gateway-network"
    """The user that the client runs as; root is believed, too."""
    renew_after_seconds: Annotated[int, number(0, 3600)] = 0
    """Of silence of all providers, after which the lease is renewed; 0: never."""
    renew_interval: Annotated[int, number(300, 86_400)] = 300
    """Seconds between two of these renewals at least."""


def network_mistakes(terms: NetworkTerms | None) -> Iterator[Mistake]:
    """The mistakes of the table; None for one that cannot be read at all."""
    if terms is None:
        return
    mode, seconds = known(terms, "mode"), known(terms, "renew_after_seconds")
    if mode is NetworkMode.DHCP and _lacks_interface(terms):
        yield Mistake("network.interface", 'is missing: mode = "dhcp" is for one interface, the DHCP client\'s')
    if seconds and mode in (NetworkMode.OBSERVE, NetworkMode.STATIC):
        yield Mistake("network.renew_after_seconds", 'is for mode = "dhcp": nothing else could renew a lease')
    if seconds and seconds < LEAST_SILENCE:
        yield Mistake("network.renew_after_seconds", f"found {seconds}, allowed: 0 (never), {LEAST_SILENCE} to 3600")


def _lacks_interface(terms: NetworkTerms) -> bool:
    try:
        return terms.interface is None
    except Unread:  # it has one, and it is wrong
        return False
