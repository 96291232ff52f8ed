"""Advisories: known holes and ends of support of phones, as a file in the package or one of the operator's own.

    advisories.toml -> read_advisories -> Advisories.about(make, model, firmware)

They are data of a day, which they name: nothing is fetched. Patterns are those of file names and no regular
expressions, since a file may come from anywhere and is matched in the gateway's one thread: with STARS stars at most
and LONGEST characters each, none takes long.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Final

import attrs

LONGEST: Final = 64
"""Characters of a make, model or firmware that are looked at."""
MOST: Final = 1_000
"""Advisories of one file."""
LONGEST_TEXT: Final = 500
OURS: Final = Path(__file__).with_name("advisories.toml")
STARS: Final = 3
"""Of one pattern at most."""
PATTERNS: Final = 50
"""Patterns of one key at most."""

Pattern = tuple[re.Pattern[str], ...]


class BadAdvisories(ValueError):
    """A file of advisories cannot be used; the message is one line."""


@attrs.frozen
class Advisory:
    """One of them."""

    name: str
    make: Pattern
    model: Pattern
    firmware: Pattern
    remedy: str
    source: str
    cves: tuple[str, ...] = ()
    severity: str = ""
    summary: str = ""
    fixed_in: str = ""
    end_of_support: date | None = None

    def is_about(self, make: str, model: str, firmware: str) -> bool:
        """Whether a device that says this of itself is meant."""
        pairs = ((self.make, make), (self.model, model), (self.firmware, firmware))
        return all(any(one.match(text[:LONGEST]) for one in pattern) for pattern, text in pairs)

    def is_out_of_support(self, at: float) -> bool:
        """Whether support had ended by then, seconds since the epoch."""
        return self.end_of_support is not None and datetime.fromtimestamp(at, UTC).date() > self.end_of_support


@attrs.frozen
class Advisories:
    """All advisories of one file."""

    date: date
    gateway: str
    """The newest version of the gateway on that day; empty where it is not said."""
    known: tuple[Advisory, ...]

    def age(self, at: float) -> int:
        """Their age in days at that time, seconds since the epoch."""
        return max(0, (datetime.fromtimestamp(at, UTC).date() - self.date).days)

    def about(self, make: str, model: str, firmware: str) -> Iterator[Advisory]:
        """Those about a device that says this of itself."""
        return (one for one in self.known if one.is_about(make, model, firmware))


@lru_cache(maxsize=1)
def our_advisories() -> Advisories:
    """Those of the package."""
    return read_advisories(OURS.read_text(encoding="utf-8"))


def read_advisories(text: str) -> Advisories:
    """The advisories in TOML. Raises BadAdvisories."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadAdvisories(f"is not TOML: {error}") from None
    day, tables = document.get("date"), document.get("advisory", [])
    if isinstance(day, str):
        day = _day(day)
    if not isinstance(day, date) or isinstance(day, datetime):
        raise BadAdvisories("date is missing: the day of these advisories, such as 2026-11-30")
    if not isinstance(tables, list) or len(tables) > MOST or not all(isinstance(one, dict) for one in tables):
        raise BadAdvisories(f"advisory: tables [[advisory]], {MOST} at most")
    known = tuple(_advisory(number, table) for number, table in enumerate(tables, 1))
    return Advisories(day, str(document.get("gateway", ""))[:LONGEST], known)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadAdvisories(f"date: {text[:40]} is no day such as 2026-11-30") from None


def _advisory(number: int, table: Mapping[str, object]) -> Advisory:
    place = f"advisory {number}"
    until = table.get("end_of_support")
    if until is not None and (not isinstance(until, date) or isinstance(until, datetime)):
        raise BadAdvisories(f"{place}: end_of_support is no day such as 2022-02-28")
    cves = table.get("cves", [])
    if not isinstance(cves, list) or not all(isinstance(one, str) for one in cves):
        raise BadAdvisories(f"{place}: cves is no list of texts")

    def text(key: str, without: str | None = None) -> str:
        return _text(place, key, table.get(key, without))

    make, model, firmware = (_pattern(place, key, table.get(key, ["*"])) for key in ("make", "model", "firmware"))
    return Advisory(
        text("name"),
        make,
        model,
        firmware,
        text("remedy"),
        text("source"),
        tuple(one[:LONGEST] for one in cves),
        text("severity", ""),
        text("summary", ""),
        text("fixed_in", ""),
        until,
    )


def _text(place: str, key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadAdvisories(f"{place}: {key} is missing, or no text of {LONGEST_TEXT} characters at most")
    return value


def _pattern(place: str, key: str, value: object) -> Pattern:
    """The patterns of a key. Raises BadAdvisories."""
    words = value if isinstance(value, list) else [value]
    good = [one for one in words if isinstance(one, str) and 0 < len(one) <= LONGEST and one.count("*") <= STARS]
    if not 0 < len(good) == len(words) <= PATTERNS:
        raise BadAdvisories(f"{place}: {key} is no list of patterns with {STARS} stars at most, such as SPA5*")
    return tuple(re.compile(translate(one), re.IGNORECASE) for one in good)
