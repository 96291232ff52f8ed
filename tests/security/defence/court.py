"""A judge with all that it needs, a clock that tests turn, and observations in short: the scenery of these tests."""

from __future__ import annotations

import attrs

from gateway.base.rate import source_of
from gateway.config.tables.defence_table import DefenceTerms
from gateway.observe.observations import Kind, Observation, Reader
from gateway.security.defence.bans import Ban, Bans
from gateway.security.defence.evidence import EvidenceLines
from gateway.security.defence.judge import Judge
from gateway.security.defence.mode import ModeNow
from gateway.security.defence.trust import KnownSources, Trusts
from gateway.transport.flow import FlowKey

PROVIDER = "203.0.113.1"
STRANGER = "192.0.2.66"
OFFICE = "198.51.100.7"


@attrs.define(eq=False)
class Times:
    """Both times of a judge, which tests turn."""

    at: float = 1_000_000.0

    def seconds(self) -> float:
        """Of windows."""
        return self.at - 900_000.0

    def now(self) -> float:
        """Of bans."""
        return self.at


class Court:
    """A judge in the mode "defend", unless the terms say otherwise."""

    def __init__(self, terms: DefenceTerms | None = None) -> None:
        self.terms = terms or DefenceTerms(mode="defend")
        self.times = Times()
        self.bindings: dict[str, int] = {OFFICE: 30}
        self.kept: list[tuple[str, float]] = []
        known = KnownSources(self.times.now, lambda source, at: self.kept.append((source, at)))
        self.bound: set[FlowKey] = set()
        self.trusts = Trusts(lambda: {PROVIDER}, self.bindings, known, is_bound=self.bound.__contains__)
        self.trusts.adopt(self.terms.never_ban, self.terms.known_days)
        self.bans = Bans(self.times.now, self.trusts.may_be_banned)
        self.mode = ModeNow(self.times.at, self.times.now)
        self.mode.adopt(self.terms.mode)
        self.evidence = EvidenceLines(self.times.now, lambda aor: aor.startswith("sip:1"))
        self.judge = Judge(self.terms, self.mode, self.trusts, self.bans, self.evidence, self.times)
        self.listeners: list[Reader] = []
        """Those that hear of an observation after the judge."""

    def passes(self, seconds: float) -> None:
        """Time goes by."""
        self.times.at += seconds
        self.bans.expire()
        self.mode.look()

    def sees(self, kind: Kind, host: str = STRANGER, *, proved: bool = True, who: str = "", line: str = "") -> None:
        """Something is observed."""
        transport = "tcp" if proved else "udp"
        seen = Observation(kind, host, proved, "phones", transport, who, line or f"REGISTER sip:{who}")
        for hears in (self.judge.observed, *self.listeners):
            hears(seen)

    def ban_of(self, host: str = STRANGER) -> Ban | None:
        """The ban of a source that is not over."""
        return self.bans.of(source_of(host))
