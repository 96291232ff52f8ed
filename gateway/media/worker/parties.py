"""The two parties of a call, the m-lines that each was shown, and the streams between them.

Keys are one a suite, party and stream: they live as long as the call uses the suite, so that an offer without changes
makes no new key; a suite that is left takes its key with it (a session made anew with an old key would repeat its
keystream). Only an offer that is told again, since a later exchange came to nothing or another fork has answered,
has the keys that its reader was shown. Not here: how offers and answers change all this (media_call).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from gateway.media.worker.interfaces import Interface
from gateway.media.worker.port_pool import NoPorts
from gateway.media.worker.rewriting import Profile
from gateway.media.worker.streams import paths
from gateway.media.worker.streams.course import Course
from gateway.media.worker.streams.endpoint import Endpoint, Remote, StreamServices, join
from gateway.media.worker.web.ice import IceCredentials
from gateway.media.worker.web.web_end import WebEnd
from gateway.sdp.crypto import CryptoAttribute, generate
from gateway.sdp.dtls import DtlsTransport

MOST_REMEMBERED: Final = 16
"""Offers whose keys are kept for the case that they are told again; forks can each make one, and ten phones of one
user are each made one."""


_ICE: Final = "ICE"
"""The name of ICE credentials among keys: no suite has it."""


class MediaStream:
    """Two joined endpoints, by party; `offered` is the latest offerer's description, until and after its answer."""

    def __init__(self, services: StreamServices, parties: Sequence[CallParty], *, is_urgent: bool = False) -> None:
        """Raises NoPorts."""
        self.ends = _ends(services, parties, is_urgent)
        self.course = Course(services.clock.now)
        self.offered: Remote | None = None
        self.is_released = False
        """Whether it has no ports, since nobody took it: then it belongs to no call's streams until it is revived."""
        self._keys: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})
        self._shown: dict[bytes, tuple[dict[str, bytes], dict[str, bytes]]] = {}

    def key(self, side: int, suite: str, random: Callable[[int], bytes]) -> bytes:
        """The key that protects packets to that party under that suite."""
        keys = self._keys[side]
        if suite not in keys:
            keys[suite] = generate(suite, 1, random).key
        return keys[suite]

    def keys_to_offer(
        self, side: int, suites: Sequence[str], random: Callable[[int], bytes]
    ) -> tuple[CryptoAttribute, ...]:
        """A key for each suite, the suite in force first: some answer with the first line's tag. Whatever the order, a
        suite keeps its tag, since an offer that is told again was shown with it (RFC 4568 section 5.1.1)."""
        keys = [CryptoAttribute(tag, suite, self.key(side, suite, random)) for tag, suite in enumerate(suites, 1)]
        used = self.ends[side].remote.ours
        return tuple(sorted(keys, key=lambda key: used is None or key.suite != used.suite))

    def web(self, side: int) -> WebEnd:
        """The ICE and DTLS of an end that is a browser's, or is to be."""
        end = self.ends[side]
        if not isinstance(end.web, WebEnd):
            assert end.services.handshakes is not None, "a worker without handshakes refuses browsers"
            end.web = WebEnd(end, end.services.handshakes)
        return end.web

    def credentials(
        self, side: int, random: Callable[[int], bytes], told: DtlsTransport | None = None
    ) -> IceCredentials:
        """Ours toward a browser, kept as keys are. `told`: its offer; the same ones as long as its own are, and new
        ones where it begins ICE anew (RFC 8839 section 4.4.1.1.1)."""
        keys, remote = self._keys[side], self.ends[side].remote
        if told is not None and remote.dtls is not None and remote.ice is not None:
            if told.ufrag == remote.dtls.ufrag:
                keys[_ICE] = remote.ice.packed()
            elif keys.get(_ICE) == remote.ice.packed():
                del keys[_ICE]
        if _ICE not in keys:
            keys[_ICE] = IceCredentials.made(random).packed()
        ours = IceCredentials.unpacked(keys[_ICE])
        self.web(side).expect(ours)
        return ours

    def renew_keys(self, side: int) -> None:
        """Another reader on that side is to be offered keys that nobody else there has. Those of the former readers are
        remembered with their offers."""
        self._keys[side].clear()

    def remember(self, offer: bytes) -> None:
        """Keep the keys that an offer was written with, by its digest."""
        self._shown.pop(offer, None)
        self._shown[offer] = self._keys[0].copy(), self._keys[1].copy()
        if len(self._shown) > MOST_REMEMBERED:
            del self._shown[next(iter(self._shown))]

    def recall(self, offer: bytes) -> None:
        """Let the keys be those that this offer was written with before: its reader has no others."""
        for keys, then in zip(self._keys, self._shown.get(offer, ({}, {})), strict=True):
            keys.update(then)

    def apply(self, side: int, remote: Remote) -> None:
        """Take one party's description, and forget the key of a suite that is left by it."""
        used = self.ends[side].remote.ours
        if remote.ice is not None:
            self._keys[side][_ICE] = remote.ice.packed()
        if used is not None and (remote.ours is None or remote.ours.suite != used.suite):
            self._keys[side].pop(used.suite, None)
        self.ends[side].apply(remote)

    def open(self) -> None:
        paths.open_stream(self.ends[0])

    def mend(self, now: float) -> None:
        """Called now and then: make receiving sessions anew where that is due, and sample the stream."""
        for end in self.ends:
            paths.mend(end)
        self.course.look(self.ends, now)

    def shut(self) -> None:
        for end in self.ends:
            end.shut()

    @property
    def is_unused(self) -> bool:
        """Whether nobody has described an end of it, and nothing came to its ports."""
        return not any(end.is_described or end.counters.anything() for end in self.ends)

    def release(self) -> None:
        """Give the ports back, of a stream that is unused: no key of its has protected anything."""
        self.close()
        self.is_released, self.offered = True, None

    def revive(self, services: StreamServices, parties: Sequence[CallParty], *, is_urgent: bool) -> bool:
        """It is offered once more, and gets ports as a new one does; False where there are none."""
        try:
            self.ends = _ends(services, parties, is_urgent)
        except NoPorts:
            return False
        self.course = Course(services.clock.now)
        self.is_released = False
        return True

    def close(self, *, was_answered: bool = False) -> None:
        for end in self.ends:
            end.close(was_answered=was_answered)


@attrs.define(eq=False)
class Line:
    """One m-line of a party, as it was written last, and the stream it stands for."""

    stream: MediaStream | None
    profile: Profile
    kind: str
    protocol: str
    formats: list[str]
    keys: tuple[CryptoAttribute, ...] = attrs.field(default=(), repr=False)
    """Those we offered in it."""
    ice: IceCredentials | None = None
    """Ours in it, for a browser."""
    mid: str = ""
    """Its a=mid toward a browser."""


@attrs.define(eq=False)
class CallParty:
    """One side of the call."""

    side: int
    session_id: int
    interface: Interface
    """Where it meets us."""
    name: str = ""
    """The side of the gateway it is on: phones or provider."""
    source: str | None = None
    """The host that its signalling came from last; None when nobody told."""
    lines: list[Line] = attrs.field(factory=list)
    version: int = 0
    written: bytes = attrs.field(default=b"", repr=False)

    def told(self, text: Callable[[int], bytes]) -> bytes:
        """The description that it is given, `text` of its version, which goes up by one when it differs from the last
        (RFC 3264 section 8)."""
        if not self.written or text(self.version) != self.written:
            self.version += 1
            self.written = text(self.version)
        return self.written


def _ends(services: StreamServices, parties: Sequence[CallParty], is_urgent: bool) -> tuple[Endpoint, Endpoint]:
    """Both ends of a stream, joined. Raises NoPorts."""
    first = _endpoint(services, parties[0], is_urgent)
    try:
        second = _endpoint(services, parties[1], is_urgent)
    except Exception:
        first.close(was_answered=False)
        raise
    join(first, second)
    for end in (first, second):
        paths.watch(end)
    return first, second


def _endpoint(services: StreamServices, party: CallParty, is_urgent: bool) -> Endpoint:
    return Endpoint(services, party.interface.ports, party.name, is_urgent=is_urgent)
