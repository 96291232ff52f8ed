"""The facts that the state of the gateway is judged by, and calls counted by verdict.

Here: values, and counting. Not here: the gathering of facts (`gathering`), judgements (`looks`, `summary`). A share of
encrypted calls counts those that came about: one that nobody answered claims nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from gateway.base.json_codec import Json

Row: TypeAlias = dict[str, Json]

ENCRYPTED: Final = ("ENCRYPTED", "ENCRYPTED_TO_PROVIDER")
WEAKER: Final = ("MEDIA_ONLY_WEAK", "SIGNALLING_ONLY")
CLEAR: Final = "CLEAR"
REFUSED: Final = "REFUSED"
UNANSWERED: Final = "UNANSWERED"


@attrs.frozen
class Facts:
    """All that the state is judged by: rows of the inspection."""

    now: float
    """Seconds since the epoch, as below."""
    name: str = ""
    """The gateway's."""
    version: str = ""
    up_since: float | None = None
    providers: Sequence[Row] = ()
    """Name, uri, and targets: each with is_up, why, since, tls, cipher, certificate_days."""
    domains: Sequence[Row] = ()
    tallies: Sequence[Row] = ()
    """Calls of 24 hours, counted by domain, provider, verdict, reason and direction."""
    certificates: Sequence[Row] = ()
    counts: Row = attrs.field(factory=dict)
    ports: Row = attrs.field(factory=dict)
    """Media ports: used and free."""
    relays: Row = attrs.field(factory=dict)
    """Media relays: up and down; of workers, how many have which loop."""
    files: Sequence[Row] = ()
    """Kept files: name, and whether the last write failed."""
    calls_up: Mapping[str, int] = attrs.field(factory=dict)
    """Calls that are up, by domain in lower case."""
    stopped: Sequence[Row] = ()
    """Users whose passwords were wrong too often: user, source, by."""
    unheard: Sequence[Row] = ()
    """Receivers of alerts that take none: name, kind, reason, lost."""
    defence: Row = attrs.field(factory=dict)
    """Mode, when it begins to defend, and bans: in force, waiting, would_be; why the kernel's sets and
    block lists fail."""
    budgets: Sequence[Row] = ()
    """Fallback budgets: domain, level, spent, calls, allowed, left."""
    pbxs: Sequence[Row] = ()
    """PBXs that do not register: name, up, down (each place with why), is_registered, why."""
    cluster: Row = attrs.field(factory=dict)
    """Of a pair of nodes: state, store_answers, node, nodes (each with node and seen_seconds_ago)."""
    is_draining: bool = False
    remedies: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    """Cause and remedy of each reason code."""


@attrs.frozen
class Tally:
    """Calls of some kind, counted by verdict."""

    verdicts: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def all(self) -> int:
        """Every call."""
        return sum(self.verdicts.values())

    @property
    def answered(self) -> int:
        """Those that came about."""
        return self.all - self.verdicts.get(REFUSED, 0) - self.verdicts.get(UNANSWERED, 0)

    @property
    def encrypted(self) -> int:
        """Those that were encrypted to the provider at least."""
        return self.of(*ENCRYPTED)

    def of(self, *verdicts: str) -> int:
        """Those with one of these verdicts."""
        return sum(self.verdicts.get(verdict, 0) for verdict in verdicts)

    def as_json(self) -> Row:
        """The counts as the API gives them; the share is None while no call came about."""
        return {
            "calls": self.all,
            "answered": self.answered,
            "encrypted": self.encrypted,
            "weaker": self.of(*WEAKER),
            "clear": self.of(CLEAR),
            "refused": self.of(REFUSED),
            "share_encrypted": round(self.encrypted / self.answered, 4) if self.answered else None,
        }


def tally(rows: Iterable[Row], **wanted: str) -> Tally:
    """The calls of the rows that have these values, by verdict."""
    counted: Counter[str] = Counter()
    for row in rows:
        if all(str(row.get(key, "")).lower() == value.lower() for key, value in wanted.items()):
            counted[str(row.get("verdict") or UNANSWERED)] += number_in(row.get("calls"))
    return Tally(counted)


def number_in(value: Json) -> int:
    """A count in a row; 0 where there is none."""
    return value if isinstance(value, int) else 0


def calls_words(number: int) -> str:
    """A count of calls in words."""
    return f"{number:,} call{'' if number == 1 else 's'}"


def within(text: str) -> str:
    """A sentence as it goes on within another: with a small letter, unless it begins with an abbreviation."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
