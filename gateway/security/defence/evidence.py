"""Evidence: the lines that show an operator why a source is banned, and the users that it tried.

    Observation -> note -> the latest lines of its source (memory) -> of(source) -> lines of a ban

A line is "2026-05-04T03:02:01Z udp scan: OPTIONS sip:100@192.0.2.1". Secrets are taken out, then it is cut: half a
password is one that is not known as such any more. A flood costs one line a second of each source. Lines about proved
and unproved sources are kept apart, so that forged packets push out none that count. A user that is not known here is
shown as a hash: people type passwords where a name belongs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import attrs

from gateway.observe.events import fit_text
from gateway.observe.observations import LONGEST_LINE, Observation
from gateway.security.defence.bans import EVIDENCE, USERS

PROVED: Final = 5_000
"""Sources with lines, of the proved."""
UNPROVED: Final = PROVED // 5
"""Those of the others."""


@attrs.define(eq=False)
class _Kept:
    lines: deque[tuple[float, str]] = attrs.field(factory=lambda: deque(maxlen=EVIDENCE))
    users: dict[str, None] = attrs.field(factory=dict)


class EvidenceLines:
    """The latest lines of each source. ``wall`` gives seconds since the epoch as people's clocks say; ``is_user`` says
    whether an address of record is known here."""

    def __init__(self, wall: Callable[[], float], is_user: Callable[[str], bool], capacity: int = PROVED) -> None:
        self._wall = wall
        self._is_user = is_user
        self._kept: dict[bool, OrderedDict[str, _Kept]] = {True: OrderedDict(), False: OrderedDict()}
        self._capacity = {True: capacity, False: max(1, capacity // 5)}

    def note(self, source: str, seen: Observation) -> None:
        """Keep a line, unless the last one of a full set is younger than a second."""
        kept, now = self._of(source, seen.is_proved), self._wall()
        if len(kept.lines) == EVIDENCE and 0 <= now - kept.lines[-1][0] < 1.0:
            return
        kept.lines.append((now, f"{seen.transport or seen.side} {seen.kind}: {fit_text(seen.line)[:LONGEST_LINE]}"))
        if seen.who and len(kept.users) < USERS:
            kept.users[seen.who[:LONGEST_LINE]] = None

    def lines(self, source: str) -> tuple[str, ...]:
        """The lines of a source, the oldest first; those that prove something come first where there are too many."""
        found = [line for is_proved in (True, False) for line in self._lines(source, is_proved)]
        return tuple(f"{_moment(at)} {text}" for at, text in sorted(found[:EVIDENCE]))

    def users(self, source: str) -> tuple[str, ...]:
        """The users that a source tried."""
        kept = [table[source].users for table in self._kept.values() if source in table]
        names = dict.fromkeys(name for users in kept for name in users)
        return tuple(fit_text(name) if self._is_user(f"sip:{name}") else _hashed(name) for name in [*names][:USERS])

    def _of(self, source: str, is_proved: bool) -> _Kept:
        table = self._kept[is_proved]
        kept = table.get(source)
        if kept is None:
            kept = table[source] = _Kept()
            if len(table) > self._capacity[is_proved]:
                table.popitem(last=False)
        table.move_to_end(source)
        return kept

    def _lines(self, source: str, is_proved: bool) -> list[tuple[float, str]]:
        kept = self._kept[is_proved].get(source)
        return [] if kept is None else [*kept.lines]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hashed(name: str) -> str:
    return f"unknown-{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
