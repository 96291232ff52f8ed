"""The crowd: datagrams that wait while the gateway does not keep up, in fair turns by source, urgent ones first.

    socket's queue is long -> is_on -> UDP sockets are emptied at once: datagram -> add -> its source's queue
    turns of SLICE: a source after the other, urgent before others, known before unknown -> receive -> arrival
    nothing waits any more -> is off

The kernel's queue is blind: a phone that floods fills it, and all others wait behind; a BYE waits behind new calls, and
nobody sees how long. So the queue is looked at each tick (SO_MEMINFO), since a reactor that reads is never late itself.
While it is long, datagrams are taken out of it unparsed (some 6 us each) and wait here:

- Sources have turns, so that one that sends much delays itself. Known is one that has proved to be there
  (allowance.py), or with registered phones: it has more turns than all the others.
- An unknown source has RATE more messages a second, and one with phones PER_PHONE for each of them; beyond, they are
  dropped unparsed. So much a forger can make us work. One that has proved to be there is bounded by its turns alone: it
  may be a telephone system.
- Urgent are responses and requests within dialogs (they end the work that was begun), and calls for help. They have so
  many more turns than new calls because each of these brings five or six of them: else calls would be begun faster than
  they are put through, and the answers for all of them, those for help too, would wait in the provider's one queue.
- A call for help of a known source waits behind no other message of that source, and has turns of its own: an office,
  or a telephone system, is one source, and all that it has sent before would come first. They are few of all turns,
  so that a phone that floods such calls delays itself.
- Each message knows how long it has waited: a new call that waited too long is refused (ingress/overload.py).

All is bounded: messages of a source, and bytes of all. While all is well nothing of this runs but one attribute's look.
Connections need no crowd: TCP holds back a sender that is not read, and each has its turn of the reactor.
"""

from __future__ import annotations

import re
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.base.rate import TokenBucket
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.transport.flow import Flow
from gateway.transport.sockets import TransportReactor

log = Logger()

FULL: Final = 0.05
"""The part of a socket's receive buffer above which messages wait here."""
CALM: Final = 0.005
LOOKS_OF_CALM: Final = 5
"""Looks in a row with nothing that waits, after which the crowd is over."""
SLICE: Final = 0.01
"""Seconds of work between two readings of the sockets, which give connections and timers their turn."""
MOST_OF_A_SOURCE: Final = 1_000
"""Messages of one source that wait."""
MOST_SOURCES: Final = 20_000
"""Sources at most that are told apart; further ones that are unknown are one source together."""
MOST_BYTES: Final = 64 * 1024 * 1024
RATE: Final = 200.0
BURST: Final = 1_000.0
"""Messages of an unknown source: so many a second, and so many at once."""
PER_PHONE: Final = 10.0
"""More a second for each phone that is registered there: an office comes back at once."""
TURNS: Final = (4, 24, 2, 3, 1)
"""Turns of calls for help of known sources, of urgent messages of known and of unknown ones, and of their others."""

_HELP, _URGENT, _OTHERS = 0, 1, 3
"""Places of TURNS: of the last two that of known sources, with that of unknown ones behind it."""
_ENTRY_BYTES: Final = 300
"""That a message takes beside its own."""
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=9I")
_HEAD: Final = 2_000
_BEGUN: Final = re.compile(rb"SIP/2\.0 |(?:ACK|BYE|CANCEL|PRACK|UPDATE|INFO) ")
_TO_TAG: Final = re.compile(rb"\n(?:to|t)[ \t]*:[^\r\n]*;[ \t]*tag[ \t]*=", re.IGNORECASE)

_Waiting: TypeAlias = "tuple[bytes, Flow, float]"


def filling(handle: socket.socket) -> float:
    """The part of a socket's receive buffer that is taken, 0 to 1; 0 where the system does not say."""
    try:
        said = handle.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0.0
    taken, size = _MEMINFO.unpack(said.ljust(_MEMINFO.size, b"\0"))[:2] if said else (0, 0)
    return taken / size if size else 0.0


def calls_for_help(numbers: Iterable[str]) -> re.Pattern[bytes]:
    """The look of INVITEs to these numbers, as they begin. It decides on an order alone: one that looks so and is none
    comes earlier by a moment, and one that is written otherwise waits its turn."""
    digits = (r"[-.()/ ]*".join(map(re.escape, number)) for number in sorted(set(numbers)))
    user = "|".join(("urn:service:sos", *(rf"(?:sips?|tel):{one}(?![0-9])" for one in digits)))
    return re.compile(rf"INVITE (?:{user})".encode(), re.IGNORECASE)


def _spread(turns: Sequence[int]) -> tuple[int, ...]:
    """The places of a round, each as often as it has turns, and those of one place as far apart as can be; calls for
    help begin it."""
    begun = [(number + min(place, 1) / 2) / count for place, count in enumerate(turns) for number in range(count)]
    places = [place for place, count in enumerate(turns) for _ in range(count)]
    return tuple(place for _, place in sorted(zip(begun, places, strict=True)))


_ROUND: Final = _spread(TURNS)


@attrs.define(eq=False)
class _Source:
    """The messages of one source that wait."""

    name: str
    bucket: TokenBucket
    urgent: deque[_Waiting] = attrs.Factory(deque)
    others: deque[_Waiting] = attrs.Factory(deque)
    help: deque[_Waiting] | None = None
    """Few sources have one."""
    dropped: int = 0

    def queue(self, place: int) -> deque[_Waiting]:
        """The messages that wait for turns of this place."""
        if place != _HELP:
            return self.urgent if place < _OTHERS else self.others
        if self.help is None:
            self.help = deque()
        return self.help


class Crowd:
    """Messages that wait. ``fill`` gives the part of the fullest socket's buffer that is taken; ``receive`` gets each
    message in its turn, and raises nothing; ``turned`` is told whether it is on, each time that this changes."""

    def __init__(
        self,
        clock: TransportReactor,
        receive: Callable[[bytes, Flow], None],
        fill: Callable[[], float],
        turned: Callable[[bool], None],
    ) -> None:
        self.is_on = False
        """Whether messages are to wait here: asked for each datagram."""
        self.waited = 0.0
        """Seconds that the message has waited that is being worked on; 0 while nothing waits."""
        self.dropped = 0
        """Messages dropped so far, unparsed."""
        self._clock = clock
        self._receive = receive
        self._fill = fill
        self._turned = turned
        self._phones: Mapping[str, int] = {}
        self._help: re.Pattern[bytes] = calls_for_help(())
        self._sources: dict[str, _Source] = {}
        self._rings: tuple[deque[_Source], ...] = tuple(deque[_Source]() for _ in TURNS)
        self._turns: Iterator[int] = iter(())
        self._count = self._bytes = self._calm = self._dropped_before = 0
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return self._count

    def know(self, phones: Mapping[str, int], emergency_numbers: Iterable[str]) -> None:
        """The number of registered phones by source, as it will be at each moment, and the numbers of calls for help:
        from now on instead of those before."""
        self._phones = phones
        self._help = calls_for_help(emergency_numbers)

    def look(self) -> None:
        """See whether the sockets' queues are long, or nothing waits any more. To be called each tick."""
        fill = self._fill()
        if not self.is_on:
            if fill > FULL:
                self._calm = 0
                self._turn(is_on=True)
                log.warn("messages wait: the gateway does not keep up, sources have turns now")
            return
        is_calm = not self._count and fill < CALM and self.dropped == self._dropped_before
        self._dropped_before = self.dropped  # a flood goes on, though the sockets are empty
        self._calm = self._calm + 1 if is_calm else 0
        if self._calm >= LOOKS_OF_CALM:
            self._turn(is_on=False)
            self._tell_end()
            self._sources.clear()

    def stop(self) -> None:
        """Drop all that waits."""
        self._turn(is_on=False)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self, *, is_on: bool) -> None:
        self.is_on = is_on
        self._turned(is_on)

    def add(self, data: bytes, flow: Flow) -> None:
        """A datagram that is to wait its turn, or is one too many."""
        now, name = self._clock.seconds(), flow.source
        phones = self._phones.get(name, 0)
        is_proved = flow.allowance.is_proved
        source = self._sources.get(name) or self._new_source(name, now, is_known=is_proved or phones > 0)
        is_help, is_known = self._help.match(data) is not None, is_proved or phones > 0
        place = (_URGENT if is_help or _is_urgent(data) else _OTHERS) + (0 if is_known else 1)
        if is_help and is_known:
            place = _HELP
        queue = source.queue(place)
        is_room = len(queue) < MOST_OF_A_SOURCE and self._bytes < MOST_BYTES
        is_free, rate = is_proved or (is_help and phones > 0), RATE + PER_PHONE * phones
        if not is_room or not (is_free or source.bucket.take(rate, max(BURST, rate), now)):
            source.dropped += 1
            self.dropped += 1
            return
        if not queue:
            self._rings[place].append(source)
        queue.append((data, flow, now))
        self._count += 1
        self._bytes += len(data) + _ENTRY_BYTES
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._serve)

    def figures(self) -> Iterator[Sample]:
        """The messages that wait, and those that were dropped."""
        yield Metrics.waiting_messages, (), self._count
        yield Metrics.crowded_out_messages, (), self.dropped

    def _new_source(self, name: str, now: float, *, is_known: bool) -> _Source:
        """Forged sources are as many as their forger likes."""
        if len(self._sources) >= MOST_SOURCES and not is_known:
            name = ""
        return self._sources.setdefault(name, _Source(name, TokenBucket(BURST, now)))

    def _serve(self) -> None:
        """Work for SLICE, then let the sockets be read."""
        self._timer = None
        now = self._clock.seconds()
        end = now + SLICE
        while self._count and now <= end:
            data, flow, since = self._next()
            self.waited = now - since
            self._receive(data, flow)
            now = self._clock.seconds()
        self.waited = 0.0
        if self._count:
            self._timer = self._clock.callLater(0, self._serve)

    def _next(self) -> _Waiting:
        place = next(place for place in self._places() if self._rings[place])
        ring = self._rings[place]
        source = ring.popleft()
        queue = source.queue(place)
        found = queue.popleft()
        if queue:
            ring.append(source)
        self._count -= 1
        self._bytes -= len(found[0]) + _ENTRY_BYTES
        return found

    def _places(self) -> Iterator[int]:
        """The ring whose turn it is, and the next ones for the case that it is empty."""
        while True:
            yield from self._turns
            self._turns = iter(_ROUND)

    def _tell_end(self) -> None:
        worst = max(self._sources.values(), key=lambda one: one.dropped, default=None)
        if worst is None or not worst.dropped:
            log.warn("no messages wait any more")
            return
        log.warn(
            "no messages wait any more; {count} of {source} were dropped, the most of one source, and {all} so far",
            count=worst.dropped,
            source=worst.name or f"sources beyond the first {MOST_SOURCES:,}",
            all=self.dropped,
        )


def _is_urgent(data: bytes) -> bool:
    """Whether a message ends work that was begun: a response, or a request within a dialog."""
    return _BEGUN.match(data) is not None or _TO_TAG.search(data, 0, _HEAD) is not None
