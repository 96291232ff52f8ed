"""How each device stands: the generation of its file that is wanted, and the one that it fetched last.

    new settings, protect, roll_back -> generation + 1        fetched(address, ...) -> the generation that it has now
    rotate -> tokens + 1: URLs and keys of before are worth nothing

A generation is a number of the device's own; it never goes down, so that "has this device fetched generation N" has one
answer for good. A roll back is a further generation with the protection of the one before. A generation begins with
each change of a device's settings but its passwords, of which nothing is kept. Kept in `provisioning.sqlite`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs

from gateway.config.device_file import HARDWARE_ADDRESS, LegProtection

KEPT: Final = 50_000
"""Devices of which the standing is kept."""
_ADOPTED: Final = "adopted "
_STANDING: Final = "standing "
_BITS: Final = 63


class KeptValues(Protocol):
    """The part that is used of a table of kept values."""

    def put(self, key: str, at: float, value: dict[str, Any]) -> None:
        """Keep a value."""

    def put_at_once(self, key: str, at: float, value: dict[str, Any]) -> None:
        """Keep a value without delay."""

    def drop(self, key: str) -> None:
        """Keep it no more."""


class NothingBefore(Exception):
    """There is no protection of before to go back to."""


@attrs.frozen
class FileStanding:
    """How one device stands. Times are seconds since the epoch."""

    generation: int = 1
    """The one that is wanted."""
    tokens: int = 1
    """The generation of its tokens and keys."""
    settings: str = ""
    """A mark of its settings, without passwords; empty: not known yet."""
    configured: str = ""
    """The protection that its settings say."""
    protection: str = ""
    """Another one instead; empty: none. It holds until the settings say something else."""
    before: str = ""
    """The protection of the generation before; empty: none to go back to."""
    fetched: int = 0
    """The generation that it fetched last; 0: none."""
    fetched_at: float = 0.0
    proof: str = ""
    """The proof that it gave: certificate, token, sealed."""
    source: str = ""
    model: str = ""
    firmware: str = ""

    @property
    def effective(self) -> LegProtection:
        """The protection that its file asks for."""
        return LegProtection(self.protection or self.configured or LegProtection.REQUIRED)

    @property
    def state(self) -> str:
        """current, behind or never."""
        if not self.fetched:
            return "never"
        return "current" if self.fetched >= self.generation else "behind"


@attrs.frozen
class Fetch:
    """A file that was given to a device."""

    at: float
    proof: str
    source: str
    model: str = ""
    firmware: str = ""


class Standings:
    """The standings of all devices. ``now`` gives seconds since the epoch."""

    def __init__(self, table: KeptValues, now: Callable[[], float]) -> None:
        self._table = table
        self._now = now
        self._by_address: dict[str, FileStanding] = {}
        self._adopted: dict[str, dict[str, Any]] = {}
        self._followers: list[Callable[[str], None]] = []
        self.changes = 0
        """How often a standing has changed."""

    def recall(self, rows: list[tuple[str, dict[str, Any]]]) -> None:
        """Take the values of before; those that another version wrote in another way are left out."""
        self.changes += 1
        for key, value in rows:
            kind, _, address = key.partition(" ")
            if not HARDWARE_ADDRESS.fullmatch(address):
                continue
            if f"{kind} " == _ADOPTED:
                self._adopted[address] = value
            elif f"{kind} " == _STANDING and (standing := _read(value)) is not None:
                self._by_address[address] = standing

    @property
    def adopted(self) -> Mapping[str, dict[str, Any]]:
        """Devices that an operator took in while the gateway ran: tables as in the file of devices, no passwords."""
        return self._adopted

    def adopt(self, address: str, device: dict[str, Any]) -> None:
        """Take a device in, or in another way."""
        self._adopted[address] = device
        self._table.put_at_once(_ADOPTED + address, self._now(), device)

    def drop(self, address: str) -> None:
        """Let go of a device that was adopted. Its standing stays, so that its old tokens stay worthless."""
        self._adopted.pop(address, None)
        self._table.drop(_ADOPTED + address)

    def of(self, address: str) -> FileStanding:
        """How a device stands."""
        return self._by_address.get(address) or FileStanding()

    def settle(self, address: str, settings: str, configured: LegProtection) -> None:
        """A device has these settings, by their mark, and this protection by them: a new generation where they are
        others than before."""
        old = self.of(address)
        if old.settings == settings and old.configured == configured:
            return
        new = attrs.evolve(old, settings=settings, configured=str(configured))
        if old.configured and old.configured != configured:
            new = attrs.evolve(new, protection="", before=str(old.effective))
        more = 1 if old.settings else 0
        self._keep(address, attrs.evolve(new, generation=old.generation + more))

    def protect(self, address: str, protection: LegProtection) -> int:
        """Have a device's file ask for a protection; the generation that does."""
        old = self.of(address)
        if protection is old.effective:
            return old.generation
        generation = old.generation + 1
        new = attrs.evolve(old, protection=str(protection), before=str(old.effective), generation=generation)
        return self._keep(address, new).generation

    def roll_back(self, address: str) -> int:
        """Go back to the protection of the generation before; the generation that does. Raises NothingBefore."""
        old = self.of(address)
        if not old.before or old.before == old.effective:
            raise NothingBefore
        new = attrs.evolve(old, protection=old.before, before="", generation=old.generation + 1)
        return self._keep(address, new).generation

    def rotate(self, address: str) -> None:
        """Make the tokens and keys of before worth nothing. Kept at once: a restart must not bring them back."""
        before = self.of(address)
        self._keep(address, attrs.evolve(before, tokens=before.tokens + 1, generation=before.generation + 1))

    def fetched(self, address: str, fetch: Fetch) -> bool:
        """A device was given its file of now; whether that is another generation than it had."""
        before = self.of(address)
        after = attrs.evolve(
            before,
            fetched=before.generation,
            fetched_at=fetch.at,
            proof=fetch.proof,
            source=fetch.source,
            model=fetch.model or before.model,
            firmware=fetch.firmware or before.firmware,
        )
        self._by_address[address] = after
        self.changes += 1
        self._table.put(_STANDING + address, self._now(), attrs.asdict(after))
        for follower in self._followers:
            follower(address)
        return before.fetched != after.fetched

    def follow(self, follower: Callable[[str], None]) -> None:
        """Tell of each later fetch, by the address of the device. It must be quick, and must not raise."""
        self._followers.append(follower)

    def _keep(self, address: str, standing: FileStanding) -> FileStanding:
        self._by_address[address] = standing
        self.changes += 1
        self._table.put_at_once(_STANDING + address, self._now(), attrs.asdict(standing))
        return standing


def _read(value: Mapping[str, Any]) -> FileStanding | None:
    fields = {field.name: field for field in attrs.fields(FileStanding)}
    kept = {name: given for name, given in value.items() if name in fields}
    if any(type(given) is not type(fields[name].default) and name != "fetched_at" for name, given in kept.items()):
        return None
    numbers = [kept.get(name, 1) for name in ("generation", "tokens", "fetched")]
    words = {kept.get(name, "") for name in ("configured", "protection", "before")}
    if any(not 0 <= number < 2**_BITS for number in numbers) or not words <= {"", *LegProtection}:
        return None
    return FileStanding(**kept)
