"""Nonces for digest challenges: made without keeping anything, recognised later, and never accepted twice.

    nonce = base64url( issued, microseconds: 8 bytes | random: 8 bytes | HMAC(secret; both, purpose): 16 bytes )

A nonce needs no memory until somebody has answered it rightly: then its highest nonce count is kept, so that the same
count, or a lower one, is a replay (RFC 7616 section 3.4). The table is bounded. When it is full the older half is
dropped, and every nonce as old as those is from then on too old: forgetting makes a nonce useless, never
fresh again.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Callable
from enum import StrEnum

import attrs

_HEAD = struct.Struct(">Q8s")
_MAC_BYTES = 16
_MICROSECONDS = 1_000_000
_CLOCK_SLACK = 5.0
"""Seconds that a nonce may seem to come from the future, after the clock was set back."""


class NonceState(StrEnum):
    """The standing of a nonce that somebody sent."""

    FRESH = "fresh"
    STALE = "stale"
    """Ours, but too old: its sender may try again with a new one (stale=true)."""
    FOREIGN = "foreign"
    """Not made here for this purpose."""


@attrs.define
class _Used:
    issued: int
    count: int


class Nonces:
    """Makes nonces and knows which were used how often. ``random`` gives that many unpredictable bytes."""

    def __init__(
        self, secret: bytes, random: Callable[[int], bytes], lifetime: float = 300.0, capacity: int = 20_000
    ) -> None:
        self._secret = secret
        self._random = random
        self._lifetime = lifetime  # seconds
        self._capacity = capacity
        self._used: dict[str, _Used] = {}
        self._oldest_usable = 0  # microseconds since the epoch; older nonces may have been forgotten

    def make(self, purpose: str, now: float) -> str:
        """A new nonce for ``purpose`` (realm and algorithm); ``now`` in seconds since the epoch."""
        head = _HEAD.pack(int(now * _MICROSECONDS), self._random(8))
        return base64.urlsafe_b64encode(head + self._mac(head, purpose)).decode("ascii")

    def state(self, nonce: str, purpose: str, now: float) -> NonceState:
        """The standing of ``nonce``, its count aside."""
        issued = self._issued(nonce, purpose)
        if issued is None:
            return NonceState.FOREIGN
        age = now - issued / _MICROSECONDS
        usable = issued >= self._oldest_usable and -_CLOCK_SLACK <= age <= self._lifetime
        return NonceState.FRESH if usable else NonceState.STALE

    def use(self, nonce: str, purpose: str, count: int) -> bool:
        """Note that ``nonce`` was rightly answered with that nonce count; False when that is a replay.

        To be called only after the answer was found right: otherwise anybody could use up another's counts.
        """
        issued = self._issued(nonce, purpose)
        if issued is None or issued < self._oldest_usable or count < 1:
            return False
        used = self._used.setdefault(nonce, _Used(issued, 0))
        if count <= used.count:
            return False
        used.count = count
        if len(self._used) > self._capacity:
            self._forget_older_half()
        return True

    def __len__(self) -> int:
        return len(self._used)

    def _forget_older_half(self) -> None:
        by_age = sorted(self._used.items(), key=lambda item: item[1].issued)
        dropped = by_age[: len(by_age) // 2 + 1]
        self._oldest_usable = dropped[-1][1].issued + 1
        self._used = {nonce: used for nonce, used in by_age if used.issued >= self._oldest_usable}

    def _issued(self, nonce: str, purpose: str) -> int | None:
        """When it was made, in microseconds since the epoch; None unless we made it for ``purpose``."""
        try:
            data = base64.b64decode(nonce.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError):
            return None
        head, mac = data[: _HEAD.size], data[_HEAD.size :]
        if len(head) != _HEAD.size or not hmac.compare_digest(mac, self._mac(head, purpose)):
            return None
        # Base64 has several spellings of the same bytes; a second one would be a second entry in the table of counts.
        if base64.urlsafe_b64encode(data).decode("ascii") != nonce:
            return None
        return int(_HEAD.unpack(head)[0])

    def _mac(self, head: bytes, purpose: str) -> bytes:
        return hmac.new(self._secret, head + purpose.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()[
            :_MAC_BYTES
        ]
