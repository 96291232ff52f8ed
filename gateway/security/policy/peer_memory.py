"""The memory of peers: TLS and SRTP that each was last seen to do, so that one that suddenly does less is noticed.

It is for SIP as HSTS (RFC 6797) is for HTTP. Here: the memory, the capability that follows from it (``known``), and
reports of a probable downgrade. Not here: the policy after a downgrade (decisions.py), sightings (calls, registrations
and health bring them), storage (``keep``).

    a TLS response, an SRTP answer, a lack of either -> saw -> Sightings -> known(peer, now) -> Capability -> policy
                                                            `-> keep (sqlite, written behind)

A peer that did better once is expected to for a year, or until an operator says ``forget``: to be let go of after one
blocked port would serve an attacker. A lack of TLS in a peer that never did better counts for a few minutes
only: that spares calls the wait for a connection, and the peer is asked again soon. A lack of SRTP is kept to be shown,
but no offer is made weaker for it: it may have been one far end's, and the provider's others are asked as before.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final

import attrs
from twisted.logger import Logger

from gateway.config.model import Provider
from gateway.observe.events import EventName
from gateway.observe.metrics import Metrics
from gateway.security.policy.terms import UNKNOWN, Capability
from gateway.state.table import KeptTable, Value

log = Logger()

REMEMBERED_SECONDS = 365 * 86_400.0
LACK_SECONDS = 300.0
"""How long a lack of TLS counts without being tried again."""
NOTED_SECONDS = 60.0
"""A sighting like the last one is noted again only after this long: a busy peer is not written once a call."""
REPEATED_SECONDS = 60.0
"""Between two lines in the log about the same downgrade; the metric counts every one."""
CAPACITY = 250_000
"""Peers; beyond that no new phone is remembered."""


class Feature(StrEnum):
    """A protection that a peer can do or lack."""

    TLS = "tls"
    SRTP = "srtp"


@attrs.frozen
class Peer:
    """A provider by its name and URI (another URI is another peer), or a phone by its address of record."""

    name: str
    target: str = ""

    @classmethod
    def of(cls, provider: Provider) -> "Peer":
        """The peer that a provider's configuration names."""
        return _peer(provider.name, provider.uri)


_peer: Final = lru_cache(maxsize=256)(Peer)
"""One for each provider."""


@attrs.frozen
class Sightings:
    """The last times at which a peer did, and lacked, each feature: seconds since the epoch, None for never."""

    did_tls_at: float | None = None
    lacked_tls_at: float | None = None
    failed_handshake_at: float | None = None
    """When that lack was a handshake that failed with a peer that speaks TLS."""
    did_srtp_at: float | None = None
    lacked_srtp_at: float | None = None
    led_at: float | None = None
    """When a roll-out had led all its phones to TLS, for good: in clear it is refused where `phones_security` requires
    so."""

    @property
    def speaks_tls(self) -> bool:
        """Whether its last lack of TLS was a handshake that failed."""
        return self.failed_handshake_at is not None and self.failed_handshake_at == self.lacked_tls_at

    def at(self, feature: Feature, did: bool) -> float | None:
        """When it was last seen to do or lack that."""
        found: float | None = getattr(self, _field(feature, did))
        return found

    def does(self, feature: Feature) -> bool | None:
        """Whether it was last seen to do that; None: it was never seen to do or lack it."""
        did, lacked = self.at(feature, True), self.at(feature, False)
        if did is None:
            return None if lacked is None else False
        return lacked is None or did >= lacked

    def seen(self, feature: Feature, did: bool, now: float) -> "Sightings":
        """The same with one more sighting."""
        return attrs.evolve(self, **{_field(feature, did): now})


Keep = Callable[[Peer, Sightings | None], None]
"""Keeps the sightings of a peer; None: forgets them."""


class PeerMemory:
    """Remembers peers. ``now`` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float], metrics: Metrics, keep: Keep = lambda peer, sightings: None) -> None:
        self._now = now
        self._metrics = metrics
        self.events = metrics.events
        self._keep = keep
        self._peers: dict[Peer, Sightings] = {}
        self._reported: dict[tuple[Peer, Feature], float] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def recall(self, peers: Iterable[tuple[Peer, Sightings]]) -> None:
        """Take over the sightings that were kept before a restart."""
        self._peers.update(peers)

    def all(self) -> list[tuple[Peer, Sightings]]:
        """Every peer that is remembered, by name."""
        return sorted(self._peers.items(), key=lambda item: (item[0].name, item[0].target))

    def seen(self, peer: Peer) -> Sightings:
        """The sightings of a peer."""
        return self._peers.get(peer, Sightings())

    def known(self, peer: Peer) -> Capability:
        """The capability that counts for a decision now."""
        seen, now = self._peers.get(peer), self._now()
        if seen is None:
            return UNKNOWN
        # Noted before the clock was set back, a lack must not count until the clock comes by again.
        lacks_tls = _is_within(seen.lacked_tls_at, LACK_SECONDS, now) and (seen.lacked_tls_at or 0.0) <= now
        did_tls = _is_within(seen.did_tls_at, REMEMBERED_SECONDS, now)
        did_srtp = _is_within(seen.did_srtp_at, REMEMBERED_SECONDS, now)
        if did_tls or not lacks_tls:
            return Capability(tls=True if did_tls else None, srtp=True if did_srtp else None)
        return Capability(tls=False, srtp=True if did_srtp else None, speaks_tls=seen.speaks_tls)

    def saw(self, peer: Peer, feature: Feature, did: bool, *, speaks_tls: bool = False) -> None:
        """A peer did something, or was seen to lack it; ``speaks_tls``: TLS, for the handshake failed."""
        seen, now = self._peers.get(peer), self._now()
        if seen is None and len(self._peers) >= CAPACITY:
            return
        seen = seen or Sightings()
        is_other = feature is Feature.TLS and not did and speaks_tls is not seen.speaks_tls
        if is_other or not _is_within(seen.at(feature, did), NOTED_SECONDS, now):
            seen = seen.seen(feature, did, now)
            self._peers[peer] = attrs.evolve(seen, failed_handshake_at=now) if speaks_tls else seen
            self._keep(peer, self._peers[peer])

    def lead(self, peer: Peer) -> None:
        """A roll-out is done with this phone: it is expected over TLS until it is forgotten."""
        seen = self._peers.get(peer)
        if seen is not None and seen.led_at is None:
            self._peers[peer] = attrs.evolve(seen, led_at=self._now())
            self._keep(peer, self._peers[peer])

    def is_led(self, peer: Peer) -> bool:
        """Whether a roll-out has led a phone to TLS for good."""
        seen = self._peers.get(peer)
        return seen is not None and seen.led_at is not None

    def report(self, peer: Peer, feature: Feature, refused: bool) -> None:
        """A peer does less than it did: count it, and tell the operator at once."""
        self._metrics.downgrades.labels(str(feature), "refused" if refused else "allowed").inc()
        now = self._now()
        if _is_within(self._reported.get((peer, feature)), REPEATED_SECONDS, now):
            return
        self._reported = {key: at for key, at in self._reported.items() if now - at < REPEATED_SECONDS}
        self._reported[peer, feature] = now
        log.warn(
            "a probable downgrade: {peer} did {feature} before and does not now ({result})",
            peer=peer.name,
            feature=str(feature).upper(),
            result="refused" if refused else "allowed",
        )
        told = {"feature": str(feature), "result": "refused" if refused else "allowed"}
        self.events.note(EventName.SECURITY_DOWNGRADE, who=peer.name, **told)

    def forget_phone(self, address: str) -> None:
        """Forget a phone by its address of record; of thousands, each at once."""
        if self._peers.pop(Peer(address), None) is not None:
            self._keep(Peer(address), None)

    def forget(self, name: str) -> int:
        """Forget a provider or a phone; how many entries that were."""
        gone = [peer for peer in self._peers if peer.name == name]
        for peer in gone:
            del self._peers[peer]
            self._keep(peer, None)
        return len(gone)


def _field(feature: Feature, did: bool) -> str:
    return f"{'did' if did else 'lacked'}_{feature}_at"


def _is_within(at: float | None, seconds: float, now: float) -> bool:
    return at is not None and now - at < seconds


def keeper(table: KeptTable, now: Callable[[], float]) -> Keep:
    """A function that keeps each change of a memory in ``table``; ``now`` gives seconds since the epoch."""

    def keep(peer: Peer, sightings: Sightings | None) -> None:
        key = f"{peer.name} {peer.target}"
        if sightings is None:
            table.drop(key)
        else:
            table.put(key, now(), {"name": peer.name, "target": peer.target, **attrs.asdict(sightings)})

    return keep


def recalled(kept: Iterable[tuple[str, Value]]) -> Iterator[tuple[Peer, Sightings]]:
    """The sightings in a table; a value that another version wrote is passed over."""
    for _, value in kept:
        name, target = value.get("name"), value.get("target")
        if isinstance(name, str) and isinstance(target, str):
            moments = {field.name: _moment(value.get(field.name)) for field in attrs.fields(Sightings)}
            yield Peer(name, target), Sightings(**moments)


def _moment(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
