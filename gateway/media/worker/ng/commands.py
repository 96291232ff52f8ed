"""The NG commands (a subset of rtpengine's): dictionaries in, dictionaries out.

offer, answer, delete, query, ping, list, statistics, and of ours confirm and (for the worker's own gateway) interfaces;
all others are refused. Calls live here, by call-id. Unknown keys are ignored, as rtpengine does. Not here: sockets,
cookies and JSON (listener), the fields of a command (command_fields), SDP (media_call).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import attrs

from gateway.media.worker.media_call import MediaCall
from gateway.media.worker.ng.call_report import (
    PacketTotals,
    call_report,
    failed_packets,
    has_plain_control,
    interface_report,
    process_report,
)
from gateway.media.worker.ng.command_fields import (
    Fields,
    optional,
    read_description,
    read_sides,
    read_wish,
    strings,
    text,
)
from gateway.media.worker.offering import NgRefusal
from gateway.media.worker.port_pool import NoPorts
from gateway.media.worker.rewriting import numeric_host
from gateway.media.worker.streams.endpoint import StreamServices
from gateway.sdp.description import MalformedDescription

Result: TypeAlias = dict[str, object]

DEFAULT_LIST: Final = 32
MOST_TOLD: Final = 100
"""Calls in the reply to a ping."""
REMEMBERED_REPORTS: Final = 1_000
"""Of calls whose media timed out; the oldest are forgotten."""
CALLS_A_JOB: Final = 4
"""Looked at in one go, for time-outs."""
ORPHAN_OFFER_SECONDS: Final = 0.001
"""Of a worker that is asked no more: no answer can come."""
UNUSED_SECONDS: Final = 5.0
"""After the last offer or answer of an answered call, the ports of streams that nobody took are given back: by then no
other answer is on its way."""
HELD_FACTOR: Final = 60
"""A call on hold may be silent for so many times the media time-out."""


@attrs.frozen
class CallTimeouts:
    """When a worker gives up on calls. Seconds; 0 for never."""

    media_timeout: float = 60.0
    """An answered call on which nothing arrives from either party."""
    offer_timeout: float = 3_600.0
    """A call that is offered, with early media or without, and never answered: it may ring in silence for long."""


class Commands:
    """The calls of one worker, and NG's commands for them; `is_owner`: of the gateway that may move it, too."""

    def __init__(
        self,
        services: StreamServices,
        timeouts: CallTimeouts,
        random: Callable[[int], bytes] = secrets.token_bytes,
        *,
        is_owner: bool = False,
    ) -> None:
        self._services = services
        self._limits = timeouts
        self._random = random
        self.calls: dict[str, MediaCall] = {}
        self._timed_out: dict[str, Result] = {}
        """The last reports on calls that ended here, until they are deleted."""
        self._packets = PacketTotals()
        """Of all calls so far."""
        self._is_counting = False
        self._managed = self._timeouts = self._rejected = 0
        self._started = services.clock.now
        self._commands: dict[str, Callable[[Fields], Result]] = {
            "ping": self.ping,
            "offer": self.offer,
            "answer": self.answer,
            "confirm": self.confirm,
            "delete": self.delete,
            "query": self.query,
            "list": self.list_calls,
            "statistics": self.statistics,
            **({"interfaces": self.interfaces} if is_owner else {}),
        }

    def execute(self, fields: Fields) -> Result:
        """The reply; a mistake in the command is an error in it."""
        command = self._commands.get(str(fields.get("command")))
        if command is None:
            return _error("Unrecognized command")
        try:
            return command(fields)
        except NoPorts as error:
            self._rejected += 1
            return _error(str(error))
        except MalformedDescription as error:
            return _error(f"Failed to parse SDP: {error.reason}")
        except NgRefusal as error:
            return _error(str(error))

    def ping(self, _fields: Fields) -> Result:
        """`mismatched`, where there are any, are calls with a browser whose certificate is not the one of its SDP."""
        handshakes = self._services.handshakes
        if handshakes is None or not handshakes.mismatched:
            return {"result": "pong"}
        found = [name for name, call in self.calls.items() if call.is_mismatched()]
        return {"result": "pong", "mismatched": found[:MOST_TOLD]}

    def offer(self, fields: Fields) -> Result:
        name, tag = text(fields, "call-id"), text(fields, "from-tag")
        description, wish, sides = read_description(fields), read_wish(fields), read_sides(fields)
        call = self.calls.get(name) or MediaCall(self._services, self._random, sides)
        side = call.side_of(tag, optional(fields, "to-tag"))
        _hear_from(call, side, fields)
        result = call.offer(side, description, wish)
        if name not in self.calls:
            self._timed_out.pop(name, None)
            self.calls[name] = call
            self._managed += 1
        call.signalled = self._services.clock.now
        _name_sides(call, tag, sides)
        return {"result": "ok", "sdp": result.decode("utf-8", "surrogateescape")}

    def answer(self, fields: Fields) -> Result:
        call = self._call(fields)
        offerer, answerer = text(fields, "from-tag"), text(fields, "to-tag")
        if offerer not in call.tags:
            raise NgRefusal("Unknown from-tag")
        side = call.side_of(answerer, offerer)
        _hear_from(call, side, fields)
        result = call.answer(side, read_description(fields), is_early=fields.get("early") is True)
        call.signalled = self._services.clock.now
        return {"result": "ok", "sdp": result.decode("utf-8", "surrogateescape")}

    def confirm(self, fields: Fields) -> Result:
        """The call was answered, as an `early` answer said."""
        call = self._call(fields)
        call.confirm()
        call.signalled = self._services.clock.now
        return {"result": "ok"}

    def delete(self, fields: Fields) -> Result:
        name = text(fields, "call-id")
        if name in self.calls:
            return {"result": "ok", **self._end(name)}
        ended = self._timed_out.pop(name, None)
        if ended is not None:
            return {"result": "ok", **ended}
        return {"result": "ok", "warning": "Call-ID not found or tags didn't match"}

    def query(self, fields: Fields) -> Result:
        return {"result": "ok", **call_report(self._call(fields), self._services.clock.now)}

    def interfaces(self, fields: Fields) -> Result:
        """Have the media of new calls at other addresses of this machine: its own has changed."""
        try:
            self._services.interfaces.replace(strings(fields, "interfaces"))
        except (ValueError, OSError) as error:
            raise NgRefusal(f"The interfaces cannot be used: {error}") from None
        return {"result": "ok"}

    def list_calls(self, fields: Fields) -> Result:
        """`gathers` tells the client that several requests may come in one datagram, `in clear` names calls with RTCP
        in clear beside SRTP."""
        limit = fields.get("limit")
        number = int(limit) if isinstance(limit, int | str) and str(limit).isdigit() else DEFAULT_LIST
        names = list(self.calls)[:number]
        takes_plain = bool(self._services.quirks.plain_control)  # else there are none, and nothing is looked for
        in_clear = [name for name in names if takes_plain and has_plain_control(self.calls[name])]
        return {"result": "ok", "calls": names, "gathers": True, "in clear": in_clear}

    def statistics(self, _fields: Fields) -> Result:
        """Packets of calls that are up are as of the last time that it was asked: to count them takes a while."""
        if not self._is_counting:
            self._is_counting = True
            self._count_some(list(self.calls.values()))
        totals = self._packets.relayed
        return {
            "result": "ok",
            "statistics": {
                "currentstatistics": {"sessionsown": len(self.calls), "sessionstotal": len(self.calls)},
                "totalstatistics": {
                    "uptime": str(int(self._services.clock.now - self._started)),
                    "managedsessions": self._managed,
                    "rejectedsessions": self._rejected,
                    "timeoutsessions": self._timeouts,
                    "relayedpackets": totals["to_phone"] + totals["to_provider"],
                    "relayedpacketerrors": totals["errors"],
                    "relayed": totals,
                    "failures": self._services.loop.failures,
                },
                "failed": self._packets.failed,
                "web": _web_counts(self._services),
                "process": process_report() | {"loop": self._services.loop.name},
                "interfaces": [interface_report(one) for one in self._services.interfaces],
            },
        }

    def _count_some(self, calls: list[MediaCall]) -> None:
        """The last few of `calls`, and the others later."""
        for _ in range(min(CALLS_A_JOB, len(calls))):
            self._packets.count(calls.pop())
        self._is_counting = bool(calls)
        if calls:
            self._services.loop.later(partial(self._count_some, calls))

    def expire(self, is_orphaned: bool = False) -> None:
        """Look soon at each call: end those that heard nothing for long, and those never answered if this worker
        `is_orphaned`, asked nothing any more."""
        self._expire_some(list(self.calls), is_orphaned)

    def _expire_some(self, names: list[str], is_orphaned: bool) -> None:
        """The last few of `names`, and the others later: packets wait for a few microseconds at most."""
        for _ in range(min(CALLS_A_JOB, len(names))):
            self._expire(names.pop(), is_orphaned)
        if names:
            self._services.loop.later(partial(self._expire_some, names, is_orphaned))

    def _expire(self, name: str, is_orphaned: bool) -> None:
        call, now = self.calls.get(name), self._services.clock.now
        if call is None:
            return
        heard = call.heard(now)
        call.mend()
        if now - call.signalled > UNUSED_SECONDS:
            call.release_unused()
        limit = ORPHAN_OFFER_SECONDS if is_orphaned else self._limits.offer_timeout
        if call.is_answered:
            limit = self._limits.media_timeout
        is_forsaken = call.is_answered and call.is_forsaken()
        silence = now - max(heard, call.signalled)
        is_held = call.is_answered and call.is_held()
        if not limit or (silence <= (limit * HELD_FACTOR if is_held else limit) and not is_forsaken):
            return
        self._timeouts += 1
        self._timed_out[name] = self._end(name)
        if len(self._timed_out) > REMEMBERED_REPORTS:
            self._timed_out.pop(next(iter(self._timed_out)))

    def _end(self, name: str) -> Result:
        call = self.calls.pop(name)
        failed = failed_packets(call)
        report = call_report(call, self._services.clock.now, failed)
        self._packets.count(call, failed)
        call.close()
        return report

    def _call(self, fields: Fields) -> MediaCall:
        call = self.calls.get(text(fields, "call-id"))
        if call is None:
            raise NgRefusal("Unknown call-id")
        return call


def _web_counts(services: StreamServices) -> Result:
    """ICE checks and handshakes of browsers so far, by result."""
    one = services.handshakes
    return {} if one is None else {"checks": dict(one.checks), "handshakes": dict(one.results)}


def _name_sides(call: MediaCall, tag: str, names: tuple[str, str]) -> None:
    """Remember which side each party is on, for the count of packets by direction. Ports stay where they are."""
    side = call.tags[tag]
    for party, name in ((side, names[0]), (1 - side, names[1])):
        call.parties[party].name = name or call.parties[party].name


def _hear_from(call: MediaCall, side: int, fields: Fields) -> None:
    """`received-from`, rtpengine's: the IP version and the address that the party's signalling came from."""
    source = strings(fields, "received-from")
    if len(source) == 2:
        call.parties[side].source = numeric_host(source[1])


def _error(reason: str) -> Result:
    return {"result": "error", "error-reason": reason}
