"""The defence, joined, as the rest of the gateway sees it.

    Observations --> Judge (judge.py) --bans--> Bans (bans.py) --> DefenceNews, and the listeners of others
             +-----> DefenceNews                 ^ operators
             `-----> Throttled (throttled.py): the sources that are slowed, for operators
    new requests --> Sieve (sieve.py), at the lookout

Here: the parts, their common terms and clock, an operator's own ban, and the figures for the state of the gateway. Not
here: bans put in force (doors.py), the file that they are kept in, and everything that knows phones, names or sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.base.clock import Clock
from gateway.base.rate import source_of
from gateway.config.tables.defence_table import DefenceTerms
from gateway.observe.events import fit_text
from gateway.observe.figures import DefenceFigures, Sample
from gateway.observe.metrics import Metrics
from gateway.security.defence.bans import DEFENCE, OPERATOR, Ban, BanAction, Bans, BanState
from gateway.security.defence.defence_news import DefenceNews
from gateway.security.defence.evidence import EvidenceLines
from gateway.security.defence.judge import Judge
from gateway.security.defence.mode import Mode, ModeNow
from gateway.security.defence.sieve import Sieve
from gateway.security.defence.throttled import Throttled, ThrottledSource
from gateway.security.defence.trust import Trust, Trusts


class JoinedDefence:
    """All parts of the judgement. ``since`` is when the gateway first ran with it; ``is_user`` says whether an address
    of record is known here."""

    def __init__(
        self,
        terms: DefenceTerms,
        trusts: Trusts,
        metrics: Metrics,
        clock: Clock,
        since: float,
        is_user: Callable[[str], bool],
    ) -> None:
        self.terms = terms
        self.trusts = trusts
        self.mode = ModeNow(since, clock.now)
        self.bans = Bans(clock.now, trusts.may_be_banned)
        self.evidence = EvidenceLines(clock.wall, is_user)
        self.judge = Judge(terms, self.mode, trusts, self.bans, self.evidence, clock)
        self.sieve = Sieve(terms, self.mode, trusts, self.judge, metrics.observations, clock.seconds)
        self._now = clock.now
        self._never: frozenset[str] = frozenset()
        """Those that were never banned when bans of them were last looked for."""
        self._has_own = False
        """Whether bans of the defence may be in force."""
        self.bans.listen(self._banned)
        self._news = DefenceNews(metrics, self.bans, clock.seconds)
        self.throttled = Throttled(self.judge, self.evidence, clock.now, self._throttled)
        for reader in (self.judge.observed, self._news.observed, self.throttled.observed):
            metrics.observations.read(reader)
        metrics.asked.add(self._throttled_figures)
        self.adopt(terms)

    def adopt(self, terms: DefenceTerms) -> None:
        """Go by these terms from now on. A source that is never banned by them is let in."""
        self.terms = terms
        self.mode.adopt(terms.mode)
        self.trusts.adopt(terms.never_ban, terms.known_days)
        self.judge.adopt(terms)
        self.sieve.adopt(terms)
        self._let_in_the_trusted()
        self._follow_mode()

    def look(self) -> None:
        """Let time have its effects. To be called every few seconds."""
        self.mode.look()
        self._follow_mode()
        self.trusts.look()
        if self.trusts.never_banned != self._never:  # else there is none to let in, and there may be many bans
            self._let_in_the_trusted()
        self.bans.expire()
        self.throttled.look()

    def order(self, address: str, seconds: float, by: str, words: str = "") -> Ban:
        """An operator's own ban of an address, in any mode, phones or not. Raises NeverBanned."""
        source, now = source_of(address), self._now()
        action = BanAction.of(self.terms.ban_by)
        lines, users = self.evidence.lines(source), self.evidence.users(source)
        said = fit_text(words)
        ban = Ban(source, OPERATOR, now, now + seconds, action, by=by, evidence=lines, users=users, words=said)
        return self.bans.ban(ban)

    def figures(self) -> DefenceFigures:
        """The state of the defence in short."""
        return DefenceFigures(
            str(self.mode.mode),
            self.mode.defends_from if self.mode.is_first_week else None,
            self.bans.count(BanState.ACTIVE),
            self.bans.count(BanState.WAITING),
            self.bans.count(BanState.WOULD_BE),
        )

    def _throttled(self, one: ThrottledSource, evidence: str) -> None:
        self._news.throttled(one, evidence, is_report=self.mode.mode is Mode.REPORT)

    def _throttled_figures(self) -> Iterator[Sample]:
        """Sources that are slowed, or would be."""
        for address, count in zip(("proved", "not_proved"), self.throttled.proved(), strict=True):
            yield Metrics.throttled_sources, (address,), count

    def _banned(self, ban: Ban) -> None:
        """A listener of bans; it hears of those of before a restart, too."""
        self._has_own = self._has_own or (ban.state is BanState.ACTIVE and ban.by == DEFENCE)

    def _follow_mode(self) -> None:
        """Where nothing is to be turned away by a judgement, no earlier one does it: operators' bans stand."""
        if self._has_own and self.mode.mode is not Mode.DEFEND:
            self._has_own = self.bans.end_own()

    def _let_in_the_trusted(self) -> None:
        self._never = self.trusts.never_banned
        for ban in self.bans.current():
            if self.trusts.of(ban.source) is Trust.NEVER:
                self.bans.lift(ban.source, "never_ban")
