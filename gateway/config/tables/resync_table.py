"""The tables [resync] and [[resync_make]]: pace and hours of roll-outs, and orders for makes that are not built in.

Here: keys, types, ranges. Not here: the makes that are built in (gateway/registrar/enablement/makes.toml), the roll-out
itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import attrs

from gateway.config import fields
from gateway.config.structuring import Mistake, Unacceptable, each, known, number, one_of, repeated
from gateway.config.tables.limit_table import TimeWindow, time_window, time_zone

LONGEST_PATTERN: Final = 100
"""Characters of a pattern for User-Agents."""
QUANTIFIERS: Final = 2
"""Quantifiers without an upper bound in a pattern: each multiplies the steps that a hostile text can cost."""
LONGEST_BODY: Final = 2_000

_EVENT: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,60}(?:;[A-Za-z0-9._-]{1,40}=[A-Za-z0-9._-]{1,40}){0,4}")
_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
_GROUP_REPEATED: Final = re.compile(r"\)[*+{?]")
_UNBOUNDED: Final = re.compile(r"(?<!\\)(?:[*+]|\{\d*,\d*\})")


def opening_hours(value: object) -> tuple[TimeWindow, ...]:
    """Hours of a week: one text, or an array of them. Raises Unacceptable."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise Unacceptable(value, 'hours such as "18:00-07:00", or an array of them')
    return tuple(time_window(one) for one in values)


def agent_pattern(value: object) -> str:
    """A regular expression for User-Agents that is searched for in few steps. Raises Unacceptable."""
    allowed = (
        f"a regular expression of {LONGEST_PATTERN} characters at most, with {QUANTIFIERS} of *, + and {{}} at most, "
        "and none after a group"
    )
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_PATTERN or "(?" in value:
        raise Unacceptable(value, allowed)
    if _GROUP_REPEATED.search(value) or len(_UNBOUNDED.findall(value)) > QUANTIFIERS or re.search(r"\\[1-9]", value):
        raise Unacceptable(value, allowed)
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError):
        raise Unacceptable(value, allowed) from None
    return value


def event(value: object) -> str:
    """An Event field (RFC 6665 section 8.2.1). Raises Unacceptable."""
    if not isinstance(value, str) or not _EVENT.fullmatch(value):
        raise Unacceptable(value, 'an event such as "check-sync;reboot=false"')
    return value


def content_type(value: object) -> str:
    """The type of a body. Raises Unacceptable."""
    if not isinstance(value, str) or not _TYPE.fullmatch(value.lower()):
        raise Unacceptable(value, 'a type such as "text/plain"')
    return value.lower()


def order_body(value: object) -> str:
    """The body of an order. Raises Unacceptable."""
    if not isinstance(value, str) or not 1 <= len(value.encode("utf-8", "replace")) <= LONGEST_BODY or "\x00" in value:
        raise Unacceptable(value, f"a text of {LONGEST_BODY} bytes at most")
    return value


@attrs.frozen
class Resync:
    """[resync]: the pace of roll-outs, and the signs of their success."""

    canary: Annotated[int, number(1, 1_000)] = 1
    """Phones of the first wave."""
    wave: Annotated[int, number(1, 1_000)] = 20
    """Phones of each wave after it."""
    per_second: Annotated[int, number(1, 50)] = 2
    """NOTIFYs a second, of all roll-outs together."""
    hours: Annotated[tuple[TimeWindow, ...], opening_hours] = ()
    """In which phones are asked; empty: always."""
    timezone: Annotated[str, time_zone] | None = None
    """Of `hours`; None: this machine's."""
    idle_seconds: Annotated[int, number(0, 3_600)] = 30
    """Without a call, before a phone is asked."""
    wait_hours: Annotated[int, number(1, 720)] = 24
    """How long a phone is waited for that is never idle."""
    reboot: Annotated[str, one_of("never", "if-needed", "always")] = "if-needed"
    return_seconds: Annotated[int, number(30, 7_200)] = 300
    """From the order until a phone has registered as wanted."""
    attempts: Annotated[int, number(1, 5)] = 2
    """Orders to one phone."""
    stop_at_failures: Annotated[float, fields.share_of_calls] = 0.2
    """Share of a wave, two phones at least, whose failure pauses the roll-out."""
    confirm: Annotated[str, one_of("register", "call")] = "register"
    automatic_roll_back: bool = False
    """Whether a phone that took the order and failed is rolled back at once."""

    def is_open(self, wall: float) -> bool:
        """Whether phones may be asked at a time, seconds since the epoch."""
        if not self.hours:
            return True
        zone: tzinfo | None = None if self.timezone is None else ZoneInfo(self.timezone)
        moment = datetime.fromtimestamp(wall, UTC).astimezone(zone)
        return any(window.contains(moment) for window in self.hours)


@attrs.frozen
class ResyncMake:
    """[[resync_make]]: the orders that phones of one make obey."""

    name: Annotated[str, fields.name]
    match: Annotated[str, agent_pattern]
    """A regular expression, searched for in the User-Agent."""
    event: Annotated[str, event]
    """The Event that has a phone fetch its configuration."""
    reboot_event: Annotated[str, event] | None = None
    """The Event that has it start again as well; None: the same."""
    content_type: Annotated[str, content_type] | None = None
    body: Annotated[str, order_body] | None = None
    reboot_body: Annotated[str, order_body] | None = None
    """The body that goes with `reboot_event`; None: the same."""


def resync_mistakes(terms: Resync | None) -> Iterator[Mistake]:
    """The mistakes of the table [resync]; None for one that cannot be read at all."""
    canary, wave = known(terms, "canary"), known(terms, "wave")
    if canary is not None and wave is not None and canary > wave:
        yield Mistake("resync.canary", f"found {canary}, allowed: wave ({wave}) at most")


def make_mistakes(entries: list[tuple[str, ResyncMake]]) -> Iterator[Mistake]:
    """The mistakes of the tables [[resync_make]], each given with its path."""
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    yield from each(entries, _half_a_body)


def _half_a_body(path: str, entry: ResyncMake) -> Iterator[Mistake]:
    """Raises Unread."""
    has_type, has_body = entry.content_type is not None, entry.body is not None or entry.reboot_body is not None
    if has_type is not has_body:
        missing = "body" if has_type else "content_type"
        yield Mistake(f"{path}.{missing}", "is missing: a body and its content_type belong together")
