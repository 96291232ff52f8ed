"""The caller's offer, as the relay has rewritten it for several phones: once for all of one form.

    phones in clear      one offer for all of them
    phones over TLS      one each: a phone is not given the key under which another is sent the caller's voice

The relay is asked for one form after the other: which of them an answer is to, the exchange tells it again
(``across/exchange``).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.b2bua.across.exchange import first_offer
from gateway.b2bua.across.media_path import MediaPath
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.media import has_sdp
from gateway.media.relay import SdpWish

Given = Callable[[bytes], None]


class SharedOffers:
    """The offer of one caller, in each form that is wanted."""

    def __init__(self, path: MediaPath, caller: CallerLeg) -> None:
        self._path = path
        self._caller = caller
        self._written: dict[SdpWish, bytes] = {}
        self._wanted: dict[SdpWish, list[Given]] = {}

    def give(self, wish: SdpWish, then: Given) -> None:
        """Call `then` with the offer in that form, in the order of all that crosses; without any where the caller's
        INVITE has none."""
        written = self._written.get(wish) if has_sdp(self._caller.invite) else b""
        if written is not None:
            known = written
            self._path.follow(lambda: then(known))
            return
        self._wanted.setdefault(wish, []).append(then)
        if [*self._wanted] == [wish] and len(self._wanted[wish]) == 1:
            self._ask(wish)

    def forget(self) -> None:
        """Give nothing more."""
        self._wanted.clear()

    def _ask(self, wish: SdpWish) -> None:
        first_offer(self._path, self._caller, wish, self._caller.invite.body, lambda sdp: self._came(wish, sdp))

    def _came(self, wish: SdpWish, sdp: bytes) -> None:
        self._written[wish] = sdp
        waiting = self._wanted.pop(wish, [])
        if self._wanted:
            self._ask(next(iter(self._wanted)))
        for then in waiting:
            then(sdp)
