"""The figures of a relay's process, out of its reply to NG's `statistics`.

A worker's has more than an rtpengine's: `relayed` (packets by direction), `failed` (packets that went no further, by
the side they came from and the cause) and `process` (CPU, memory, loop of packets). Counts are since the relay's
process began, of calls that are up as of the last time that it was asked. Not here: adding them up over restarts
(node).
"""

from __future__ import annotations

from typing import Final

import attrs

from gateway.config.model import Side
from gateway.media.relay import JSON

CAUSES: Final = (
    "authentication",
    "replay",
    "other",
    "malformed",
    "wrong_source",
    "early",
    "undelivered",
    "unsent",
    "kernel",
)
"""A worker's reasons for which a packet goes no further. Those of a later version count as `other`."""
WEB: Final = {
    "checks": ("ok", "unproved", "wrong", "unknown", "malformed", "limited", "unasked"),
    "handshakes": ("up", "failed", "mismatch"),
}
"""A worker's counts of browsers, and their results."""
LOOPS: Final = ("native", "python")
PORT_STATES: Final = ("used", "silent", "free")
_SIDES: Final = tuple(str(side) for side in Side)


@attrs.frozen
class RelayFigures:
    """One reply's. An rtpengine counts both directions together, and nothing of the rest."""

    relayed: dict[str, int] = attrs.Factory(dict)
    """Packets, by direction."""
    failed: dict[tuple[str, ...], int] = attrs.Factory(dict)
    """Packets, by the side that sent them and the cause."""
    web: dict[tuple[str, ...], int] = attrs.Factory(dict)
    """Of browsers: ICE checks and DTLS handshakes by result, each under "web", the kind, and the result."""
    cpu_seconds: float | None = None
    """Used by the process, in user and system mode."""
    resident_bytes: int | None = None
    uptime: int | None = None
    """Seconds since an rtpengine's process began."""
    loop: str | None = None
    """The worker's loop of packets: native (in C) or python."""
    ports: dict[str, int] = attrs.Factory(dict)
    """Media ports, by state: `used` by calls, `silent` after one (a worker's alone) and `free`."""

    @classmethod
    def of(cls, reply: JSON) -> RelayFigures:
        """Those of a reply; none that it leaves out."""
        statistics = _value(reply, "statistics")
        totals, process = _value(statistics, "totalstatistics"), _value(statistics, "process")
        cpu, resident, loop = (_value(process, key) for key in ("cpu", "resident", "loop"))
        return cls(
            _relayed(totals),
            _failed(_value(statistics, "failed")),
            _web(_value(statistics, "web")),
            float(cpu) if isinstance(cpu, int | float) else None,
            resident if isinstance(resident, int) else None,
            _seconds(_value(totals, "uptime")),
            loop if isinstance(loop, str) and loop in LOOPS else None,
            _ports(_value(statistics, "interfaces")),
        )

    def counted(self) -> dict[tuple[str, ...], int]:
        """The counts, by direction, by side and cause, or of browsers."""
        return {**{(direction,): number for direction, number in self.relayed.items()}, **self.failed, **self.web}


def _relayed(totals: JSON) -> dict[str, int]:
    if not isinstance(totals, dict):
        return {}
    found = totals.get("relayed", {"both": totals.get("relayedpackets")})
    return {key: number for key, number in _numbers(found).items() if key != "errors"}


def _failed(sides: JSON) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    for side in _SIDES:
        for cause, number in _numbers(_value(sides, side)).items():
            key = side, cause if cause in CAUSES else "other"
            found[key] = found.get(key, 0) + number
    return found


def _web(counted: JSON) -> dict[tuple[str, ...], int]:
    found = ((kind, result, _numbers(_value(counted, kind)).get(result)) for kind in WEB for result in WEB[kind])
    return {("web", kind, result): number for kind, result, number in found if number is not None}


def _ports(interfaces: JSON) -> dict[str, int]:
    """The sum over all addresses: interfaces at the same one share their ports."""
    by_address: dict[str, JSON] = {}
    for one in interfaces if isinstance(interfaces, list) else ():
        by_address[str(_value(one, "address"))] = _value(one, "ports")
    found: dict[str, int] = {}
    for ports in by_address.values():
        for state, number in _numbers(ports).items():
            if state in PORT_STATES:
                found[state] = found.get(state, 0) + number
    return found


def _numbers(of: JSON) -> dict[str, int]:
    items = of.items() if isinstance(of, dict) else ()
    return {key: number for key, number in items if isinstance(number, int) and number >= 0}


def _value(of: JSON, key: str) -> JSON:
    return of.get(key) if isinstance(of, dict) else None


def _seconds(value: JSON) -> int | None:
    """Whole seconds, which an rtpengine writes as text."""
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None
