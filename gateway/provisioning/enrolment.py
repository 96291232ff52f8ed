"""Enrolment windows: for a while, a device or a network may have the file that leads a phone to its own, in clear.

    open(device or network, seconds) -> Window -> is_open_for(address, source)    closed by time, by use, by a restart

That file holds the token of the device, and goes over HTTP or TFTP: anybody on the way can ask for the device's
settings in its name. So it is given while somebody expects the phone and in no other moment, and to one phone no more
once that phone came over HTTPS (`used`). The window of a network is for devices that never fetched their file: in it
nobody gets the token of a phone that is in use by its address. Nothing is kept: a restart closes all windows. Pure;
time is an argument.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import attrs

LONGEST: Final = 86_400
"""Seconds that a window is open at most."""
MOST: Final = 1_000
"""Windows at once."""

Network = IPv4Network | IPv6Network


class TooManyWindows(Exception):
    """No more windows can be open at once."""


@attrs.frozen
class Window:
    """One window, for a device or for all devices of a network."""

    address: str
    """The device's hardware address; empty: any device of the network."""
    network: Network | None
    until: float
    """Seconds, of the clock that the caller counts by."""

    def lets_in(self, address: str, source: str, *, is_new: bool) -> bool:
        """Whether it is for a device, and for the address that the device asks from. An empty ``address`` is that of a
        file that is the same for all devices; ``is_new``: the device never fetched its file."""
        if not self.address and not is_new:
            return False
        if self.network is not None and not _is_in(source, self.network):
            return False
        return not self.address or not address or self.address == address


class Enrolment:
    """The windows that are open."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, Network | None], Window] = {}
        self._used: set[str] = set()
        """Devices that came over HTTPS since a window was opened."""

    def open(self, address: str, network: Network | None, seconds: int, now: float) -> Window:
        """Open one, or keep one open for longer. Raises TooManyWindows, and ValueError for a window to everybody."""
        if not address and (network is None or not network.prefixlen):
            raise ValueError("a window is for a device or a network")
        self._close_old(now)
        key = (address, network)
        if key not in self._windows and len(self._windows) >= MOST:
            raise TooManyWindows
        window = self._windows[key] = Window(address, network, now + min(max(seconds, 1), LONGEST))
        if address:
            self._used.discard(address)
        else:
            self._used.clear()
        return window

    def close(self, address: str, network: Network | None, now: float) -> Window | None:
        """Close one before its time; None where none was open."""
        self._close_old(now)
        closed = self._windows.pop((address, network), None)
        if not self._windows:
            self._used.clear()
        return closed

    def is_open_for(self, address: str, source: str, now: float, *, is_new: bool) -> bool:
        """Whether a device may have its first file from a source; an empty ``address``: the file of all devices."""
        self._close_old(now)
        if address in self._used:
            return False
        return any(window.lets_in(address, source, is_new=is_new) for window in self._windows.values())

    def used(self, address: str) -> None:
        """The device came over HTTPS, and needs no first file any more."""
        if self._windows:
            self._used.add(address)

    def open_windows(self, now: float) -> list[Window]:
        """Those that are open, the first to close first."""
        self._close_old(now)
        return sorted(self._windows.values(), key=lambda window: window.until)

    def _close_old(self, now: float) -> None:
        for key in [key for key, window in self._windows.items() if window.until <= now]:
            del self._windows[key]
        if not self._windows:
            self._used.clear()


def _is_in(source: str, network: Network) -> bool:
    try:
        address = ip_address(source)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in network
