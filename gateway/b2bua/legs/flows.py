"""The flow of a leg: when another one may take its place, and over which a request of the peer may come.

The tags of a dialog let a peer in (RFC 3261 section 12.2.2). Behind TLS they are secret; in clear everybody on the way
knows them. So a dialog never moves from a flow on TLS to one in clear, and on the phones' side one in clear stays with
its host.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.config.model import Side
from gateway.transport.flow import Flow

Reopen = Callable[[], Flow | None]
"""Opens another flow to a peer; None where there is no other way."""


def kept_open(own: Flow, reopen: Reopen) -> Flow:
    """The leg's flow, or one in its place when its connection is gone; never one that protects less."""
    if own.is_open:
        return own
    other = reopen()
    return own if other is None or not protects_as(own, other) else other


def after_request(own: Flow, other: Flow) -> Flow:
    """The leg's flow once a request of its dialog has come over ``other``: that one, where the old one leads nowhere.

    Its connection is gone, or the NAT before a phone has forgotten the port and given another.
    """
    replaces = not own.is_open and protects_as(own, other)
    return other if replaces or _is_rebound(own, other) else own


def may_come_over(own: Flow, other: Flow) -> bool:
    """Whether a request may come over another flow than its dialog's own.

    The tags of a dialog in clear are known to everybody on the way, so on the phones' side its host must be the same (a
    NAT may change the port). Behind TLS the tags are secret, and a phone may come from another network.
    """
    return own.side is Side.PROVIDER or own.is_secure or own.remote.host == other.remote.host


def protects_as(own: Flow, other: Flow) -> bool:
    """Whether another flow protects no less than the dialog's own: an answer over one that does would tell its keys to
    everybody on the way."""
    return other.is_secure or not own.is_secure


def _is_rebound(own: Flow, other: Flow) -> bool:
    """Whether a phone comes over UDP from another port of its host."""
    same_way = other.listener == own.listener and other.remote.host == own.remote.host
    return other.side is Side.PHONES and not other.is_reliable and same_way and other.remote != own.remote
