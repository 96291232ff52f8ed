"""Judges a capture by time: did audio cross the gateway without a gap, and did each packet have the key of its moment?

    phone --came--> gateway --left--> far end        far end --came--> gateway --left--> phone

A gap counts as the gateway's where packets came in meanwhile: a sender without a processor is silent on both sides. A
far end that re-keys has a port of its own for each agreement, so a packet's port names the keys that both
descriptions of that agreement hold (RFC 4568 section 5.1.2), and no other key may open it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import attrs
from pylibsrtp import Error, Policy, Session  # noqa: TID251  (not through the code that is judged)

from tests.support.calls.audio import WINDOW, goertzel
from tests.support.calls.judge import PROFILES, is_rtcp, is_rtp
from tests.support.calls.pcap import UDP, Packet
from tests.support.calls.wire import Audio, SipMessage, exchanges

LONGEST = 0.1  # seconds
PERIOD = 0.02  # seconds


@attrs.frozen
class Stream:
    """The audio packets of one direction on one side, in the order in which they came."""

    times: tuple[float, ...]
    numbers: tuple[tuple[int, int], ...]
    """SSRC and sequence number of each."""

    @classmethod
    def between(cls, packets: Iterable[Packet], source: str, destination: str) -> Stream:
        """From one address to another, whatever the ports."""
        chosen = [
            packet
            for packet in packets
            if packet.protocol == UDP
            and (packet.source.address, packet.destination.address) == (source, destination)
            and is_rtp(packet.payload)
        ]
        numbers = tuple((int.from_bytes(p.payload[8:12], "big"), int.from_bytes(p.payload[2:4], "big")) for p in chosen)
        return cls(tuple(packet.time for packet in chosen), numbers)

    def gaps(self, since: float, until: float) -> list[tuple[float, float]]:
        """Beginning and end of each silence that is too long, within this time."""
        inside = [since, *(time for time in self.times if since < time < until), until]
        return [(before, after) for before, after in itertools.pairwise(inside) if after - before > LONGEST]

    @property
    def longest(self) -> float:
        """Seconds: the longest silence within it."""
        return max((after - before for before, after in itertools.pairwise(self.times)), default=0.0)

    @property
    def missing(self) -> list[int]:
        """How many packets are missing at each place where some are, by sequence numbers of one SSRC."""
        steps = [(one, other) for one, other in itertools.pairwise(self.numbers) if one[0] == other[0]]
        holes = [(other[1] - one[1] - 1) & 0xFFFF for one, other in steps]
        return [hole for hole in holes if 0 < hole < 0x8000]


@attrs.frozen
class Crossing:
    """One direction of one call, on both sides of the gateway."""

    name: str
    came: Stream
    left: Stream

    @classmethod
    def of(cls, packets: Sequence[Packet], source: str, gateway: str, destination: str) -> Crossing:
        name = f"{source} > {destination}"
        came = Stream.between(packets, source, gateway)
        return cls(name, came, Stream.between(packets, gateway, destination))

    def objections(self, since: float, until: float) -> list[str]:
        """The gaps that are the gateway's, within this time."""
        found = []
        for start, end in self.left.gaps(since, until):
            meanwhile = sum(start < time < end - PERIOD for time in self.came.times)
            if meanwhile > 1:
                found.append(f"{self.name}: silent for {end - start:.3f} s while {meanwhile} packets came")
        holes = [hole for hole in self.left.missing if hole * PERIOD >= LONGEST]
        return found + [f"{self.name}: {hole} packets in a row are missing" for hole in holes]

    def figures(self) -> str:
        """For people."""
        left, came = self.left, self.came
        longest = f"longest silence {left.longest * 1000:.0f} ms (sender {came.longest * 1000:.0f} ms)"
        return f"{self.name}: {len(left.times)} of {len(came.times)} packets, {sum(left.missing)} missing, {longest}"


def judge_gaps(
    packets: Sequence[Packet], gateway: str, phone: str, far_end: str, until: float
) -> tuple[list[str], list[str]]:
    """The objections to both directions of a call, and figures of them. The call lasts from the time when both have
    begun to talk `until` its end (seconds since the epoch)."""
    ways = [Crossing.of(packets, *ends) for ends in ((phone, gateway, far_end), (far_end, gateway, phone))]
    streams = [way.left for way in ways]
    if not all(stream.times for stream in streams):
        return [f"{way.name}: no audio at all" for way in ways if not way.left.times], []
    since = max(stream.times[0] for stream in streams)
    early = [way.name for way in ways if way.left.times[-1] < until - LONGEST]
    if early:
        return [f"{name}: ends before the call does" for name in early], [way.figures() for way in ways]
    return [one for way in ways for one in way.objections(since, until)], [way.figures() for way in ways]


def judge_keys(packets: Iterable[Packet], messages: Iterable[SipMessage], far_end: str) -> tuple[list[str], int]:
    """The objections to all that this far end sent or was sent: each packet must open with a key of its port's own
    agreement. And with how many keys the far end sent."""
    keys = _keys_by_port(messages, far_end)
    sessions: dict[bytes, Session] = {}
    found, used = [], set()
    for packet in packets:
        mine = next((end for end in (packet.source, packet.destination) if end.address == far_end), None)
        if packet.protocol != UDP or mine is None or is_rtcp(packet.payload):
            continue
        is_sent = packet.source == mine
        agreed = keys.get((mine.port, is_sent), {})
        opened = next((key for key in agreed if _opens(sessions, key, agreed[key], packet.payload)), None)
        if opened is None:
            found.append(f"opens with none of the {len(agreed)} keys of its time: {packet}")
        elif is_sent:
            used.add(opened)
    return found, len(used)


def longest_silence(samples: Sequence[int], hertz: int) -> float:
    """Seconds for which a recording lacks the tone, between its first and its last window that has it."""
    windows = [samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    has_tone = [goertzel(window, hertz) > 0.6 for window in windows]
    if True not in has_tone:
        return float("inf")
    inside = has_tone[has_tone.index(True) : len(has_tone) - has_tone[::-1].index(True)]
    runs = [sum(1 for _ in run) for is_tone, run in itertools.groupby(inside) if not is_tone]
    return max(runs, default=0) * WINDOW / 8000


def _keys_by_port(messages: Iterable[SipMessage], far_end: str) -> dict[tuple[int, bool], dict[bytes, str]]:
    """(port of the far end, whether it sends) -> keys, each with its suite."""
    keys: dict[tuple[int, bool], dict[bytes, str]] = {}
    for offer, answer in exchanges(messages):
        for chosen in answer.cryptos[:1]:
            offered = [crypto for crypto in offer.cryptos if crypto.tag == chosen.tag]
            _note(keys, (offer, answer), [crypto.key_bytes for crypto in offered], chosen.suite, far_end)
            _note(keys, (answer, offer), [chosen.key_bytes], chosen.suite, far_end)
    return keys


def _note(
    keys: dict[tuple[int, bool], dict[bytes, str]],
    audios: tuple[Audio, Audio],
    sent: list[bytes],
    suite: str,
    far_end: str,
) -> None:
    """Keys that the first of two descriptions says its side sends with."""
    mine, other = audios
    for audio, is_sent in ((mine, True), (other, False)):
        if audio.address == far_end:
            keys.setdefault((audio.port, is_sent), {}).update(dict.fromkeys(sent, suite))


def _opens(sessions: dict[bytes, Session], key: bytes, suite: str, packet: bytes) -> bool:
    if key not in sessions:
        sessions[key] = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[suite]))
    try:
        sessions[key].unprotect(packet)
    except Error:
        return False
    return True
