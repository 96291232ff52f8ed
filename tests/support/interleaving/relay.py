"""A relay that rewrites as a media worker does, one stream a call, and writes down all that it was told.

An answer takes effect when it is told, and its reply may wait: what was told is what the packets do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from gateway.config.model import Side
from gateway.media.relay import JSON, UNKNOWN_SOURCE, Encryption, RelayListener, RelayRefusal, SdpSource, SdpWish
from tests.support.interleaving.descriptions import Descriptions, Line, lines_of

_PORTS: Final = range(30_000, 60_000)
_FORMS: Final = {Encryption.NONE: "AVP", Encryption.SAVP: "SAVP", Encryption.OSRTP: "OSRTP"}


@attrs.define(eq=False)
class Exchange:
    """An offer and its answer that the relay was told, with its own words for both."""

    toward: Side
    """The side that the offer went to."""
    at: float
    messages: int
    """Those that had crossed the wires before."""
    offered: bytes
    shown: bytes
    answered: bytes
    returned: bytes
    is_carried_out: bool = True
    """False for an answer that it could not use."""
    is_told: bool = False
    """Whether the gateway has its reply."""


@attrs.define(eq=False)
class _Offered:
    wish: SdpWish
    sender: str
    sdp: bytes
    chosen: int
    shown: bytes


class WrittenRelay:
    """The relay of one call."""

    def __init__(self, now: Callable[[], float], messages: Callable[[], int]) -> None:
        """`messages` counts those that crossed any wire so far."""
        self._now = now
        self._messages = messages
        self._made = Descriptions("203.0.113.1", _PORTS.start)
        self._offered: _Offered | None = None
        self._waiting: list[tuple[Deferred[bytes], bytes | RelayRefusal, Exchange | None]] = []
        self.held = False
        self.exchanges: list[Exchange] = []
        self.read: list[bytes] = []
        """Every description that it was given, of use or not."""
        self.clear_control: Side | None = None
        """The side whose RTCP comes in clear."""
        self.has_let_go = False

    def start(self, listener: RelayListener) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def confirm(self, call: str) -> None:
        """Silence is not counted here."""

    def offer(
        self,
        call: str,
        from_tag: str,
        sdp: bytes,
        wish: SdpWish,
        to_tag: str | None = None,
        source: SdpSource = UNKNOWN_SOURCE,
    ) -> Deferred[bytes]:
        self.read.append(sdp)
        chosen = _chosen(lines_of(sdp))
        if chosen is not None and _lacks_keys(lines_of(sdp)[chosen]):
            return self._reply(RelayRefusal("no key"))
        form = "NONE" if chosen is None else _FORMS[wish.encryption]
        if chosen is not None and lines_of(sdp)[chosen].kind == b"image":
            form = "FAX"
        shown = self._made.make(form)
        self._offered = _Offered(wish, from_tag, sdp, -1 if chosen is None else chosen, shown)
        return self._reply(shown)

    def answer(
        self, call: str, from_tag: str, to_tag: str, sdp: bytes, source: SdpSource = UNKNOWN_SOURCE
    ) -> Deferred[bytes]:
        self.read.append(sdp)
        offered = self._offered
        if offered is None or offered.sender != from_tag:
            return self._reply(RelayRefusal("no offer"))
        answer = (lines_of(sdp) or [Line(b"audio", 0, b"", ())])[0]
        is_of_use = not answer.port or _fits(lines_of(offered.shown)[0], answer, takes_clear=offered.wish.takes_clear)
        line = lines_of(offered.sdp)[offered.chosen] if offered.chosen >= 0 else None
        form = "NONE" if line is None or not answer.port else _form_of(line)
        returned = self._made.mirror(offered.sdp, offered.chosen, form)
        exchange = Exchange(
            offered.wish.side, self._now(), self._messages(), offered.sdp, offered.shown, sdp, returned, is_of_use
        )
        self.exchanges.append(exchange)
        return self._reply(returned if is_of_use else RelayRefusal("no such answer"), exchange)

    def delete(self, call: str, *, at_once: bool = False) -> Deferred[dict[str, JSON]]:
        self.has_let_go = True
        if self.clear_control is None:
            return succeed({})
        streams: list[JSON] = [{}, {"in clear": 3}]
        return succeed({"tags": {"a": {"side": str(self.clear_control), "medias": [{"streams": streams}]}}})

    def query(self, call: str) -> Deferred[dict[str, JSON]]:
        return succeed({})

    def release(self) -> None:
        """Give the oldest reply that waits, if any."""
        if self._waiting:
            deferred, reply, exchange = self._waiting.pop(0)
            _told(exchange)
            deferred.errback(reply) if isinstance(reply, RelayRefusal) else deferred.callback(reply)

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def _reply(self, reply: bytes | RelayRefusal, exchange: Exchange | None = None) -> Deferred[bytes]:
        if not self.held and not self._waiting:  # its replies come in order
            _told(exchange)
            return fail(reply) if isinstance(reply, RelayRefusal) else succeed(reply)
        deferred: Deferred[bytes] = Deferred(self._forget)
        self._waiting.append((deferred, reply, exchange))
        return deferred

    def _forget(self, cancelled: Deferred[bytes]) -> None:
        self._waiting = [one for one in self._waiting if one[0] is not cancelled]


def is_of_relay(port: int) -> bool:
    """Whether a port is the relay's."""
    return port in _PORTS


def _told(exchange: Exchange | None) -> None:
    if exchange is not None:
        exchange.is_told = True


def _chosen(lines: list[Line]) -> int | None:
    active = [index for index, line in enumerate(lines) if line.port]
    return next((index for index in active if lines[index].is_secure), active[0] if active else None)


def _lacks_keys(line: Line) -> bool:
    return line.is_secure and not line.keys


def _form_of(line: Line) -> str:
    if line.kind == b"image":
        return "FAX"
    return "SAVP" if line.is_secure else "OSRTP" if line.keys else "AVP"


def _fits(offered: Line, answer: Line, *, takes_clear: bool) -> bool:
    if offered.kind != answer.kind:
        return False
    if offered.keys and not answer.keys:
        return takes_clear or not offered.is_secure
    return offered.is_secure is answer.is_secure
