"""Proof that a check came from where it seems to: a binding request of ours to its source, and the answer; pure.

    check of a new source --question--> the source --asked, and ice.is_answer--> it may be sent to, and be heard

A check that somebody captured can be sent again from another address, and its integrity holds: it proves that its
writer has our password, and nothing of its sender. RFC 8445 section 7.3 has a full agent answer such a check with one
of its own, a triggered check, before it sends media there, and RFC 7675 section 5.1 has it wait for that consent. A
lite agent need not (RFC 8445 section 2.5); this one does, since a full agent answers checks at every time.

The answer needs the browser's password, and can be none of before: its transaction names the source and the time, under
a secret of ours. Nothing is kept for a source that could be asked and has not answered, however many there are. The
price is a browser that answers no checks, which RFC 8445 section 7.3 knows none of. A relay that passes all packets on,
both ways, is a NAT to every end, and gets sealed packets.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from gateway.media.worker.streams.latch import SocketAddress
from gateway.media.worker.web import ice
from gateway.media.worker.web.ice import IceCredentials

SLOT_SECONDS: Final = 5.0
"""An answer counts for this long at least, and for twice as long at most."""

_TRANSACTION_BYTES: Final = 12
_SLOTS: Final = 128
"""Numbers of slots before they begin again: half the values of a byte."""


class AddressProof:
    """The questions of one port. Times in the loop clock's seconds."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def question(
        self, source: SocketAddress, ours: IceCredentials, theirs: IceCredentials, now: float, *, is_nominating: bool
    ) -> bytes:
        """The binding request to `source`, whose check was nominating or not."""
        slot = int(now / SLOT_SECONDS) % _SLOTS
        mark, tie_breaker = self._mark(source, slot * 2 + is_nominating)
        return ice.question(mark, tie_breaker, ours, theirs)

    def asked(self, packet: bytes, source: SocketAddress, now: float) -> bool | None:
        """Whether the check that led to the question was nominating; None where the packet from `source` replies to no
        question that went there in the last seconds. Its writer is not proved by that: see ice.is_answer."""
        transaction = packet[8:20]
        if len(transaction) != _TRANSACTION_BYTES:
            return None
        number = transaction[0]
        slots = int(now / SLOT_SECONDS) - number // 2
        if slots % _SLOTS > 1 or not hmac.compare_digest(self._mark(source, number)[0], transaction):
            return None
        return bool(number % 2)

    def _mark(self, source: SocketAddress, number: int) -> tuple[bytes, bytes]:
        """The transaction, and the tie-breaker beside it (RFC 8445 section 7.1.3). The same for all peers of the port,
        so that one comparison serves them all: the password tells which of them has answered."""
        words = f"{number} {source[1]} {source[0]}".encode()
        digest = hmac.digest(self._secret, words, "sha256")
        return bytes([number]) + digest[: _TRANSACTION_BYTES - 1], digest[16:24]
