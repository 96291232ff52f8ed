"""The values and the one seam of the transport layer: targets, transports, failures and flows.

Not here: sockets, certificates, name resolution.

A Flow is one way to reach one peer: for UDP the pair (listener, remote address), for TCP and TLS one connection
(RFC 5626 section 1). Requests arrive with the Flow that they came over, and their responses go back through it; new
requests go over a Flow that TransportLayer.flow_to() gives.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import lru_cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from attrs import field, frozen
from twisted.logger import Logger

from gateway.base.rate import source_of
from gateway.config.model import Listener, Provider, Side
from gateway.transport.allowance import UNBOUNDED

log = Logger()

SYSTEM_TRUST: Literal["system"] = "system"

UDP_MESSAGE_LIMIT = 1300
"""Bytes: a longer request goes over a congestion controlled transport (RFC 3261 section 18.1.1)."""


class Transport(StrEnum):
    """The transports, as listeners, Via and metrics have them."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"
    WSS = "wss"
    """WebSockets over TLS (RFC 7118): nobody is reached by it but over the connection that it began."""

    def __init__(self, name: str) -> None:
        self.is_reliable = name != "udp"
        """Whether it retransmits by itself (RFC 3261 section 17)."""
        self.is_secure, self.is_web = name in ("tls", "wss"), name == "wss"
        self.parameter = "ws" if name == "wss" else name
        """The `transport` parameter of a URI (RFC 3261 section 19.1.1, RFC 7118 section 5.2)."""
        self.default_port = {"tls": 5061, "wss": 443}.get(name, 5060)


@lru_cache(maxsize=1024)
def is_ip_address(host: str) -> bool:
    """Whether the host is a numeric IPv4 or IPv6 address (without brackets)."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@frozen
class Address:
    """A host (name or number, IPv6 without brackets) and a port."""

    host: str
    port: int
    _text: str = field(default="", init=False, eq=False, repr=False)  # once it was asked for: few of a flood's are

    def __str__(self) -> str:
        if not self._text:
            object.__setattr__(self, "_text", f"{self.bracketed_host}:{self.port}")
        return self._text

    @property
    def bracketed_host(self) -> str:
        """The host as URIs and Via write it: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that str() wrote; ValueError for anything else."""
        host, colon, port = text.rpartition(":")
        if not colon or not host:
            raise ValueError(f"not host:port: {text!r}")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


@frozen
class TlsTerms:
    """The terms of TLS as a client; two different terms never share a connection.

    trust is "system" or a PEM file of authorities; certificate (full chain) and private_key are our client identity.
    """

    trust: str | Path = SYSTEM_TRUST
    certificate: Path | None = None
    private_key: Path | None = None
    allow_wildcards: bool = False
    common_name: bool = False
    """Whether the common name counts in a certificate without subject alternative names (RFC 5922 section 7.1)."""
    minimum: str = "1.2"
    """The least version of TLS."""
    ciphers: str | None = None
    """Of TLS 1.2, in OpenSSL's format; None is ours (tls/contexts.py)."""
    own_host: str | None = None
    """Our name for Via and Contact; None: the listener's."""

    @classmethod
    def of(cls, provider: Provider) -> Self:
        """The terms that the configuration has for a provider."""
        identity = (provider.trust, provider.certificate, provider.private_key)
        names = (provider.allow_wildcards, provider.common_name)
        return cls(*identity, *names, provider.tls_minimum, provider.ciphers, provider.contact_host)

    @property
    def files(self) -> set[Path]:
        """The files that are read for them."""
        return {file for file in (self.trust, self.certificate, self.private_key) if isinstance(file, Path)}


@frozen
class Target:
    """One place to send a request to (RFC 3263). name is the ORIGINAL domain or IP address, the one that the peer's
    certificate must be for (RFC 5922 section 4), not the one an SRV record led to."""

    transport: Transport
    address: Address
    name: str


class FailureKind(StrEnum):
    """Why a message did not get through. A certificate that does not verify never counts as lack of TLS."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    SILENT = "silent"
    """The connection comes up, and no handshake follows: the peer hangs, or its port is for something else."""
    CERTIFICATE = "certificate"
    TLS = "tls"
    """An answer came that is not TLS."""
    HANDSHAKE = "handshake"
    """The peer speaks TLS, but not on terms that both sides take, or its bytes come damaged."""
    DNS = "dns"
    CLOSED = "closed"


@frozen
class TransportFailure:
    """A failure of a flow, with a reason for people in our words."""

    kind: FailureKind
    reason: str
    found: str = ""
    """More out of a peer's certificate, which are its words: for the log, as a field of its own."""


@frozen
class PeerIdentity:
    """The subject alternative names of a certificate that was verified (RFC 5922): nothing in it is a mere claim.

    All the same it is an authority's word, which ``gateway.security.vouching`` takes for some providers alone.
    """

    uris: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    trust: str | Path | None = None
    """The authorities that it was verified against: of our terms, or of the listener that the peer connected to."""
    authority: str = ""
    """The fingerprint of the one among them that its chain ends at, where the peer began the connection."""


@frozen
class FlowKey:
    """Names one flow and can be stored. connection tells connections apart that share a remote address, so that a
    stored key never finds the connection of a client that got the same port later (RFC 5626 section 5.2); 0 for UDP."""

    listener: str
    transport: Transport
    remote: Address
    connection: int = 0
    _text: str = field(default="", init=False, eq=False, repr=False)  # once it was asked for

    @property
    def source(self) -> str:
        """The source that its peer belongs to: see ``Flow.source``."""
        return source_of(self.remote.host)

    def __str__(self) -> str:
        if not self._text:
            connection = f"#{self.connection:x}" if self.connection else ""
            object.__setattr__(self, "_text", f"{self.listener}/{self.transport}/{self.remote}{connection}")
        return self._text

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that str() wrote; ValueError for anything else."""
        listener, transport, end = text.rsplit("/", 2)
        remote, _, connection = end.partition("#")
        return cls(listener, Transport(transport), Address.parse(remote), int(connection or "0", 16))


Watcher = Callable[[TransportFailure], None]


class Watchers:
    """The functions to call, once, when something has ended."""

    __slots__ = ("_by_token",)

    def __init__(self) -> None:
        self._by_token: dict[object, Watcher] = {}

    def add(self, lost: Watcher) -> Callable[[], None]:
        """Keep lost until tell(); returns a function that forgets it."""
        token = object()
        self._by_token[token] = lost
        return partial(self._by_token.pop, token, None)  # type: ignore[return-value]

    def tell(self, failure: TransportFailure) -> None:
        """Call everybody and forget them."""
        watchers, self._by_token = self._by_token, {}
        for lost in [*watchers.values()]:  # those that are forgotten meanwhile are told all the same
            try:
                lost(failure)
            except Exception:  # the guard: one watcher's bug does not keep the others from hearing
                log.failure("a watcher of a flow failed")


@lru_cache(maxsize=256)
def _own_words(transport: Transport, advertised: str) -> tuple[str, str]:
    """The begin of a Via of ours and the end of a Contact. Flows are as many as addresses that send, and share them."""
    end = "" if transport is Transport.UDP else f";transport={transport.parameter}"
    return f"SIP/2.0/{transport.upper()} {advertised}", advertised + end


class Flow(ABC):
    """One way to reach one peer. A flow that is still connecting queues messages (bounded)."""

    # fmt: off
    __slots__ = (
        "__weakref__", "_watchers", "advertised", "allowance", "contact", "identity", "is_reliable", "is_secure",
        "listener", "local", "name", "remote", "sent_by", "side", "source", "transport", "valid_until",
    )
    # fmt: on

    def __init__(self, listener: Listener, local: Address, remote: Address, advertised: Address) -> None:
        self.listener = listener
        self.side: Side = listener.side
        """Which side of the gateway the peer is on."""
        self.transport = transport = Transport(listener.transport)
        self.is_reliable, self.is_secure = transport.is_reliable, transport.is_secure
        self.local = local
        self.remote = remote
        self.source = source_of(remote.host)
        """The sender, as far as limits for one sender go: an address, or the /64 that one subscriber has (IPv6)."""
        self.advertised = advertised  # for Via sent-by and Contact
        self.sent_by, self.contact = _own_words(transport, str(advertised))
        self.identity: PeerIdentity | None = None  # only a verified one
        self.name: str | None = None  # the peer that was meant; None for a connection that the peer began, and for UDP
        self.valid_until: datetime | None = None  # of the certificate that a server showed
        self.allowance = UNBOUNDED  # the bytes that may be sent to the peer
        self._watchers: Watchers | None = None

    @property
    def terms(self) -> str:
        """The TLS version and cipher suite of this hop, for people; empty where it has none, or none yet."""
        return ""

    @property
    def message_limit(self) -> int | None:
        """Bytes that a request may have on this flow; None: no limit of the transport (RFC 3261 section 18.1.1)."""
        return None if self.is_reliable else UDP_MESSAGE_LIMIT

    def wider(self, size: int) -> "Flow | None":
        """The flow that a request of so many bytes should take instead, to the same place; None: this one will do, or
        there is no other (RFC 3261 section 18.1.1)."""
        return None

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """False once the flow has failed or ended; a connecting flow is open."""

    @property
    def is_connected(self) -> bool:
        """Whether a connection is up, which may have died unnoticed; UDP has none."""
        return False

    @property
    @abstractmethod
    def key(self) -> FlowKey:
        """The key by which this flow is found again, as long as it is open."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send one message. Never raises: the watchers hear of a failure."""

    @abstractmethod
    def close(self) -> None:
        """End the connection after the queue is sent; nothing to do for UDP."""

    def moved(self) -> "Flow | None":
        """The flow to the same peer from the address that its listener has now; None where it has no other, and for a
        connection, which ended with the address."""
        return None

    def at_port(self, port: int) -> "Flow":
        """The flow to another port of the same peer; a connection stays the one it is (RFC 3261 section 18.2.2)."""
        return self

    def watch(self, lost: Watcher) -> Callable[[], None]:
        """Call lost once when the flow fails or ends; returns a function that stops the watch. A flow that is already
        lost does not call: ask is_open first."""
        if self._watchers is None:
            self._watchers = Watchers()
        return self._watchers.add(lost)

    def _tell_watchers(self, failure: TransportFailure) -> None:
        watchers, self._watchers = self._watchers, None
        if watchers is not None:
            watchers.tell(failure)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>"
