"""Phones by the name that an operator gives: an address of record, a user, or a hardware address in any spelling.

    101, 101@example.com, 80:5e:c0:11:22:33 -> NamedPhones -> live bindings, rows of roll-outs

Thousands of phones are looked through a few at a time, between calls. Not here: what is done with them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from gateway.admin.hardening import Rejected
from gateway.admin.turns import pieces
from gateway.config.device_file import HARDWARE_ADDRESS
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.roll_out import RollOut, RolloutPhone
from gateway.registrar.enablement.roll_out_list import RollOutList
from gateway.registrar.enablement.surroundings import RolloutSurroundings
from gateway.registrar.sightings import HARDWARE, key_of

AT_ONCE: Final = 10
"""Bindings between two rests."""
ROWS_AT_ONCE: Final = 1_000
"""Rows of roll-outs between two rests."""
Row: TypeAlias = tuple[RollOut, RolloutPhone]
"""A phone of a roll-out, with it."""
_SPELLING: Final = re.compile(r"[.:-]")


class NamedPhones:
    """Finds them. ``rest`` gives a moment to calls."""

    def __init__(self, around: RolloutSurroundings, rest: Callable[[], Awaitable[None]]) -> None:
        self._around = around
        self._rest = rest

    async def bindings(self, name: str) -> list[Binding]:
        """The live bindings of a name; of a device with several, one. Raises Rejected where it means several users."""
        found = [bound for user in self.addresses(name) if (bound := self._around.store.find(f"sip:{user}"))]
        if len(found) > 1:
            raise Rejected(409, f"{name[:80]} is in several domains: name it with its domain.")
        if found:
            return found[0]
        key = device_key(name)
        return [one async for one in self.all() if key_of(one) == key][:1] if key else []

    async def rows(self, name: str, bindings: list[Binding], rollouts: RollOutList) -> list[Row]:
        """The rows of a name in the latest roll-out of each domain: of its addresses, else of its device."""
        addresses = {one.aor for one in bindings} or {f"sip:{user}" for user in self.addresses(name)}
        found = [pair for address in sorted(addresses) for pair in rollouts.phones_at(address)]
        if found:
            return found
        key = device_key(name)
        for rollout in rollouts.latest() if key else ():
            async for piece in pieces(rollout.phones, ROWS_AT_ONCE, self._rest):
                found += ((rollout, phone) for phone in piece if phone.key == key)
        return found

    async def all(self) -> AsyncIterator[Binding]:
        """Every binding."""
        async for piece in pieces([*self._around.store.all()], AT_ONCE, self._rest):
            for binding in piece:
                yield binding

    def addresses(self, name: str) -> list[str]:
        """The users, with their domains, that a name may mean."""
        wanted = name.removeprefix("sip:").lower()
        domains = [domain.name.lower() for domain in self._around.settings.current.domains]
        return [wanted] if "@" in wanted else [f"{wanted}@{domain}" for domain in domains]


def device_key(name: str) -> str:
    """The key in the inventory that a hardware address has; empty for any other name, which nothing is looked for by:
    a reader could have every phone looked at again and again."""
    address = _SPELLING.sub("", name).lower()
    return f"{HARDWARE}{address}" if HARDWARE_ADDRESS.fullmatch(address) else ""
