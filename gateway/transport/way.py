"""Which other flow speaks for a peer: one that proves at least as much as the flow that the peer has spoken over.

    the peer's own flow              a response may come     a request may come
    a connection in clear (TCP)      over it alone           from its host
    UDP                              from its host           from its host
    TLS, verified                    over TLS with the same  over TLS with the same
                                     proved identity         proved identity
    TLS, not verified                over it alone           over TLS from its host

A request may always come over the flow itself, and never in clear where that is TLS. Why this suffices:

- The branch and the tags of a message are random, and let its receiver in (RFC 3261 sections 8.1.1.7 and 12.2.2). In
  clear everybody on the way knows them, so there they prove nothing, and the host is all that is left. Behind TLS they
  are secret until somebody tells; a verified name proves more than a secret that was told.
- A response has nowhere else to come from than the flow of its request (RFC 3261 section 18.2.2): a server that
  has lost the connection may open another, and where that is one in clear, nothing tells it from a stranger's. The port
  of UDP is left open: some phones answer from another than they listen on.
- A request of the peer may well begin a connection. A NAT gives ports at will, so in clear the port says nothing.

The usual case is the same flow, and costs one comparison.

Here: two flows. Not here: other signs that a peer is the same, its registration or the names of a domain
(gateway/b2bua/legs/flows.py).
"""

from __future__ import annotations

from enum import IntEnum

from gateway.transport.flow import Flow, PeerIdentity, Transport
from gateway.transport.tls.identity import mismatch


class Strength(IntEnum):
    """How much a flow protects and proves; more is stronger."""

    CLEAR = 0
    TLS = 1
    """Encrypted, with nobody in particular."""
    VERIFIED = 2
    """Encrypted, with the holder of a certificate that was verified."""

    @classmethod
    def of(cls, flow: Flow) -> Strength:
        """That of a flow, now."""
        if not flow.is_secure:
            return cls.CLEAR
        return cls.TLS if flow.identity is None else cls.VERIFIED


def may_answer(own: Flow, other: Flow) -> bool:
    """Whether a response to a request that left over ``own`` may come over ``other``."""
    if other is own:
        return True
    if other.side is not own.side or other.transport is not own.transport:
        return False
    match own.transport:
        case Transport.UDP:
            return other.listener.name == own.listener.name and other.remote.host == own.remote.host
        case Transport.TLS | Transport.WSS:
            return is_same_peer(own, other)
        case _:
            return False


def may_ask(own: Flow, other: Flow) -> bool:
    """Whether a request of the peer that has spoken over ``own`` may come over ``other``."""
    if other is own:
        return True
    if other.side is not own.side or (own.is_secure and not other.is_secure):
        return False
    return own.remote.host == other.remote.host if own.identity is None else is_same_peer(own, other)


def is_same_peer(own: Flow, other: Flow) -> bool:
    """Whether both flows are with a peer of the same verified name, on the word of the same authority.

    Of a connection that we began the name is the one that was meant. Of one that a peer began, all its names count.
    """
    mine, its = own.identity, other.identity
    if mine is None or its is None or (mine.trust, mine.authority) != (its.trust, its.authority):
        return False
    if own.name is None:
        return bool(_names(mine)) and _names(mine) <= _names(its)
    return other.name == own.name or mismatch(its, own.name) is None


def _names(identity: PeerIdentity) -> frozenset[str]:
    return frozenset((*identity.uris, *identity.names, *identity.addresses))
