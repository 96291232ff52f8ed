"""The watch over the addresses in use: told of, counted, and followed where an interface has another one.

    AddressWatcher -> look -> Presence -> Lost, Back -> log, event, metric; readiness asks `lost`
                                       -> Move ------> follow(interfaces and their new addresses), and told

Not here: the kernel (kernel, watcher), the comparison (presence), the move of listeners, media and calls, which is the
follower's (network_part.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.app.network.presence import Back, Lost, Move, Presence, UsedAddress
from gateway.base.network.kernel import Kernel
from gateway.base.network.watcher import AddressWatcher
from gateway.config.model import NetworkMode, NetworkTerms
from gateway.config.places import NamedInterface
from gateway.observe.events import EventName
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics

REMEMBERED: Final = 20
"""Moves that people can still see."""

log = Logger()

Moves = Mapping[NamedInterface, str]
"""The new address of each interface."""

Follow = Callable[[Moves], Deferred[int]]
"""Moves all that is at these interfaces; fires with the number of calls that moved. Fails as a start does, and then
nothing has moved."""


@attrs.frozen
class PastMove:
    """A move that was carried out, or failed."""

    at: float
    """Seconds since the epoch."""
    interface: str
    before: str
    after: str
    calls: int
    """Calls that were offered the new address."""
    failure: str = ""
    """Why it failed; empty where it did not."""


class AddressWatch:
    """The addresses in use, and the watch over them."""

    def __init__(
        self, used: Iterable[UsedAddress], kernel: Kernel, terms: NetworkTerms, metrics: Metrics, reactor: Any
    ) -> None:
        self._terms = terms
        self._metrics = metrics
        self._reactor = reactor
        self._presence = Presence(used, kernel, terms.hold_seconds)
        self._watcher = AddressWatcher(reactor, self.look)
        self._again: IDelayedCall | None = None
        self._follow: Follow | None = None
        self._following: Deferred[None] | None = None
        self.moves: deque[PastMove] = deque(maxlen=REMEMBERED)
        """The latest moves, the oldest first."""
        for change in ("lost", "back", "moved", "not_moved"):
            metrics.address_changes.labels(change)
        metrics.asked.add(self._figures)

    @property
    def is_watching(self) -> bool:
        """Whether changes are heard of."""
        return self._watcher.is_watching

    @property
    def used(self) -> tuple[UsedAddress, ...]:
        """All addresses in use."""
        return self._presence.used

    @property
    def lost(self) -> tuple[UsedAddress, ...]:
        """Those that are no address of this machine now."""
        return self._presence.lost

    def reasons(self) -> tuple[str, ...]:
        """The reasons for which calls cannot be taken, a line each."""
        return tuple(f"{used.address} ({', '.join(used.users)}) is gone from this machine" for used in self.lost)

    def start(self, follow: Follow) -> None:
        """Watch from now on, where the configuration says so; a sandbox that forbids it is told of, and no error."""
        self._follow = follow
        if self._terms.mode is NetworkMode.STATIC:
            return
        try:
            self._watcher.start()
        except OSError as error:
            log.warn("changes of this machine's addresses are not heard of: {reason}", reason=error.strerror)
            return
        self.look()

    def stop(self) -> None:
        """Watch no more."""
        self._watcher.stop()
        if self._again is not None and self._again.active():
            self._again.cancel()
        if self._following is not None:
            self._following.cancel()

    def look(self) -> None:
        """Compare the addresses in use with the kernel's, and act on the difference."""
        if self._following is not None:
            return  # looked at again once that move is done
        moves: dict[NamedInterface, str] = {}
        changes = self._presence.look(self._reactor.seconds())
        replaced = {change.used for change in changes if isinstance(change, Move)}
        for change in changes:
            match change:
                case Lost(used, is_news) if used not in replaced:
                    self._tell_lost(used, is_news)
                case Back(used, seconds, is_news):
                    self._tell_back(used, seconds, is_news)
                case Move(used, address) if used.interface is not None:
                    moves[used.interface] = address
        if moves:
            self._begin(moves)
        self._look_again()

    def _begin(self, moves: Moves) -> None:
        assert self._follow is not None
        before = {used.interface: used.address for used in self.used if used.interface in moves}
        told = ", ".join(f"{place} from {before[place]} to {address}" for place, address in moves.items())
        log.warn("the address has changed: {moves}", moves=told)
        following = self._follow(moves)
        self._following = done = following.addCallbacks(
            lambda calls: self._moved(moves, before, calls), lambda failure: self._not_moved(moves, before, failure)
        )
        done.addBoth(self._done)
        done.addErrback(lambda failure: log.failure("the move to another address met a bug", failure))

    def _done(self, outcome: object) -> object:
        self._following = None
        if self._watcher.is_watching and not isinstance(outcome, Failure):
            self.look()
        return outcome

    def _moved(self, moves: Moves, before: Mapping[NamedInterface | None, str], calls: int) -> None:
        self._presence.moved(moves, self._reactor.seconds())
        self._metrics.moved_calls.inc(calls)
        log.warn("the move to another address is done, {calls} calls went along", calls=calls)
        for place, address in moves.items():
            self.moves.append(PastMove(self._metrics.events.now(), str(place), before[place], address, calls))
            self._metrics.address_changes.labels("moved").inc()
            told = {"interface": str(place), "before": before[place]}
            self._metrics.events.note(EventName.NETWORK_ADDRESS_MOVED, who=address, calls=calls, **told)

    def _not_moved(self, moves: Moves, before: Mapping[NamedInterface | None, str], failure: Failure) -> None:
        if not self._watcher.is_watching:
            return  # the gateway is being stopped
        self._presence.not_moved(self._reactor.seconds())
        reason = failure.getErrorMessage()
        for place, address in moves.items():
            self.moves.append(PastMove(self._metrics.events.now(), str(place), before[place], address, 0, reason))
            self._metrics.address_changes.labels("not_moved").inc()
            told = {"interface": str(place), "before": before[place], "why": reason}
            self._metrics.events.note(EventName.NETWORK_MOVE_FAILED, who=address, **told)
        log.error("the gateway stays where it was, and tries again: {reason}", reason=reason)

    def _look_again(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None
        at = self._presence.look_again
        if at is not None:
            self._again = self._reactor.callLater(max(0.0, at - self._reactor.seconds()), self.look)

    def _tell_lost(self, used: UsedAddress, is_news: bool) -> None:
        self._metrics.address_changes.labels("lost").inc()
        if is_news:
            users = ", ".join(used.users)
            log.warn(
                "{address} ({users}) is gone from this machine: all waits for it", address=used.address, users=users
            )
            self._metrics.events.note(EventName.NETWORK_ADDRESS_LOST, who=used.address, users=users)

    def _tell_back(self, used: UsedAddress, seconds: float, is_news: bool) -> None:
        self._metrics.address_changes.labels("back").inc()
        if is_news:
            log.warn("{address} is back after {seconds:.1f} s", address=used.address, seconds=seconds)
            told = {"who": used.address, "users": ", ".join(used.users)}
            self._metrics.events.note(EventName.NETWORK_ADDRESS_BACK, seconds=round(seconds, 1), **told)

    def _figures(self) -> Iterator[Sample]:
        yield Metrics.lost_addresses, (), len(self.lost)
