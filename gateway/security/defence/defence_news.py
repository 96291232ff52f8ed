"""All that is told of attacks and bans: events, lines of the log, metrics.

    Observations -> observed -> an event, a few a source; each is counted
    Bans         -> changed  -> an event and a line for each; counted by reason
    Throttled    -> throttled -> an event and a line for each that is new

Not here: the judgement. An event of the defence names the address alone in `source`, without a port: it is the thing
that is banned, and programs that read the security log ban by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from twisted.logger import Logger

from gateway.base.rate import source_of
from gateway.observe.events import EventName
from gateway.observe.figures import Sample
from gateway.observe.line_limit import LineLimit
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind, Observation
from gateway.security.defence.bans import DEFENCE, OPERATOR, Ban, BanAction, Bans, BanState
from gateway.security.defence.throttled import ThrottledSource

log = Logger()

EVENTS: Final = {
    Kind.DIGEST_FAILED: EventName.SECURITY_DIGEST_FAILED,
    Kind.USER_UNKNOWN: EventName.SECURITY_USER_UNKNOWN,
    Kind.SCAN: EventName.SECURITY_SCAN,
    Kind.MALFORMED: EventName.SECURITY_MALFORMED,
    Kind.FLOOD: EventName.SECURITY_FLOOD,
    Kind.STRANGER: EventName.SECURITY_STRANGER,
    Kind.TLS_FAILED: EventName.SECURITY_TLS_FAILED,
    Kind.CERTIFICATE: EventName.SECURITY_TLS_FAILED,
}
"""A failed log-in to the administration interface, and a question for another's file, have events of their own, told
there."""
NOTHING_BAD: Final = frozenset({Kind.CHALLENGED, Kind.ANSWERED, Kind.GRANTED})
REASONS: Final = frozenset({*map(str, Kind), OPERATOR})


class DefenceNews:
    """Tells. ``seconds`` never go back."""

    def __init__(self, metrics: Metrics, bans: Bans, seconds: Callable[[], float]) -> None:
        self._metrics = metrics
        self._events = metrics.events
        self._bans = bans
        self._lines = LineLimit(seconds)
        bans.listen(self._changed)
        metrics.asked.add(self._figures)

    def observed(self, seen: Observation) -> None:
        """A reader of observations."""
        if seen.kind in NOTHING_BAD:
            return
        name = EVENTS.get(seen.kind)
        self._metrics.security_events.labels(str(seen.kind), seen.side).inc()
        if name is not None and self._lines.more(source_of(seen.host)) is not None:
            told = {"transport": seen.transport, "line": seen.line, "side": seen.side}
            self._events.note(name, source=seen.host, who=seen.who, is_proved=seen.is_proved, **told)

    def throttled(self, one: ThrottledSource, evidence: str, *, is_report: bool) -> None:
        """Tell of a source that is slowed from now on, or would be."""
        proved = "its address is proved" if one.is_proved else "its address is not proved"
        others = f" (and {one.left_out} others, not told)" if one.left_out else ""
        told = "would be slowed, but the defence only reports" if is_report else "is slowed"
        log.warn(
            "{source} {told}: {reason}, {proved}{others}",
            source=one.source,
            told=told,
            reason=one.reason,
            proved=proved,
            others=others,
        )
        self._events.note(
            EventName.SECURITY_THROTTLED,
            source=one.source,
            reason=one.reason,
            is_proved=one.is_proved,
            state=throttled_state(is_report=is_report),
            evidence=evidence,
            left_out=one.left_out,
        )

    def _changed(self, ban: Ban) -> None:
        if self._bans.is_restoring:
            return
        if ban.state is BanState.ACTIVE:
            self._metrics.bans.labels(_reason(ban), str(ban.action)).inc()
            log.warn(
                "{source} is banned for {minutes} min by {by}: {reason}{words}",
                minutes=round(ban.seconds / 60),
                words=f" ({ban.words})" if ban.words else "",
                **_said(ban),
            )
            self._tell(EventName.SECURITY_BANNED, ban, action=str(ban.action))
        elif ban.state in (BanState.WAITING, BanState.WOULD_BE):
            self._metrics.would_ban.labels(_reason(ban)).inc()
            why = "waits for an operator's approval" if ban.state is BanState.WAITING else "only reports"
            log.warn("{source} would be banned, but the defence {why}: {reason}", why=why, **_said(ban))
            self._tell(EventName.SECURITY_WOULD_BAN, ban, state=str(ban.state))
        else:
            log.info("the ban of {source} is over: {state} by {by}", state=str(ban.state), **_said(ban))
            self._tell(EventName.SECURITY_UNBANNED, ban, state=str(ban.state))

    def _tell(self, name: EventName, ban: Ban, **more: str) -> None:
        self._events.note(
            name,
            source=ban.source,
            who="" if ban.by == DEFENCE else ban.by,
            reason=ban.reason,
            seconds=round(ban.seconds),
            times=ban.times,
            id=ban.id,
            evidence=ban.evidence[-1] if ban.evidence else "",
            **more,
        )

    def _figures(self) -> Iterator[Sample]:
        """Bans by the way in which they are in force, or are not."""
        for action in BanAction:
            yield Metrics.bans_in_force, (str(action),), self._bans.counts[BanState.ACTIVE, action]
        for state in (BanState.WAITING, BanState.WOULD_BE):
            yield Metrics.bans_in_force, (str(state),), self._bans.count(state)


def throttled_state(*, is_report: bool) -> str:
    """The state of a source that is slowed, as events, the API and commands tell it beside those of bans."""
    return str(BanState.WOULD_BE) if is_report else "throttled"


def _reason(ban: Ban) -> str:
    """The reason as a label: the names of lists are one."""
    return ban.reason if ban.reason in REASONS else "list"


def _said(ban: Ban) -> dict[str, str]:
    return {"source": ban.source, "by": ban.by, "reason": ban.reason}
