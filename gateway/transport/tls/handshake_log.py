"""The outcome of TLS handshakes: counted, and told once to the operator where a certificate was refused.

A certificate that does not verify is the one failure that may be an attack, so it is a warning on both directions. All
other failures on accepted connections are the daily noise of the internet: counted, logged at debug.
A server that is asked every few seconds whether it is back is told of when it fails in another way, not each time.
"""

from collections import Counter
from functools import lru_cache
from typing import Final, Protocol

from attrs import frozen
from twisted.logger import Logger

from gateway.config.model import Side
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind, Observation
from gateway.transport.flow import Address, FailureKind, Flow, TransportFailure
from gateway.transport.tls import failures
from gateway.transport.wrong_port import WrongPorts

log = Logger()


_OBSERVED: Final = {
    FailureKind.TLS: Kind.TLS_FAILED,
    FailureKind.HANDSHAKE: Kind.TLS_FAILED,
    FailureKind.CERTIFICATE: Kind.CERTIFICATE,
}
"""Failures of peers that came to us, for the defence. One that hangs up, or says nothing, may only look whether the
port is open. One that does not take our certificate is a phone that nobody has given our authority yet: thirty of them
in an office try again every few seconds, and a ban would outlast the mistake."""

REMEMBERED = 1000
"""Servers with a last failure that is remembered."""
TERMS = 500
"""Terms that handshakes are counted by; those of more are counted without a peer."""


@frozen
class TlsAgreed:
    """The terms of a connection that both ends agreed on, by OpenSSL's names."""

    version: str
    """Such as TLSv1.3."""
    cipher: str
    """Such as TLS_AES_256_GCM_SHA384."""


@lru_cache(maxsize=64)
def agreed(version: str, cipher: str) -> TlsAgreed:
    """One value for all connections alike."""
    return TlsAgreed(version, cipher)


class Shaken(Protocol):
    """The connection, as far as this module cares."""

    tls: TlsAgreed | None

    @property
    def is_client(self) -> bool: ...

    @property
    def name(self) -> str | None: ...

    @property
    def peer(self) -> str: ...

    @property
    def side(self) -> Side: ...

    @property
    def remote(self) -> Address: ...


class Handshakes:
    """Counts and logs; one for the transport layer."""

    def __init__(self, metrics: Metrics, wrong_ports: WrongPorts) -> None:
        self._wrong_ports = wrong_ports
        self._counter = metrics.tls_handshakes
        self._observations = metrics.observations
        self._failing: dict[str, TransportFailure] = {}  # servers, and how they failed last
        self.by_terms: Counter[tuple[Side, str, TlsAgreed]] = Counter()
        """Handshakes since the start by side, the name of a server that we began them with (empty: the peer began), and
        the terms that were agreed on."""
        self._failed_clients: dict[str, str] = {}
        """Hosts that began a connection on the phones' side, and how their last handshake failed."""
        self.old_versions = 0
        """Handshakes that failed since the peer speaks no version of TLS that we do."""

    def succeeded(self, flow: Shaken) -> None:
        """The handshake is complete and the peer verified."""
        self._counter.labels(flow.side.value, "ok").inc()
        if flow.tls is not None:
            key = (flow.side, flow.name or "", flow.tls)
            is_room = key in self.by_terms or len(self.by_terms) < TERMS
            self.by_terms[key if is_room else (flow.side, "", flow.tls)] += 1
        if flow.is_client:
            self._failing.pop(flow.peer, None)
        elif self._failed_clients:
            self._failed_clients.pop(flow.remote.host, None)

    def failed(self, flow: Shaken, failure: TransportFailure) -> None:
        """The connection ended before it was ready."""
        kind = FailureKind.TIMEOUT if failure.kind is FailureKind.SILENT else failure.kind
        self._counter.labels(flow.side.value, kind.value).inc()
        self.old_versions += failures.lacks_our_versions(failure)
        observed = _OBSERVED.get(failure.kind)
        if (
            observed is not None
            and not flow.is_client
            and self._observations.is_on
            and not failures.distrusts_us(failure)
        ):
            seen = Observation(observed, flow.remote.host, True, flow.side.value, "tls", line=failure.reason)
            self._observations.note(seen)
        if not flow.is_client and flow.side is Side.PHONES and failure.kind in _OBSERVED:
            self._note_client(flow.remote.host, failure.reason)
        is_news = not flow.is_client or self._is_news(flow.peer, failure)
        if failure.kind is FailureKind.CERTIFICATE and is_news:
            told = "certificate of {peer} refused: {reason}" + ("; {found}" if failure.found else "")
            log.warn(told, peer=flow.peer, reason=failure.reason, found=failure.found)
        elif flow.is_client and is_news:
            log.info("no TLS with {peer}: {reason}", peer=flow.peer, reason=failure.reason)
        else:
            log.debug("no TLS with {peer}: {reason}", peer=flow.peer, reason=failure.reason)

    def not_tls(self, flow: Flow, is_client: bool, data: bytes) -> None:
        """The latest bytes of a peer that were no TLS: of a client that has not shaken hands, they may be SIP."""
        if not is_client and not flow.is_connected:
            self._wrong_ports.look(flow, data)

    def client_failure(self, host: str) -> str:
        """How the last handshake failed that a phone of this host began; empty: it did not, or nobody knows."""
        return self._failed_clients.get(host, "")

    def forget_client(self, host: str) -> None:
        """Count failures of a phone's host anew."""
        self._failed_clients.pop(host, None)

    def _note_client(self, host: str, reason: str) -> None:
        self._failed_clients.pop(host, None)
        self._failed_clients[host] = reason
        if len(self._failed_clients) > REMEMBERED:
            del self._failed_clients[next(iter(self._failed_clients))]

    def _is_news(self, peer: str, failure: TransportFailure) -> bool:
        if self._failing.get(peer) == failure:
            return False
        if len(self._failing) >= REMEMBERED:
            self._failing.clear()
        self._failing[peer] = failure
        return True
