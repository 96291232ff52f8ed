"""Gathers the facts of the gateway's state, of which `status` makes its judgement and pages their figures.

    Inspection, Health, statistics of calls, Figures -> Gathering.facts() -> Facts -> status

Here: asking the parts, and keeping the answer for a moment, so that many readers cost no more than one. Not here: the
judgement, HTTP, pages. Texts of peers are made clean.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Final, cast

import attrs
from twisted.internet.defer import Deferred, succeed

from gateway.admin.inspection import Inspection, Population, Row
from gateway.admin.status.facts import Facts
from gateway.base.clock import Clock
from gateway.base.json_codec import Json
from gateway.config.model import Configuration, Listener, Side
from gateway.config.switches import Settings
from gateway.observe.clean_text import clean_json
from gateway.observe.events import Events, GatewayEvent
from gateway.observe.figures import Figures
from gateway.routing.health import Health, Standing
from gateway.state.listing.call_statistics import Statistics
from gateway.state.remedies import REMEDIES

KEPT_SECONDS: Final = 2.0
"""For which a reader gets the statistics that another one was given."""
EVENTS: Final = 100
"""Of one page."""
COUNTED_SECONDS: Final = 30.0
DAY: Final = 86_400.0
REMEDY_LINES: Final = {str(code): (one.cause, one.remedy) for code, one in REMEDIES.items()}


@attrs.frozen
class Watched:
    """The parts that the state is told from, beside those that the inspection asks."""

    health: Health
    figures: Callable[[], Figures]
    ports: Callable[[], Mapping[str, int]]
    """Media ports by state, as the relays say: used, silent after a call, free."""
    population: Callable[[], Awaitable[Population]]
    calls_up: Callable[[], Mapping[str, int]]
    """By domain in lower case."""
    is_draining: Callable[[], bool]
    """Whether new calls are refused, since the gateway drains."""
    listeners: Callable[[], Sequence[Listener]]
    """At the addresses that they have now."""
    loops: Callable[[], Mapping[str, int]] = dict
    """Media workers by their loop of packets: native, python."""
    cluster: Callable[[], Row] = dict
    """Of a pair of nodes: as ClusterAnswer has it; empty where there is none."""


@attrs.define(eq=False)
class Gathering:
    """Asks the parts."""

    inspection: Inspection
    settings: Settings
    watched: Watched
    clock: Clock
    stream: Events
    version: str
    up_since: float = attrs.field(init=False)
    """Seconds since the epoch."""
    _counted: tuple[float, Population] | None = attrs.field(default=None, init=False)
    _lines: tuple[Configuration, Mapping[tuple[str, int, str], int]] | None = attrs.field(default=None, init=False)
    _kept: tuple[float, Statistics] | None = attrs.field(default=None, init=False)

    @up_since.default
    def _made_at(self) -> float:
        return self.clock.wall()

    def now(self) -> float:
        """Seconds since the epoch, as people's clocks say."""
        return self.clock.wall()

    def facts(self) -> Deferred[Facts]:
        """All that the state is judged by. Fails with TooManyQuestions."""
        return self.statistics().addCallback(self._facts)

    def statistics(self) -> Deferred[Statistics]:
        """The figures of calls, two seconds old at most. Fails with TooManyQuestions."""
        if self._kept is not None and self.clock.seconds() - self._kept[0] < KEPT_SECONDS:
            return succeed(self._kept[1])

        def keep(statistics: Statistics) -> Statistics:
            self._kept = self.clock.seconds(), statistics
            return statistics

        return self.inspection.lists.statistics().addCallback(keep)

    async def population(self) -> Population:
        """Phones, counted; half a minute old at most, for each is looked at."""
        now = self.clock.seconds()
        if self._counted is not None and now - self._counted[0] < COUNTED_SECONDS:
            return self._counted[1]
        counted = await self.watched.population()
        self._counted = now, counted
        return counted

    def configuration(self) -> Configuration:
        """The configuration in force."""
        return self.settings.current

    def lines(self) -> Mapping[tuple[str, int, str], int]:
        """The lines of the configuration's keys in its file. It is read once after each change: no page waits for a
        disk."""
        if self._lines is None or self._lines[0] is not self.settings.current:
            source = self.settings.current.source
            try:
                text = source.read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            self._lines = self.settings.current, lines_of(text)
        return self._lines[1]

    def audit(self) -> list[Row]:
        """The latest entries of the audit, in the order of time."""
        return _clean(self.settings.audit.about(None))

    def events(self, is_wanted: Callable[[GatewayEvent], bool]) -> tuple[list[Row], set[str]]:
        """The latest events that are wanted, the newest first, and the kinds of all that are remembered."""
        known = self.stream.after(0)
        wanted = islice((event for _, event in reversed(known) if is_wanted(event)), EVENTS)
        kinds = {event.name.partition(".")[0] for _, event in known}
        return _clean([event.as_json() for event in wanted]), kinds

    def phone_listeners(self) -> list[str]:
        """The addresses that a phone may register at."""
        listeners = [one for one in self.watched.listeners() if one.side is Side.PHONES]
        return [_address(one) for one in listeners]

    def _facts(self, statistics: Statistics) -> Facts:
        figures, counts = self.watched.figures(), self.inspection.counts()
        domains = _clean(self.inspection.domains())
        return Facts(
            now=self.now(),
            name=self.settings.current.gateway.name,
            version=self.version,
            up_since=self.up_since,
            providers=self._providers(),
            domains=domains,
            tallies=[cast(Row, attrs.asdict(one)) for one in statistics.kinds],
            certificates=_clean(self.inspection.certificates()),
            counts=counts,
            ports={**self.watched.ports()},
            calls_up=self.watched.calls_up(),
            relays={
                "up": figures.relays.get(True, 0),
                "down": figures.relays.get(False, 0),
                "loops": {**self.watched.loops()},
            },
            files=[{"name": file.name, "is_failing": file.is_failing} for file in figures.files],
            stopped=_clean(
                [{"user": one.user, "source": one.source, "by": one.by} for one in figures.stopped_guessers]
            ),
            unheard=_clean([cast(Row, attrs.asdict(one)) for one in figures.unheard]),
            defence=attrs.asdict(figures.defence),
            budgets=[cast(Row, attrs.asdict(one)) for one in figures.budgets],
            pbxs=_clean([cast(Row, {**attrs.asdict(one), "down": [*one.down]}) for one in figures.pbxs]),
            cluster=self.watched.cluster(),
            is_draining=self.watched.is_draining(),
            remedies=REMEDY_LINES,
        )

    def _providers(self) -> list[Row]:
        """The configured providers, with the targets of each."""
        lost, rows = self.watched.health.lost(), self.inspection.providers()
        return _clean([{**row, "targets": self._targets(str(row["name"]), lost)} for row in rows])

    def _targets(self, provider: str, lost: set[str]) -> list[Json]:
        looked_at = sorted(self.watched.health.looked_at(provider), key=_by_address)
        if provider in lost:
            nowhere: Json = {**dict.fromkeys(("since", "tls", "certificate_days")), "target": "its name"}
            return [{**cast(Row, nowhere), "is_up": False, "why": "DNS knows no way to it"}]
        return [self._target(one) for one in looked_at]

    def _target(self, one: Standing) -> Row:
        """A target as pages and the API show it; nothing is said of one that has not answered once."""
        passed = None if one.changed is None else self.clock.seconds() - one.changed
        flow = one.flow if one.is_up and one.answered is not None else None
        until = None if flow is None else flow.valid_until
        return {
            "target": f"{one.target.transport.upper()} {one.target.address}",
            "is_up": None if one.answered is None and one.is_up else one.is_up,
            "why": "" if one.is_up else one.why,
            "since": None if passed is None else self.now() - passed,
            "tls": "" if flow is None else flow.terms,
            "certificate_days": None if until is None else int((until.timestamp() - self.now()) // DAY),
        }


def _by_address(one: Standing) -> str:
    return str(one.target.address)


def _address(listener: Listener) -> str:
    host = listener.advertised_host or listener.address
    bracketed = f"[{host}]" if ":" in host else host
    return f"sip:{bracketed}:{listener.port};transport={listener.transport}"


def _clean(rows: list[Row]) -> list[Row]:
    return cast("list[Row]", clean_json(cast(Json, rows)))


def lines_of(text: str) -> dict[tuple[str, int, str], int]:
    """The line of each key in a TOML file: by its table, the number of that table among those of its name, and the key.

    It helps people to find a line: a key within a text of several lines may be taken for one, which does no harm.
    """
    found: dict[tuple[str, int, str], int] = {}
    table, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith("["):
            table = bare.split("#", 1)[0].strip().strip("[]").strip()
            counts[table] = counts.get(table, -1) + 1
        elif "=" in bare and not bare.startswith("#"):
            key = bare.split("=", 1)[0].strip().strip('"')
            found.setdefault((table, counts.get(table, 0), key), number)
    return found
