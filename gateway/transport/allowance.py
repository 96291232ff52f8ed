"""Bytes that may go to a host over UDP before it has proved that it is there: three for each byte that came from it.

    datagram of a host -> earn -> arrivals ... flow.send -> pay -> the datagram goes, or is withheld

Anybody can write the address of a third party into a datagram, and all that the layers above send because of it goes to
that third party. QUIC bounds this in the same way (RFC 9000 section 8.1). The bound stands at the socket and not in the
layers above: it holds for a refusal and its copies (timer G of RFC 3261 section 17.2.1), for a 2xx and a NOTIFY that
nobody acknowledges, and for all that is added later.

A client that is there loses nothing. It repeats its request while it hears nothing (timers A and E), and each copy
earns the answer again. So that it goes on repeating an INVITE, a 100 waits for the first copy
(gateway/transaction/server.py). Once it hears that it rings it repeats nothing, so the bytes of one answer are kept for
that (the same). The ACK of the first refusal or answer is the proof.

Proofs, each of them something that a forger does not see since it goes to the host:
- the handshake of TCP or TLS: their flows have no such bound;
- a response with the branch of a request of ours, 96 random bits (gateway/transaction/layer.py);
- an ACK with the To tag of a refusal, a salted hash that the host goes into (the same), and a request or an ACK within
  a dialog, whose tag of ours is random (gateway/ingress/core.py);
- credentials in a REGISTER that the provider took: its nonce went to the host (gateway/registrar/registrar.py).
A provider's target has no bound either: the configuration names it, no datagram does.

No proofs are: an address on an access list, the very one that a forger writes; credentials that nobody has verified,
since some providers give one nonce to all that ask within a second; a keep-alive; a binding without credentials. But a
phone that is bound without has to ring: each request that the provider sends it lets it have MOST bytes.

A proof is of a host, and is good as long as the listener remembers the host. A forger that takes the address of a phone
that is really there gets as much toward it as that phone would: limits of rates are for that.
"""

from typing import Final

PER_BYTE: Final = 3
ANSWER: Final = 1_300
"""Bytes of a 2xx with SDP, for which provisional responses leave room; fewer for that of a short INVITE."""
MOST: Final = 16 * 1024
"""Bytes that a host can have left: a request or a 2xx of 1,300 bytes and its ten copies. A host that sends much and is
answered little does not save up for its forger."""


class Allowance:
    """The bytes that one host may be sent."""

    __slots__ = ("is_proved", "left")

    def __init__(self, *, is_proved: bool = False) -> None:
        self.is_proved = is_proved
        """Whether the host is there: it may be sent anything."""
        self.left = 0

    def prove(self) -> None:
        """The host is there: it knows something that went to its address alone."""
        self.is_proved = True

    def earn(self, size: int) -> None:
        """A datagram of so many bytes came from the host."""
        left = self.left + PER_BYTE * size
        self.left = left if left < MOST else MOST

    def fill(self) -> None:
        """Somebody else than the host gives cause to send to it."""
        self.left = MOST

    def has_room(self, size: int) -> bool:
        """Whether a datagram of so many bytes may go now."""
        return self.is_proved or size <= self.left

    def pay(self, size: int) -> bool:
        """The same; it is taken off, then."""
        if self.is_proved:
            return True
        if size > self.left:
            return False
        self.left -= size
        return True


UNBOUNDED: Final = Allowance(is_proved=True)
"""That of all connections."""
