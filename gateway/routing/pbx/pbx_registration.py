"""The registration of a PBX's account at its provider, which the gateway keeps up in the PBX's place (RFC 3261 10.2).

    due -> REGISTER -> 401, 407 -> answered, once -> 2xx -> due again well before the grant ends
                    -> 423 -> a longer interval, once
                    -> anything else, or no answer -> told, and due after a while that doubles

The challenge is answered by the rules of calls (security/answering.py): over TLS alone, to the verified provider, for
its own realm. So the password never serves a hop in clear, and a registration that leads there fails and is told of.
A password that the provider has refused is not tried again for REFUSED_SECONDS: providers lock accounts.

The Call-ID is new with each process, and CSeq goes up within it. A registration of the process before is replaced: the
Contact is the same, and names the address that the request leaves from.

Not here: the rounds (app/pbx), the way to the provider (routing/forward.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

import attrs
from twisted.logger import Logger

from gateway.observe.clean_text import clean
from gateway.observe.events import EventName, Events
from gateway.registrar.request import LONGEST_INTERVAL
from gateway.registrar.upstream import PLACEHOLDER, dress, granted, service_route
from gateway.routing.forward import Dressed
from gateway.routing.pbx.pbx import Pbx
from gateway.security.answering import Answers, has_credentials
from gateway.sip.capabilities import SOFTWARE
from gateway.sip.errors import MalformedMessage
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.transaction.client import TransactionFailure, TransactionUser
from gateway.transport.flow import Flow

log = Logger()

RETRY_SECONDS: Final = 30.0
"""After the first failure; twice as long after each further one in a row."""
LONGEST_RETRY: Final = 1800.0
REFUSED_SECONDS: Final = 300.0
"""At least, after the provider has refused the password."""
LOST_SECONDS: Final = 60.0
"""At least, between two registrations because the connection to the provider ended."""
LEAST_SECONDS: Final = 5.0
"""Between two registrations, however short the grant."""
LONGEST_WISH: Final = 3600.0
"""Seconds that a provider may want to be left alone for (Retry-After)."""
_LONGEST_WORDS: Final = 120


class ToProvider(Protocol):
    """The ways that registrations take."""

    def send(self, request: Request, domain: str, user: TransactionUser, dress: Dressed) -> bool:
        """Send a request to the domain's provider; False where there is no such domain any more."""

    def answers(self, domain: str, user: str) -> Answers | None:
        """The answers to challenges that may be given in a user's name; None where there is no such domain any more."""

    def has_password(self, domain: str, user: str) -> bool:
        """Whether the domain's credentials name the user."""

    def places(self) -> object:
        """The addresses that the gateway is reached at by providers: another value once they are others."""


@attrs.frozen
class RegistrationBasis:
    """The rest of the gateway, as a registration sees it."""

    to_provider: ToProvider
    seconds: Callable[[], float]
    """A clock that never goes back."""
    new_token: Callable[[], str]
    events: Events
    chance: random.Random = attrs.field(factory=random.Random)


class PbxRegistration:
    """One account's registration. ``look`` is to be called every second or so."""

    def __init__(self, pbx: Pbx, around: RegistrationBasis) -> None:
        self.pbx = pbx
        self.failures = 0
        """In a row."""
        self.failed = 0
        """In all."""
        self.why = ""
        """Why it failed the last time; empty where it did not."""
        self._around = around
        self._call_id = around.new_token() + around.new_token()
        self._tag = around.new_token()
        self._cseq = 0
        self._interval = pbx.terms.register_seconds
        self._until = 0.0
        self._due = around.seconds() + around.chance.uniform(0.0, 2.0)
        self._begun = 0.0
        self._round: _Round | None = None
        self._way: Flow | None = None
        self._places: object = None

    @property
    def is_registered(self) -> bool:
        """Whether the provider's last grant still holds."""
        return self._until > self._around.seconds()

    @property
    def seconds_left(self) -> float:
        """Of the grant."""
        return max(self._until - self._around.seconds(), 0.0)

    def look(self) -> None:
        """Register where it is time, where our address is another, or where the connection to the provider ended."""
        now = self._around.seconds()
        if self._round is not None:
            return
        has_moved = self.is_registered and self._places != self._around.to_provider.places()
        is_lost = self.is_registered and self._way is not None and not self._way.is_open
        if now >= self._due or has_moved or (is_lost and now - self._begun >= LOST_SECONDS):
            self._begin(now)

    def hurry(self) -> None:
        """Do not wait after a failure: something has changed, such as the password."""
        if self.why:
            self.failures, self._due = 0, self._around.seconds()

    def serve(self, pbx: Pbx) -> bool:
        """Go on for the PBX as the configuration has it now; False where that is another registration: of another
        account or domain, or for another interval."""
        before, now = self.pbx.terms, pbx.terms
        if not now.register or self.pbx.token != pbx.token or before.register_seconds != now.register_seconds:
            return False
        self.pbx = pbx
        return True

    def stop(self) -> None:
        """Hear no more of a request under way."""
        self._round, self._due = None, float("inf")

    def waits_for(self, asked: _Round) -> bool:
        """Whether this round is still under way."""
        return asked is self._round

    def send(self, asked: _Round, credentials: tuple[str, str] | None = None) -> None:
        """Send the REGISTER of a round, or send it once more with credentials."""
        self._cseq += 1
        request = self._request()
        if credentials is not None:
            request.headers.set(*credentials)
        asked.request = request
        if not self._around.to_provider.send(request, self.pbx.terms.domain, asked, asked.leaving):
            self.fail(asked, "its domain is not served any more")

    def accept(self, asked: _Round, response: Response) -> None:
        """The provider's 2xx. Raises MalformedMessage."""
        seconds = granted(response, self.pbx.token, self._interval)
        if not seconds:
            self.fail(asked, "the provider's answer does not list it")
            return
        self.pbx.service_route = service_route(response)
        now, around = self._around.seconds(), self._around
        was = self.is_registered and not self.why
        self._round, self._way, self._until = None, asked.way, now + seconds
        self._due = now + max(seconds * around.chance.uniform(0.6, 0.85), LEAST_SECONDS)
        self.failures, self.why = 0, ""
        if not was:
            name, domain = self.pbx.terms.name, self.pbx.terms.domain
            log.info("phone {phone} is registered at its provider for {seconds} s", phone=name, seconds=seconds)
            around.events.note(EventName.PBX_REGISTERED, who=name, domain=domain, seconds=seconds)

    def lengthen(self, asked: _Round, response: Response) -> None:
        """423: ask for a longer interval, once a round (RFC 3261 section 10.2.8). Raises MalformedMessage."""
        least = response.headers.get("Min-Expires") or ""
        if asked.is_lengthened or not least.isdecimal() or not self._interval < int(least[:9]) <= LONGEST_INTERVAL:
            self.fail(asked, "423: no interval that the provider names can be asked for")
            return
        asked.is_lengthened, self._interval = True, int(least)
        self.send(asked)

    def challenge(self, asked: _Round, response: Response) -> None:
        """401 or 407: answered where that is ours to do."""
        terms, request, way = self.pbx.terms, asked.request, asked.way
        if request is None or way is None or asked.answers is None:
            self.fail(asked, "its domain is not served any more")
            return
        if has_credentials(request):
            self.fail(asked, f"{response.status}: the provider refuses the password of {terms.user}", REFUSED_SECONDS)
            return
        field = asked.answers.answer(request, response, way, True)
        if field is not None:
            self.send(asked, field)
        elif not self._around.to_provider.has_password(terms.domain, terms.user):
            self.fail(asked, f"{response.status}: the credentials of {terms.domain} have no password of {terms.user}")
        else:
            why = "the challenge did not come over TLS from the verified provider, or is for another realm"
            self.fail(asked, f"{response.status}: {why}", REFUSED_SECONDS)

    def fail(self, asked: _Round, why: str, at_least: float = 0.0) -> None:
        """It came to nothing: tried again after a while."""
        if asked is not self._round:
            return
        around, was_well, terms = self._around, not self.why, self.pbx.terms
        self._round = None
        self.failures, self.failed = self.failures + 1, self.failed + 1
        wait = min(RETRY_SECONDS * 2 ** min(self.failures - 1, 10), LONGEST_RETRY) * around.chance.uniform(0.5, 1.0)
        self._due = around.seconds() + max(wait, at_least)
        self.why = why
        if was_well:
            log.warn("phone {phone} is not registered at its provider: {why}", phone=terms.name, why=why)
            around.events.note(EventName.PBX_REGISTRATION_FAILED, who=terms.name, domain=terms.domain, why=why)

    def _begin(self, now: float) -> None:
        answers = self._around.to_provider.answers(self.pbx.terms.domain, self.pbx.terms.user)
        self._begun, self._places = now, self._around.to_provider.places()
        self._round = _Round(self, answers)
        self.send(self._round)

    def _request(self) -> Request:
        domain, us = self.pbx.terms.domain, f"sip:{self.pbx.terms.user}@{self.pbx.terms.domain}"
        headers = Headers(
            (
                ("Max-Forwards", "70"),
                ("From", f"<{us}>;tag={self._tag}"),
                ("To", f"<{us}>"),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Contact", f"<sip:{self.pbx.token}@{PLACEHOLDER}>;expires={self._interval}"),
                ("User-Agent", SOFTWARE),
            )
        )
        return Request("REGISTER", f"sip:{domain}", headers)


@attrs.define(eq=False)
class _Round:
    """One attempt with its challenge, from the first REGISTER to the end: the user of its transactions."""

    registration: PbxRegistration
    answers: Answers | None
    request: Request | None = None
    """The one that was sent last, by the way that it left by."""
    way: Flow | None = None
    is_lengthened: bool = False

    def leaving(self, request: Request, flow: Flow) -> None:
        """Name the flow's address in the Contact. The flow of the last attempt counts."""
        dress(request, flow)
        self.way = flow

    def receive_response(self, response: Response) -> None:
        """A final response settles it, or asks for more."""
        registration = self.registration
        if not registration.waits_for(self):
            return
        try:
            if 200 <= response.status < 300:
                registration.accept(self, response)
            elif response.status in (401, 407):
                registration.challenge(self, response)
            elif response.status == 423:
                registration.lengthen(self, response)
            elif response.status >= 300:
                words = clean(f"{response.status} {response.reason}"[:_LONGEST_WORDS])
                wish = min(float(response.retry_after or 0), LONGEST_WISH)
                registration.fail(self, words, REFUSED_SECONDS if response.status == 403 else wish)
        except MalformedMessage:
            registration.fail(self, "the provider's answer cannot be read")

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """There will be no answer."""
        why = "the provider does not answer" if failure.transport is None else failure.transport.reason
        self.registration.fail(self, why)
