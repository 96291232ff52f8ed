"""A roll-out and its phones as values, their form in the file, and the choice of phones and waves.

    live bindings of a domain -> PhoneList: a phone each, by device -> in waves: canary, then the others, makes mixed

One device with several addresses of record is one phone and is asked once. Two devices on one address are two. A phone
names its device itself: good enough to count it, and for nothing else. It is recognised again by its address of record,
which the provider has seen the password of, and by its device only among those of one address.

Not here: time, sending, the file (rollouts.py); the states (rollout_table.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import chain, zip_longest
from typing import Final, cast

import attrs

from gateway.config.model import Resync
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.phone_orders import Makes
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.rollout_table import FINAL, PhoneState
from gateway.registrar.sightings import device_of
from gateway.state.table import Value

ADDRESSES: Final = 20
"""Addresses of record of one phone that are followed."""


class Goal(StrEnum):
    """The end that a roll-out leads its phones to."""

    TLS = "tls"
    TLS_REQUIRED = "tls_required"
    """And each that is there is refused in clear from then on."""
    RESYNC = "resync"
    """They fetch their configuration: an order taken is all that is wanted."""


class RolloutStage(StrEnum):
    """The state of a whole roll-out."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    ROLLING_BACK = "rolling_back"
    DONE = "done"

    @property
    def is_open(self) -> bool:
        """Whether something may still be done to its phones."""
        return self in (RolloutStage.PLANNED, RolloutStage.RUNNING, RolloutStage.PAUSED, RolloutStage.ROLLING_BACK)


@attrs.define
class RolloutPhone:
    """One phone of a roll-out. Times are seconds since the epoch."""

    number: int
    """Its place in the roll-out, from 1."""
    key: str
    """Its device, as the inventory names it."""
    addresses: tuple[str, ...]
    make: str
    """As makes.toml or [[resync_make]] names it."""
    model: str
    wave: int
    """From 0, the canary."""
    state: PhoneState = PhoneState.WAITING
    reason: PhoneReason = PhoneReason.NONE
    detail: str = ""
    """Its own words, made clean: a status, a failure of TLS."""
    since: float = 0.0
    attempts: int = 0
    """Orders so far."""
    until: float = 0.0
    """When the time of its state is over; 0: never."""
    call_id: str = ""
    """Of its registration when the order went out: a phone that has started again has another."""
    host: str = ""
    """The address that it was registered from then."""
    has_refreshed: bool = False
    """Whether it registered in clear after the order."""
    is_led: bool = False
    """Whether it is refused in clear, by this roll-out."""

    @property
    def address(self) -> str:
        """The first of its addresses of record."""
        return self.addresses[0]

    @property
    def is_final(self) -> bool:
        """Whether it is left alone from now on."""
        return self.state in FINAL

    def as_json(self) -> Value:
        """The phone as the file keeps it."""
        told = {name: getattr(self, name) for name in _KEPT}  # attrs.asdict takes 40 microseconds
        return cast(
            "Value", {**told, "state": str(self.state), "reason": str(self.reason), "addresses": [*self.addresses]}
        )

    @classmethod
    def read(cls, row: Value) -> RolloutPhone:
        """The phone that the file keeps. Raises ValueError, TypeError, KeyError for another row."""
        known = {field.name for field in attrs.fields(cls)}
        values = {key: value for key, value in row.items() if key in known}
        addresses = tuple(map(str, cast("list[object]", row["addresses"])))
        if not addresses:
            raise ValueError("a phone without an address of record")
        state, reason = PhoneState(str(row["state"])), PhoneReason(str(row["reason"]))
        return cls(**cast("dict[str, object]", {**values, "addresses": addresses, "state": state, "reason": reason}))  # type: ignore[arg-type]


_KEPT: Final = tuple(field.name for field in attrs.fields(RolloutPhone))


@attrs.define
class RollOut:
    """A roll-out of one domain."""

    number: int
    domain: str
    """In lower case."""
    goal: Goal
    who: str
    began: float
    """Seconds since the epoch."""
    stage: RolloutStage = RolloutStage.RUNNING
    why: str = ""
    """Why it is paused or stopped, for people."""
    at: float = 0.0
    """When the first phone may be asked."""
    wave: int = 0
    """The wave that is under way."""
    waves: int = 0
    security_before: str = ""
    """The domain's security, if the roll-out changed it: a roll-back restores it."""
    reboot: bool = False
    """Whether each order asks for a reboot."""
    phones: list[RolloutPhone] = attrs.field(factory=list, repr=False)

    def as_json(self) -> Value:
        """The roll-out as the file keeps it, without its phones."""
        told = attrs.asdict(self, filter=lambda field, _: field.name != "phones")
        return cast("Value", {**told, "goal": str(self.goal), "stage": str(self.stage)})

    @classmethod
    def read(cls, row: Value) -> RollOut:
        """The roll-out that the file keeps. Raises ValueError, TypeError, KeyError for another row."""
        known = {field.name for field in attrs.fields(cls)} - {"phones"}
        values = {key: value for key, value in row.items() if key in known}
        goal, stage = Goal(str(row["goal"])), RolloutStage(str(row["stage"]))
        return cls(**cast("dict[str, object]", {**values, "goal": goal, "stage": stage}))  # type: ignore[arg-type]

    def by_state(self) -> dict[PhoneState, int]:
        """How many phones are in each state, of those that some are in."""
        found: dict[PhoneState, int] = {}
        for phone in self.phones:
            found[phone.state] = found.get(phone.state, 0) + 1
        return found


class PhoneList:
    """The phones of bindings, a phone each, while they are looked at one after the other: 30 microseconds a binding."""

    def __init__(self, makes: Makes) -> None:
        self._makes = makes
        self._found: dict[str, RolloutPhone] = {}

    def add(self, binding: Binding) -> None:
        """One more live binding."""
        device = device_of(binding)
        phone = self._found.get(device.key)
        if phone is None:
            model = " ".join(filter(None, (device.make, device.model))) or device.user_agent[:40]
            make = self._makes.of(binding.user_agent).name
            self._found[device.key] = RolloutPhone(0, device.key, (binding.aor,), make, model, 0)
        elif binding.aor not in phone.addresses and len(phone.addresses) < ADDRESSES:
            phone.addresses = (*phone.addresses, binding.aor)

    def in_waves(self, terms: Resync) -> list[RolloutPhone]:
        """All of them, numbered, the canary first."""
        mixed = [*_mixed([self._found[key] for key in sorted(self._found)])]
        for index, phone in enumerate(mixed):
            phone.number = index + 1
            phone.wave = 0 if index < terms.canary else 1 + (index - terms.canary) // terms.wave
        return mixed


def is_meant(binding: Binding, only: str) -> bool:
    """Whether a glob means a binding's address of record."""
    if not only:
        return True
    name = only.removeprefix("sip:").lower()
    return fnmatchcase(binding.user.lower(), name) or fnmatchcase(binding.aor.removeprefix("sip:").lower(), name)


def _mixed(phones: list[RolloutPhone]) -> Iterator[RolloutPhone]:
    """One of each make, then the second of each: a wave meets every make early."""
    by_make: dict[str, list[RolloutPhone]] = defaultdict(list)
    for phone in phones:
        by_make[phone.make].append(phone)
    rounds = zip_longest(*(by_make[make] for make in sorted(by_make, key=lambda make: -len(by_make[make]))))
    return (phone for phone in chain.from_iterable(rounds) if phone is not None)
