"""Everything around the roll-outs that they ask: phones, calls, hours, the memory of peers, and files of phones.

Here: the seams. Not here: the parts behind them, which the composition root joins.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Protocol

import attrs

from gateway.config.model import Resync
from gateway.config.switches import Settings
from gateway.observe.metrics import Metrics
from gateway.registrar.acceptance import Times
from gateway.registrar.binding import LocationStore
from gateway.registrar.enablement.order_exchange import OrderSender
from gateway.registrar.enablement.phone_orders import Makes, makes_of
from gateway.security.policy.peer_memory import PeerMemory
from gateway.transport.flow import Address


class ClientHandshakes(Protocol):
    """Handshakes of phones that fail."""

    def forget_client(self, host: str) -> None:
        """Count failures of a host anew."""

    def client_failure(self, host: str) -> str:
        """The last failure of a host since then, in words; empty: there was none, or one handshake succeeded."""


@attrs.frozen
class ServedFile:
    """The file of a device that this gateway serves, and how the device stands with it."""

    state: str
    """current, behind or never."""
    protection: str
    """The protection that it asks for."""
    generation: int
    """That is wanted."""
    fetched: int
    """That was fetched last; 0: none."""
    fetched_at: float
    """Seconds since the epoch; 0: never."""
    proof: str
    """The proof that the device gave then."""


class PhoneFiles(Protocol):
    """Files that phones fetch from this gateway. Devices are named as the inventory names them."""

    def file_of(self, device: str) -> ServedFile | None:
        """The file of a device; None where it does not come from here."""

    def serves(self, device: str) -> bool:
        """Whether a device's file comes from here."""

    def protect(self, device: str, *, is_required: bool) -> None:
        """Give a device a file that says TLS from now on. Nothing happens where its file does not come from here."""

    def roll_back(self, device: str) -> None:
        """Give a device the file of before from now on. Nothing happens where there is none."""

    def follow(self, follower: Callable[[str], None]) -> None:
        """Tell of each later fetch of a file, by the device, be it another file than the device had or the same."""


class NoFiles:
    """No phone fetches its file here."""

    def file_of(self, device: str) -> ServedFile | None:
        """There is none."""
        return None

    def serves(self, device: str) -> bool:
        """None does."""
        return False

    def protect(self, device: str, *, is_required: bool) -> None:
        """Nothing is served."""

    def roll_back(self, device: str) -> None:
        """Nothing is served."""

    def follow(self, follower: Callable[[str], None]) -> None:
        """Nothing is fetched."""


@attrs.frozen
class RolloutSurroundings:
    """The parts that roll-outs ask."""

    settings: Settings
    store: LocationStore
    memory: PeerMemory
    sender: OrderSender
    clock: Times
    metrics: Metrics
    in_calls: Callable[[], Set[Address]]
    """Addresses of phones that have a call now, ringing ones among them."""
    handshakes: ClientHandshakes
    files: PhoneFiles = attrs.field(factory=NoFiles)

    @property
    def terms(self) -> Resync:
        """The table [resync] in force."""
        return self.settings.current.resync

    @property
    def makes(self) -> Makes:
        """The makes in force."""
        return makes_of(self.settings.current.resync_makes)
