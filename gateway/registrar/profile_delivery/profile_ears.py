"""Ears for SIP PnP: one that hears questions to everybody (224.0.1.75), and one that answers from our own address.

    phone --SUBSCRIBE--> 224.0.1.75:5060 -> ProfileEar -> url_for(address) --200, NOTIFY (ProfileMouth)--> phone

A question is answered only where ``url_for`` gives a URL: while an operator has a window open. Of everything else there
is no answer at all. Anybody can ask in another's name, so little is sent for a question: the answer, and the NOTIFY
REPEATS times at most while nobody answers it. One question of a source is dealt with at a time, MOST altogether.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from gateway.registrar.profile_delivery.profile_messages import (
    ProfileAsked,
    ProfilePlace,
    accepted,
    is_answer_to,
    read_asked,
    told_url,
)
from gateway.transport.flow import Address

log = Logger()

GROUP: Final = "224.0.1.75"
"""All SIP servers (RFC 3261 section 10.2.6)."""
PORT: Final = 5060
REPEATS: Final = 3
"""Times that a NOTIFY is sent."""
FIRST_SECONDS: Final = 0.5
"""From the first to the second time; then twice as long (RFC 3261 section 17.1.2.2)."""
MOST: Final = 50
"""Questions that are dealt with at once."""

HostPort = tuple[str, int]
UrlFor = Callable[[ProfileAsked, str], str]
"""The URL for a question from a source; empty: it is told nothing."""


@attrs.define
class _Telling:
    """One NOTIFY that waits for its answer."""

    branch: str
    data: bytes
    place: HostPort
    sent: int = 0
    call: IDelayedCall | None = None


class ProfileMouth(DatagramProtocol):
    """Answers, from a port of our own address."""

    noisy = False

    def __init__(self, url_for: UrlFor, new_token: Callable[[], str], reactor: Any) -> None:
        self._url_for = url_for
        self._new_token = new_token
        self._reactor = reactor
        self._told: dict[str, _Telling] = {}

    def asked(self, data: bytes, place: HostPort) -> None:
        """A datagram to everybody has come. Never raises."""
        if place[0] in self._told or len(self._told) >= MOST:
            return  # it asks again
        asked = read_asked(data)
        url = self._url_for(asked, place[0]) if asked is not None else ""
        if asked is None or not url:
            return
        own: Any = self.transport.getHost()  # type: ignore[union-attr]
        names = ProfilePlace(Address(own.host, own.port), self._new_token(), f"z9hG4bK{self._new_token()}")
        try:
            answer, notify = accepted(asked, names), told_url(asked, names, Address(*place), url)
        except ValueError as error:  # a field of the question cannot stand in a message of ours
            log.debug("a question for a profile cannot be answered: {reason}", reason=error)
            return
        telling = self._told[place[0]] = _Telling(names.branch, notify, place)
        self._write(answer, place)
        self._tell(telling)

    def datagramReceived(self, datagram: bytes, addr: HostPort) -> None:
        """The answer to a NOTIFY; all else is passed over."""
        telling = self._told.get(addr[0])
        if telling is not None and is_answer_to(datagram, telling.branch):
            self._end(telling)

    def stop(self) -> None:
        """Tell nobody any more."""
        for telling in [*self._told.values()]:
            self._end(telling)

    def _tell(self, telling: _Telling) -> None:
        telling.call = None
        if telling.sent >= REPEATS:
            self._end(telling)
            return
        self._write(telling.data, telling.place)
        telling.call = self._reactor.callLater(FIRST_SECONDS * 2**telling.sent, self._tell, telling)
        telling.sent += 1

    def _end(self, telling: _Telling) -> None:
        if telling.call is not None:
            telling.call.cancel()
            telling.call = None
        self._told.pop(telling.place[0], None)

    def _write(self, data: bytes, place: HostPort) -> None:
        transport: Any = self.transport
        try:
            transport.write(data, place)
        except OSError as error:
            log.debug("no profile can be told to {place}: {reason}", place=place[0], reason=error.strerror)


class ProfileEar(DatagramProtocol):
    """Hears questions to everybody, on the network of one address of ours."""

    noisy = False

    def __init__(self, mouth: ProfileMouth, interface: str) -> None:
        self._mouth = mouth
        self._interface = interface

    def startProtocol(self) -> None:  # noqa: N802
        """Join the group on that network alone."""
        transport: Any = self.transport
        joined = transport.joinGroup(GROUP, self._interface)
        told = "phones that ask {group} are not heard: {reason}"
        joined.addErrback(lambda failure: log.error(told, group=GROUP, reason=failure.value))

    def datagramReceived(self, datagram: bytes, addr: HostPort) -> None:
        """A datagram to the group."""
        self._mouth.asked(datagram, (addr[0], addr[1]))
