"""The outcome of TLS handshakes: counted, and told once to the operator where a certificate was refused.

A certificate that does not verify is the one failure that may be an attack, so it is a warning on both directions. All
other failures on accepted connections are the daily noise of the internet: counted, logged at debug.
A server that is asked every few seconds whether it is back is told of when it fails in another way, not each time.
"""

from functools import lru_cache
from typing import Protocol

from attrs import frozen
from twisted.logger import Logger

from gateway.config.model import Side
from gateway.observe.metrics import Metrics
from gateway.transport.flow import FailureKind, Flow, TransportFailure
from gateway.transport.wrong_port import WrongPorts

log = Logger()


REMEMBERED = 1000
"""Servers with a last failure that is remembered."""


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

    @property
    def is_client(self) -> bool: ...

    @property
    def peer(self) -> str: ...

    @property
    def side(self) -> Side: ...


class Handshakes:
    """Counts and logs; one for the transport layer."""

    def __init__(self, metrics: Metrics, wrong_ports: WrongPorts) -> None:
        self._wrong_ports = wrong_ports
        self._counter = metrics.tls_handshakes
        self._failing: dict[str, TransportFailure] = {}  # servers, and how they failed last

    def succeeded(self, flow: Shaken) -> None:
        """The handshake is complete and the peer verified."""
        self._counter.labels(flow.side.value, "ok").inc()
        if flow.is_client:
            self._failing.pop(flow.peer, None)

    def failed(self, flow: Shaken, failure: TransportFailure) -> None:
        """The connection ended before it was ready."""
        kind = FailureKind.TIMEOUT if failure.kind is FailureKind.SILENT else failure.kind
        self._counter.labels(flow.side.value, kind.value).inc()
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

    def _is_news(self, peer: str, failure: TransportFailure) -> bool:
        if self._failing.get(peer) == failure:
            return False
        if len(self._failing) >= REMEMBERED:
            self._failing.clear()
        self._failing[peer] = failure
        return True
