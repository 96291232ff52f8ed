"""Makes of phones, and the order by NOTIFY that each obeys: those of makes.toml, and an operator's before them.

    User-Agent -> Makes.of -> OrderedMake -> order(reboot) -> Event and body, for notify.py

A phone may write anything into its User-Agent. It can choose an order of the list by it, and so its own: that harms
nobody else. An unknown phone gets the order of most makes, in the form that asks for no reboot. Pure functions.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import attrs

from gateway.config.model import ResyncMake

BUILT_IN: Final = Path(__file__).with_name("makes.toml")
LONGEST: Final = 200
"""Characters of a User-Agent that are looked at."""
OTHER: Final = "other"
"""The name of every make that is not known, in metrics."""


@attrs.frozen
class PhoneOrder:
    """An order to a phone: the fields of its NOTIFY."""

    event: str
    content_type: str = ""
    body: bytes = b""


@attrs.frozen
class OrderedMake:
    """A make, and the orders that its phones obey."""

    name: str
    resync: PhoneOrder
    reboot: PhoneOrder | None
    """None: its phones take no order to start again."""

    def order(self, *, reboot: bool) -> PhoneOrder:
        """The order; where a reboot is wanted that the make does not know, the one that it knows."""
        return self.reboot if reboot and self.reboot is not None else self.resync


ANY: Final = OrderedMake(OTHER, PhoneOrder("check-sync;reboot=false"), PhoneOrder("check-sync;reboot=true"))


class Makes:
    """The list of makes; ``configured`` ones come first."""

    def __init__(self, configured: Iterable[ResyncMake] = ()) -> None:
        own = tuple((re.compile(one.match), _made(one)) for one in configured)
        self._known = (*own, *built_in())

    def of(self, user_agent: str) -> OrderedMake:
        """The make that a User-Agent names; ANY for one that is not known."""
        text = user_agent[:LONGEST].strip()
        return next((make for pattern, make in self._known if pattern.search(text)), ANY)


@lru_cache(maxsize=1)
def makes_of(configured: tuple[ResyncMake, ...]) -> Makes:
    """The list with these tables of a configuration."""
    return Makes(configured)


@lru_cache(maxsize=1)
def built_in() -> tuple[tuple[re.Pattern[str], OrderedMake], ...]:
    """The makes of makes.toml, in its order."""
    tables = tomllib.loads(BUILT_IN.read_text(encoding="utf-8"))["make"]
    return tuple((re.compile(table["match"]), _made(ResyncMake(**table), is_own=False)) for table in tables)


def _made(table: ResyncMake, *, is_own: bool = True) -> OrderedMake:
    kind, body = table.content_type or "", (table.body or "").encode()
    resync = PhoneOrder(table.event, kind, body)
    reboot = None
    if table.reboot_event is not None or table.reboot_body is not None or is_own:
        again = body if table.reboot_body is None else table.reboot_body.encode()
        reboot = PhoneOrder(table.reboot_event or table.event, kind, again)
    return OrderedMake(table.name, resync, reboot)
