"""The SRTP sessions of one endpoint: one opens packets from its party, one seals packets to it (RFC 3711).

A session lives as long as its key and suite do, through every other change of a description: it holds the rollover
counters (RFC 3711 section 3.3.1), the replay list (section 3.3.2) and the SRTCP index (section 3.2.1). A key that is
left may come back in the same call, with another fork's answer or after a change that failed. Then its session goes on,
since one made anew would take recorded packets again, or repeat a keystream (section 9.1). Before a party is described,
and after the end, everything is refused: there is no state in which a party that is to be secure is sent plaintext.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

from gateway.rtp.srtp import PacketBuffer, Receiver, Sender, Transform
from gateway.sdp.crypto import CryptoAttribute

REMEMBERED_KEYS: Final = 16
"""Of each direction; the one that was used first is forgotten. A key of ours comes back within one offer, if at all."""

_Key: TypeAlias = tuple[str, bytes]
_Session = TypeVar("_Session", Sender, Receiver)


def _refuse(_length: int) -> int:
    """Stands for a session that is not there: the packet is dropped."""
    return -1


class Sessions:
    """The transforms of a packet in `buffer`; None for plain RTP."""

    __slots__ = (
        "_buffer",
        "_keys",
        "_receivers",
        "_senders",
        "protect",
        "protect_control",
        "receiver",
        "sender",
        "unprotect",
        "unprotect_control",
    )

    def __init__(self, buffer: PacketBuffer) -> None:
        self._buffer = buffer
        self.close()

    def close(self) -> None:
        """Let go of the keys."""
        self._keys: tuple[CryptoAttribute | None, CryptoAttribute | None] = (None, None)
        self._senders: dict[_Key, Sender] = {}
        self._receivers: dict[_Key, Receiver] = {}
        self.sender: Sender | None = None
        self.receiver: Receiver | None = None
        self.unprotect: Transform | None = _refuse
        self.unprotect_control: Transform | None = _refuse
        self.protect: Transform | None = _refuse
        self.protect_control: Transform | None = _refuse

    @property
    def is_refusing(self) -> bool:
        """Whether no packet passes, since there are no keys yet, or no more."""
        return self.protect is _refuse

    def refuse(self) -> None:
        """Let nothing pass, neither in clear nor under the keys of before, until there are keys. Those of before may
        come back: their sessions go on then."""
        self._keys = (None, None)
        self.sender = self.receiver = None
        self.unprotect = self.unprotect_control = self.protect = self.protect_control = _refuse

    def apply(self, theirs: CryptoAttribute | None, ours: CryptoAttribute | None) -> bool:
        """Take the keys of a description, both or neither; whether the party's was in use already."""
        before, self._keys = self._keys, (theirs, ours)
        if theirs is None or ours is None:
            self.sender = self.receiver = None
            self.unprotect = self.unprotect_control = self.protect = self.protect_control = None
            return False
        is_kept = self.receiver is not None and _is_same_key(theirs, before[0])
        if not is_kept:
            known = self._receivers.get((theirs.suite, theirs.key))
            is_kept = known is not None  # a party that comes back to its key may have begun to count anew
            self._receive(theirs, known or Receiver(theirs.suite, theirs.key, self._buffer))
        if self.sender is None or not _is_same_key(ours, before[1]):
            known_sender = self._senders.get((ours.suite, ours.key))
            self.sender = known_sender or Sender(ours.suite, ours.key, self._buffer)
            _remember(self._senders, ours, self.sender)
            self.protect, self.protect_control = self.sender.protect, self.sender.protect_control
        return is_kept

    def renew(self) -> None:
        """Make the receiving session anew: it forgets which packets came."""
        theirs = self._keys[0]
        if theirs is not None:
            self._receive(theirs, Receiver(theirs.suite, theirs.key, self._buffer))

    def _receive(self, theirs: CryptoAttribute, receiver: Receiver) -> None:
        _remember(self._receivers, theirs, receiver)
        self.receiver = receiver
        self.unprotect, self.unprotect_control = receiver.unprotect, receiver.unprotect_control


def _remember(sessions: dict[_Key, _Session], of: CryptoAttribute, session: _Session) -> None:
    sessions[of.suite, of.key] = session
    if len(sessions) > REMEMBERED_KEYS:
        del sessions[next(iter(sessions))]


def _is_same_key(one: CryptoAttribute, other: CryptoAttribute | None) -> bool:
    return other is not None and (one.suite, one.key) == (other.suite, other.key)
