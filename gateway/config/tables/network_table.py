"""The table [network]: the watch over this machine's addresses.

Here: its keys. Not here: addresses and interfaces as other tables name them (config/places.py), the watch
(gateway/app/network).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import attrs

from gateway.config.places import interface_name
from gateway.config.structuring import Unacceptable, number


class NetworkMode(StrEnum):
    """Whether the gateway follows the addresses of this machine."""

    OBSERVE = "observe"
    STATIC = "static"


def network_mode(value: object) -> NetworkMode:
    """How addresses are followed. Raises Unacceptable, for "dhcp" with the way to have it all the same."""
    if value == "dhcp":
        raise Unacceptable(
            value,
            "observe, static; this gateway asks no DHCP server itself: let this machine hold the lease, and name the "
            'interface by address = "%eth0" (docs/network.md)',
        )
    if value not in tuple(NetworkMode):
        raise Unacceptable(value, ", ".join(NetworkMode))
    return NetworkMode(str(value))


@attrs.frozen
class NetworkTerms:
    """[network]: the addresses of this machine, which may change while the gateway runs."""

    mode: Annotated[NetworkMode, network_mode] = NetworkMode.OBSERVE
    interface: Annotated[str, interface_name] | None = None
    """The interface that `address = "%"` means."""
    hold_seconds: Annotated[int, number(1, 3600)] = 10
    """Between two moves to another address at least; old listeners are closed so long after a move."""
