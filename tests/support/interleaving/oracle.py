"""The protection of a call as a listener on its wires would tell it, from the bytes alone.

    taps on every flow, the relay's log -> claim()        the verdict that the bytes bear out
                                        -> faults()       bytes that should not be there, whatever the verdict says

Nothing of the gateway's is asked: a message is its text, a flow is secure or not and somebody's, and media are what the
relay was told: an offer and its answer, in clear where not both sides of a stream have a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

from gateway.config.model import Side
from tests.support.interleaving.descriptions import lines_of, ports_of
from tests.support.interleaving.relay import Exchange, is_of_relay

REFUSED: Final = re.compile(rb"SIP/2\.0 [3-6]\d\d ")


@attrs.frozen
class Wire:
    """One flow, as its taps know it."""

    side: Side
    is_secure: bool
    is_verified: bool
    """Whether the far end proved the name of the provider."""
    is_stranger: bool


@attrs.frozen
class Tapped:
    """One message on a wire."""

    at: float
    wire: Wire
    from_gateway: bool
    data: bytes

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def branch(self) -> bytes:
        found = re.search(rb"^Via:[^\n]*branch=([^;\s]+)", self.data, re.M)
        return found[1] if found else b""

    @property
    def is_first_invite(self) -> bool:
        """Whether it begins a dialog."""
        return self.data.startswith(b"INVITE ") and not re.search(rb"^To:[^\n]*;tag=", self.data, re.M)

    @property
    def is_answer(self) -> bool:
        """Whether it is the 2xx to an INVITE."""
        return self.data.startswith(b"SIP/2.0 2") and re.search(rb"^CSeq: \d+ INVITE", self.data, re.M) is not None

    @property
    def is_response(self) -> bool:
        return self.data.startswith(b"SIP/2.0")

    @property
    def is_refusal(self) -> bool:
        return REFUSED.match(self.data) is not None


@attrs.frozen
class Heard:
    """All that could be heard of one side of a call."""

    signalling_secure: bool
    media: bool | None
    """Whether all media were SRTP at every moment; None where there were none."""


class Oracle:
    """Reads the taps of one call that has ended."""

    def __init__(self, taps: list[Tapped], exchanges: list[Exchange], clear_control: Side | None) -> None:
        self._taps = taps
        self._exchanges = exchanges
        self._clear_control = clear_control

    def claims(self) -> set[str]:
        """The verdicts that an answered call deserves: the one of its worst moment, and where the bytes leave it open
        the weaker ones: no media flow at the end, or the gateway never heard what the relay made of an answer."""
        carried = [one for one in self._exchanges if one.is_carried_out]
        known = [one for one in carried if one.is_told or media_of(one, Side.PROVIDER) is False]
        unknown = [one for one in self._exchanges if one.is_carried_out or not one.is_told]
        return {claim for some in (carried, known, unknown) for claim in self._claims_by(some)}

    def _claims_by(self, exchanges: list[Exchange]) -> Iterator[str]:
        provider, phone = self._heard(Side.PROVIDER, exchanges), self._heard(Side.PHONES, exchanges)
        yield _claim(provider, phone)
        if self._has_no_media(exchanges):
            yield _claim(attrs.evolve(provider, media=provider.media and None), phone)
            yield _claim(provider, attrs.evolve(phone, media=phone.media and None))

    def _has_no_media(self, exchanges: list[Exchange]) -> bool:
        """Whether none may flow at the end: by the last exchange, or as none has come since the callee's answer."""
        attempt = max(index for index, tap in enumerate(self._taps) if tap.is_first_invite)
        answers = (index for index, tap in enumerate(self._taps) if index > attempt and tap.is_answer)
        since = next(answers, attempt)
        last = [one for one in exchanges if one.messages > since]
        return bool(exchanges) and (not last or media_of(last[-1], Side.PROVIDER) is None)

    def _heard(self, side: Side, exchanges: list[Exchange]) -> Heard:
        media = [state for one in exchanges if (state := media_of(one, side)) is not None]
        encrypted = None if not media else all(media)
        if encrypted and self._clear_control is side:
            encrypted = False
        return Heard(all(_is_private(tap.wire) for tap in self._taken(side)), encrypted)

    def faults(self, *, must_be_encrypted: bool) -> Iterator[str]:
        """Bytes that may not be on any wire; under ``required`` nothing of the provider's side is to be heard."""
        yield from self._followed_strangers()
        yield from self._leaked_descriptions()
        if must_be_encrypted:
            yield from self._heard_although_required()

    def _followed_strangers(self) -> Iterator[str]:
        for tap in self._taps:
            if tap.wire.is_stranger and tap.from_gateway and not (tap.is_refusal and not tap.body):
                yield f"a stranger was sent {tap.data[:40]!r}"
        strange = {port for tap in self._taps if tap.wire.is_stranger for port in ports_of(tap.body)}
        for one in self._exchanges:
            if strange & (ports_of(one.offered) | ports_of(one.answered)):
                yield "a stranger's description was carried out"

    def _leaked_descriptions(self) -> Iterator[str]:
        for tap in self._taps:
            if tap.from_gateway and any(not is_of_relay(port) for port in ports_of(tap.body)):
                yield "a description crossed that the relay did not make"
        keys = [key for tap in self._of(Side.PROVIDER) for line in lines_of(tap.body) for key in line.keys]
        if any(key in tap.data for tap in self._of(Side.PHONES) for key in keys):
            yield "a key of the provider's side is on the phones' side"

    def _heard_although_required(self) -> Iterator[str]:
        for one in self._exchanges:
            if one.is_carried_out and media_of(one, Side.PROVIDER) is False:
                yield f"media in clear with the provider, at {one.at:.1f} s"
        if not all(tap.wire.is_secure for tap in self._taken(Side.PROVIDER)):
            yield "signalling in clear with the provider"

    def _of(self, side: Side) -> Iterator[Tapped]:
        return (tap for tap in self._taps if tap.wire.side is side)

    def _taken(self, side: Side) -> Iterator[Tapped]:
        """The messages that counted: those of the gateway but its refusals, and those that it did not refuse."""
        refused: set[bytes] = set()
        taken: set[bytes] = set()
        for tap in self._of(side):
            if tap.from_gateway and tap.is_response:
                (refused if tap.is_refusal else taken).add(tap.branch)
                if tap.data.startswith(b"SIP/2.0 100 "):
                    taken.discard(tap.branch)
        for tap in self._of(side):
            if tap.wire.is_stranger:
                continue  # faults() tells whether anything came of it
            if tap.wire.is_secure or tap.branch not in refused - taken:
                yield tap


def media_of(exchange: Exchange, side: Side) -> bool | None:
    """Whether an exchange makes all media of one side SRTP; None where it makes none."""
    if exchange.toward is side:
        offer, answer = exchange.shown, exchange.answered
    else:
        offer, answer = exchange.offered, exchange.returned
    pairs = [pair for pair in zip(lines_of(offer), lines_of(answer), strict=False) if pair[0].port and pair[1].port]
    return all(one.can_be_srtp and other.can_be_srtp for one, other in pairs) if pairs else None


def _is_private(wire: Wire) -> bool:
    return wire.is_secure and (wire.side is Side.PHONES or wire.is_verified)


def _claim(provider: Heard, phone: Heard) -> str:
    if provider.signalling_secure and provider.media is True:
        is_full = phone.signalling_secure and phone.media is True
        return "ENCRYPTED" if is_full else "ENCRYPTED_TO_PROVIDER"
    if provider.signalling_secure:
        return "SIGNALLING_ONLY"
    return "MEDIA_ONLY_WEAK" if provider.media is True else "CLEAR"
