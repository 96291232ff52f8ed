"""The report on a call's media: the reply to NG's `query`, in rtpengine's form with more in it.

Each stream of a party reports the packets received from it. Beyond rtpengine's: `latched`, `lost` (packets), `loss` (a
share of the packets sent, 0 to 1), `jitter` (ms), `round trip` (ms between the relay and the party, from RTCP), `MOS`
(1 to 4.4, of this party as the other hears it), `one way` (nothing comes while the other party talks), `idle` (seconds
since the last good packet), `rebuilt` (how often a receiving session was made anew), `in clear` (RTCP packets beside
SRTP), `elsewhere` (RTP in clear came from a host that neither SDP nor signalling names), `errors by cause` (of causes
that occurred), `dtls` (of a browser: `waiting`, `up`, `failed`, `closed`, or `mismatch` for a certificate that is not
the one of its SDP), `course` (samples of the time that passed, each: seconds since the stream was made, loss, jitter,
MOS; `streams/course.py`). A figure that is not known is null. Keys never appear.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import TypeAlias

from gateway.media.worker.interfaces import Interface
from gateway.media.worker.media_call import MediaCall
from gateway.media.worker.parties import CallParty, MediaStream
from gateway.media.worker.port_pair import kernel_drops
from gateway.media.worker.streams import quality
from gateway.media.worker.streams.counters import FAILURES, failures_of
from gateway.media.worker.streams.endpoint import Endpoint
from gateway.media.worker.streams.latch import SocketAddress

Report: TypeAlias = dict[str, object]
Failed: TypeAlias = dict[int, list[tuple[str, int]]]
"""By the identity of an endpoint."""


def call_report(call: MediaCall, now: float, failed: Failed | None = None) -> Report:
    """Everything about the call; `now` by the loop's clock, times in the report in seconds since 1970. `failed`, where
    they are counted already."""
    epoch, failed = time.time() - now, failed or failed_packets(call)
    call.heard(now)
    counters = [end.counters for stream in call.streams for end in stream.ends]
    rtp = _stats(sum(one.packets for one in counters), sum(one.bytes for one in counters), 0)
    rtcp = _stats(sum(one.control_packets for one in counters), sum(one.control_bytes for one in counters), 0)
    return {
        "created": int(epoch + call.created),
        "last signal": int(epoch + call.signalled),
        "tags": {tag: _party(call, call.parties[side], tag, (now, epoch), failed) for tag, side in call.tags.items()},
        "totals": {"RTP": rtp, "RTCP": rtcp},
    }


def failed_packets(call: MediaCall) -> Failed:
    """Of each end's party, by cause: those that occurred, with their numbers. It asks the kernel."""
    return {id(end): _failures(end) for stream in call.streams for end in stream.ends}


def has_plain_control(call: MediaCall) -> bool:
    """Whether RTCP came in clear beside SRTP."""
    return any(end.counters.plain_control for stream in call.streams for end in stream.ends)


def interface_report(interface: Interface) -> Report:
    """Its ports: those of interfaces at the same address are the same ports."""
    ports = interface.ports
    return {
        "name": interface.name,
        "address": ports.range.address,
        "ports": {
            "min": ports.range.first,
            "max": ports.range.last,
            "used": 2 * ports.used,
            "silent": 2 * ports.silent,
            "free": 2 * ports.free,
        },
    }


class PacketTotals:
    """Packets of all calls of a worker: relayed ones by direction, those that went no further by side and cause."""

    def __init__(self) -> None:
        self.relayed = {"to_phone": 0, "to_provider": 0, "errors": 0}
        self.failed: dict[str, dict[str, int]] = {"phones": {}, "provider": {}}

    def count(self, call: MediaCall, failed: Failed | None = None) -> None:
        """Add the packets of a call since it was counted last; none of one that has ended. `failed`, where they are
        counted already."""
        if not call.streams:
            return
        failed = failed or failed_packets(call)
        before, call.counted = call.counted, {("to_phone",): 0, ("to_provider",): 0, ("errors",): 0}
        for stream in call.streams:
            for party, end in zip(call.parties, stream.ends, strict=True):
                _count_end(call.counted, end, "provider" if party.name == "provider" else "phones", failed[id(end)])
        for key, number in call.counted.items():
            totals = self.failed[key[0]] if len(key) == 2 else self.relayed
            totals[key[-1]] = totals.get(key[-1], 0) + number - before.get(key, 0)


def _count_end(counted: dict[tuple[str, ...], int], end: Endpoint, side: str, failed: list[tuple[str, int]]) -> None:
    """Add the packets that a party of that side sent."""
    counters = end.counters
    counted[("to_phone" if side == "provider" else "to_provider",)] += counters.packets + counters.control_packets
    for cause, number in failed:
        counted["errors",] += number
        counted[side, cause] = counted.get((side, cause), 0) + number


def process_report() -> Report:
    """This process' CPU time in seconds and its memory in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"cpu": round(used.ru_utime + used.ru_stime, 3), "resident": pages * resource.getpagesize()}


def _party(call: MediaCall, party: CallParty, tag: str, times: tuple[float, float], failed: Failed) -> Report:
    lines = {id(line.stream): line for line in party.lines if line.stream is not None}
    medias = []
    for index, stream in enumerate(call.streams, 1):
        line = lines.get(id(stream))
        medias.append(
            {
                "index": index,
                "type": line.kind if line else "",
                "protocol": line.protocol if line else "",
                "streams": _streams(stream, party.side, times, line is not None and line.kind == "audio", failed),
            }
        )
    return {"tag": tag, "side": party.name, "created": int(times[1] + call.created), "medias": medias}


def _streams(
    stream: MediaStream, side: int, times: tuple[float, float], is_audio: bool, failed: Failed
) -> list[Report]:
    end, peer, now, epoch = stream.ends[side], stream.ends[1 - side], *times
    counters, errors = end.counters, {cause.replace("_", " "): number for cause, number in failed[id(end)]}
    rtp: Report = {
        "local port": end.pair.port,
        "endpoint": _endpoint(end.latch.target),
        "advertised endpoint": _endpoint(end.remote.address),
        "latched": end.latch.source is not None,
        "elsewhere": end.was_elsewhere,
        "last packet": int(epoch + counters.heard),
        "idle": round(now - counters.heard, 3),
        "SSRC": counters.ssrc,
        "lost": counters.lost,
        **_quality(end, peer, now, is_audio),
        "course": [[*sample] for sample in stream.course.samples[side]],
        "rebuilt": end.rebuild.count,
        "errors by cause": errors,
        "stats": _stats(counters.packets, counters.bytes, sum(errors.values())),
    }
    rtcp: Report = {
        "local port": end.pair.port + 1,
        "endpoint": _endpoint(end.control.latch.target),
        "advertised endpoint": _endpoint(end.remote.control),
        "stats": _stats(counters.control_packets, counters.control_bytes, 0),
        "in clear": counters.plain_control,
    }
    if end.remote.theirs is not None:
        rtp["crypto suite"] = rtcp["crypto suite"] = end.remote.theirs.suite
    if end.remote.dtls is not None and end.web is not None:
        rtp["dtls"] = end.web.state
    return [rtp, rtcp]


def _quality(end: Endpoint, peer: Endpoint, now: float, is_audio: bool) -> Report:
    score, round_trip = quality.score(end, peer) if is_audio else None, end.control.reported.round_trip
    return {
        "loss": round(quality.loss(end, peer), 5),
        "jitter": round(quality.jitter_ms(end), 3),
        "round trip": None if round_trip is None else round(1_000 * round_trip, 1),
        "MOS": None if score is None else round(score, 2),
        "one way": is_audio and quality.is_unheard(end, peer, now),
    }


def _failures(end: Endpoint) -> list[tuple[str, int]]:
    """The causes that occurred, each with its number of packets."""
    counts, dropped = failures_of(end.counters), _dropped(end)
    if not dropped and not any(counts):
        return []
    counted = (*zip(FAILURES, counts, strict=True), ("kernel", dropped))
    return [(cause, number) for cause, number in counted if number]


def _dropped(end: Endpoint) -> int:
    """Packets that the kernel dropped because a socket's buffer was full."""
    return end.pair.dropped() + (kernel_drops(end.linked) if end.linked is not None else 0)


def _stats(packets: int, size: int, errors: int) -> Report:
    return {"packets": packets, "bytes": size, "errors": errors}


def _endpoint(address: SocketAddress | None) -> Report:
    if address is None:
        return {}
    return {"family": "IPv6" if ":" in address[0] else "IPv4", "address": address[0], "port": address[1]}
