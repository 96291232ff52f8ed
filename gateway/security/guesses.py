"""Wrong passwords of phones, counted, so that nobody can guess on at the provider through the gateway.

    a phone's request -> weigh -+-> Passed(request, watcher) -> the provider
                                `-> Refused 403, 503: answered here
    its response -> watcher -> rejected: counted | taken: cleared | a challenge: its nonce is remembered

The gateway has no passwords of its own: a guess is wrong when the provider answers 401 or 407 to credentials and does
not say that their nonce was too old, or 403. Guesses without an answer count too: they could be sent all at once.

The counts are kept so that nobody can have another stopped:
- A guess is proved where its source is known to get our answers: over TCP and TLS, or by the nonce of a challenge that
  went to that very source. Proved and unproved guesses are counted apart, and stop only their own kind: a forger of a
  UDP source has no nonce that went there. A registered phone's REGISTER that is unproved, and is one too many, goes on
  without its credentials: the provider asks anew, and the answer is proved.
- A user at the flow of its own registration is counted by that flow alone; at the host that it registered from, by
  user and host. Guesses of strangers elsewhere stop neither.
- Strangers are counted by user and source, by user over all sources, and by source. A source with phones that the
  provider took is an office behind NAT: it is not counted as a whole.
- Taken means by a nonce that the provider gave for the same method, Request-URI and To: a provider that never
  challenges, say, calls to its own mailboxes would else clear the count of the guesses made at others.
- A request within a dialog is proved: its tag went to its sender alone.
- A call for help is never refused. Where its own source has guessed too often it goes on without its credentials, or
  passwords could be tried without end by it; others' guesses at its user do not count, nor any at the flow that the
  user registered over.

Time is an argument's (``seconds`` never go back). Not here: reading requests (guess.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, Protocol

import attrs

from gateway.config.model import SourceLimits
from gateway.observe.events import EventName, Field, GatewayEvent, fit_text
from gateway.observe.figures import StoppedGuesser
from gateway.observe.line_limit import LineLimit
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind
from gateway.security.answering import FIELDS, take_credentials, without_credentials
from gateway.security.guess import Guess, challenges_in, is_stale, target_of
from gateway.security.wrong_passwords import BoundedMemory, Key, WrongPasswords
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.message import Request, Response
from gateway.transport.arrival import seen_in
from gateway.transport.flow import Flow, FlowKey

SHARED: Final = ""
LATELY: Final = 20_000
"""Nonces of which the source is remembered that was told them."""
CAPACITY: Final = 100_000
"""Tallies, sources and nonces that are remembered, of each; those longest unused go first."""
STOPS: Final = 1_000
"""Stops that are remembered for an operator."""
RETRY_MOST: Final = 30
"""Seconds of Retry-After at most: a 503 may keep a phone's other lines, and its emergency calls, away so long."""
TARGETS: Final = 8
"""Challenged requests that are remembered of one nonce at one source, the latest."""
UNKNOWN: Final = frozenset({403, 404})
"""Answers of a provider that say, but for a wrong password, that there is no such user, or not for this sender."""
WORDS: Final = "Too Many Wrong Passwords"


class Familiarity(IntEnum):
    """How a user is known at the source of a request."""

    STRANGER = 0
    HOST = 1
    """It registered from this host, over another flow."""
    FLOW = 2
    """It registered over this very flow."""


class KnownPhones(Protocol):
    """Registered phones, by the way that they registered."""

    def is_bound(self, aor: str, flow: FlowKey) -> bool:
        """Whether a live binding of an address of record came over this flow."""

    def is_bound_from(self, aor: str, source: str) -> bool:
        """Whether one came from this source."""


@attrs.frozen
class Passed:
    """A request that may go on, and the watcher of its responses."""

    request: Request
    watcher: ProviderWord | None = None


class Guesses:
    """Counts wrong passwords, and stops their senders."""

    def __init__(
        self, limits: SourceLimits, seconds: Callable[[], float], metrics: Metrics, phones: KnownPhones
    ) -> None:
        self._most = min(limits.wrong_passwords_per_source, limits.wrong_passwords_per_user)
        self._most_of_all = limits.wrong_passwords_per_user
        self._window = float(limits.wrong_password_seconds)
        self._seconds = seconds
        self._metrics = metrics
        self._phones = phones
        self._lines = LineLimit(seconds)
        self._proved: BoundedMemory[Key, WrongPasswords] = BoundedMemory(CAPACITY)
        self._unproved: BoundedMemory[Key, WrongPasswords] = BoundedMemory(CAPACITY)
        """Apart: guesses from forged sources cost nothing, and must not push out the others' tallies."""
        self._told: BoundedMemory[Key, tuple[bytes, ...]] = BoundedMemory(CAPACITY)
        """The targets of nonces, by the source that they were told to."""
        self._hearers: BoundedMemory[bytes, str] = BoundedMemory(LATELY)
        """The one source that a nonce was told to; SHARED where there were several."""
        self._taken: BoundedMemory[Key, bool] = BoundedMemory(CAPACITY)
        """Users by flow, by source and by nonce, and sources, whose credentials the provider took."""
        self._stops: BoundedMemory[Key, StoppedGuesser] = BoundedMemory(STOPS)

    def weigh(
        self, request: Request, flow: Flow, domain: str, *, is_within: bool = False, is_urgent: bool = False
    ) -> Passed:
        """A phone's request for a domain, perhaps within a dialog, to go on with or without its credentials.

        Raises Refused 403 and 503, and MalformedMessage.
        """
        guess = Guess.of(request, flow, domain)
        if guess is None:
            return self.pass_on(request, flow, is_within=is_within)
        now, is_proved = self._seconds(), is_within or flow.is_reliable or self._were_told(guess)
        standings = {user: self._standing(names, user, flow) for user, names in guess.names.items()}
        keys = [key for user, standing in standings.items() for key in self._keys(user, standing, flow, is_proved)]
        weakest = min(standings.values())
        if is_urgent:  # not the count of all sources: anybody can fill that
            keys = [] if weakest is Familiarity.FLOW else [key for key in keys if key[0] != "user"]
        for key in keys:
            tally, most = self._tally(key), self._bound(key)
            if tally.is_full(most, now, self._window):
                self._count(key, tally.until(most, self._window), now, guess)
                if weakest > Familiarity.STRANGER and not is_proved and request.method == "REGISTER":
                    return Passed(without_credentials(request), ProviderWord(self, flow, request))
                self.observe(Kind.DIGEST_FAILED, request, flow, is_proved, guess)
                raise _refusal(key, weakest, tally.until(most, self._window) - now)
        waiting = weakest < Familiarity.FLOW or not is_proved
        tallies = [self._tally(key) for key in keys]
        for tally in tallies if waiting else ():
            tally.wait(now)
        return Passed(request, ProviderWord(self, flow, request, guess, tallies, weakest, now, is_proved))

    def weigh_urgent(self, request: Request, flow: Flow, domain: str) -> Passed:
        """The same of a call for help: it goes on in any case, if need be without its credentials."""
        try:
            return self.weigh(request, flow, domain, is_urgent=True)
        except (Refused, MalformedMessage):
            take_credentials(request)
            return self.pass_on(request, flow)

    def pass_on(self, request: Request, flow: Flow, *, is_within: bool = False) -> Passed:
        """A phone's request that bears no credentials. Its responses are heard all the same."""
        return Passed(request, ProviderWord(self, flow, request, is_proved=is_within or flow.is_reliable))

    def observe(self, kind: Kind, request: Request, flow: Flow, is_proved: bool, guess: Guess | None = None) -> None:
        """Tell the defence of a request's outcome.

        Some providers tell one nonce to all that ask within a second (Kamailio's auth, as it is set up by default). A
        forger asks in its own name and in its victim's, and knows by the one answer the other: such a nonce proves no
        source. The count of guesses goes by it all the same, as it shuts nobody out."""
        if self._metrics.observations.is_on:
            who = guess.users[0] if guess is not None and kind is Kind.DIGEST_FAILED else None
            if guess is not None and not flow.is_reliable:
                is_proved = is_proved and SHARED not in map(self._hearers.get, guess.nonces)
            self._metrics.observations.note(seen_in(kind, flow, request, is_proved=is_proved, who=who))

    def stopped(self) -> tuple[StoppedGuesser, ...]:
        """Those that are stopped at this moment, the latest last; at most STOPS."""
        now = self._seconds()
        return tuple([stop for stop in self._stops.values() if stop.until > now])

    def hear(self, flow: Flow, request: Request, response: Response) -> None:
        """Remember the nonces that go to a source."""
        for nonce in challenges_in(response):
            key, target = ("nonce", flow.source, nonce), target_of(request)
            before = [one for one in self._told.get(key) or () if one != target]
            self._told.put(key, (*before[1 - TARGETS :], target))
            is_alone = self._hearers.get(nonce) in (None, flow.source)
            self._hearers.put(nonce, flow.source if is_alone else SHARED)

    def take(self, guess: Guess, target: bytes) -> bool:
        """The provider took these credentials: the wrong ones before are forgotten. False where that proves nothing.

        Only of one user alone: beside good ones of its own, a guesser could send those of its victim.
        """
        user, source, over = guess.owner, guess.flow.source, str(guess.flow.key)
        if user is None or not self._were_told(guess, target):
            return False
        taken: list[Key] = [("source", source), ("flow", user, over), ("pair", user, source)]
        for key in (*taken, *(("nonce", user, source, nonce) for nonce in guess.nonces)):
            self._taken.put(key, True)
        for key in taken[1:]:
            self._proved.pop((*key, True))  # the unproved ones may be a forger's: it would get as many again
        self._stops.pop(("pair", user, source))
        return True

    def is_rejected(self, guess: Guess, response: Response, standing: Familiarity) -> bool:
        """Whether a response says that these credentials are wrong.

        A 401 to a nonce that the same user was let in with means that it has grown old, even if it does not say so. 403
        to other requests than REGISTER may be about the called: it counts of strangers alone.
        """
        if response.status == 403:
            return guess.method == "REGISTER" or standing is Familiarity.STRANGER
        if response.status not in FIELDS or is_stale(response):
            return False
        # Not one of any user's: a guesser would bear its own good credentials beside those of its victim.
        nonces = [("nonce", guess.owner, guess.flow.source, nonce) for nonce in guess.nonces]
        return guess.owner is None or not any(map(self._taken.get, nonces))

    def reject(self, guess: Guess, tallies: list[WrongPasswords], status: int) -> None:
        """The provider refused these credentials."""
        for tally in tallies:
            tally.reject(self._seconds(), self._most_of_all)
        if (
            guess.method != "REGISTER" and self._lines.more(guess.flow.source) is not None
        ):  # registrar/news.py tells those
            self._note(EventName.SECURITY_WRONG_PASSWORD, guess, status=status)

    def _were_told(self, guess: Guess, target: bytes | None = None) -> bool:
        """Whether the source was told the nonces that it uses, and for that target if any."""
        told = [self._told.get(("nonce", guess.flow.source, nonce)) for nonce in guess.nonces]
        return bool(told) and all(one is not None and (target is None or target in one) for one in told)

    def _standing(self, names: frozenset[str], user: str, flow: Flow) -> Familiarity:
        phones, source = self._phones, flow.source
        if self._taken.get(("flow", user, str(flow.key))) or any(phones.is_bound(name, flow.key) for name in names):
            return Familiarity.FLOW
        if self._taken.get(("pair", user, source)) or any(phones.is_bound_from(name, source) for name in names):
            return Familiarity.HOST
        return Familiarity.STRANGER

    def _keys(self, user: str, standing: Familiarity, flow: Flow, is_proved: bool) -> Iterator[Key]:
        """The tallies that a guess at a user counts in."""
        if standing is Familiarity.FLOW:
            yield ("flow", user, str(flow.key), is_proved)
            return
        yield ("pair", user, flow.source, is_proved)
        if standing is Familiarity.STRANGER:
            yield ("user", user, is_proved)
            if not self._taken.get(("source", flow.source)):
                yield ("source", flow.source, is_proved)

    def _tally(self, key: Key) -> WrongPasswords:
        tallies = self._unproved if key[-1] is False else self._proved
        tally = tallies.get(key)
        if tally is None:
            tally = WrongPasswords()
            tallies.put(key, tally)
        return tally

    def _bound(self, key: Key) -> int:
        return self._most_of_all if key[0] in ("user", "source") else self._most

    def _count(self, key: Key, until: float, now: float, guess: Guess) -> None:
        """A request is answered here: tell of the first one of a stop."""
        self._metrics.guesses_stopped.labels(str(key[0])).inc()
        place: Key = ("pair", guess.users[0], guess.flow.source)
        before = self._stops.get(place)
        if until <= now or (before is not None and before.until > now):
            return
        self._stops.put(place, StoppedGuesser(guess.users[0], str(guess.flow.remote), str(key[0]), until))
        if self._lines.more(guess.flow.source) is not None:
            self._note(EventName.SECURITY_GUESSES_STOPPED, guess, by=str(key[0]), seconds=round(until - now))

    def _note(self, name: EventName, guess: Guess, **fields: Field) -> None:
        user = guess.users[0]
        said = {key: fit_text(text) for key, text in (("source", str(guess.flow.remote)), ("who", f"sip:{user}"))}
        told = {
            **said,
            "domain": fit_text(user.rpartition("@")[2]),
            "fields": {"method": fit_text(guess.method), **fields},
        }
        events = self._metrics.events
        events.tell(GatewayEvent.of(name, events.now(), **told))


@attrs.define(eq=False)
class ProviderWord:
    """Waits for the provider's word on one request of a phone."""

    _guesses: Guesses
    _flow: Flow
    _request: Request
    _guess: Guess | None = None
    _tallies: list[WrongPasswords] = attrs.field(factory=list)
    _standing: Familiarity = Familiarity.STRANGER
    _since: float = 0.0
    _is_proved: bool = False
    _is_well: bool = False  # the defence was told that there is nothing bad about it

    def responded(self, response: Response) -> None:
        """See transaction.server.ResponseWatcher. 100 and 18x that come before the callee's say nothing."""
        if response.status < 180:
            return
        guess, self._guess = self._guess, None
        if guess is not None:
            for tally in self._tallies:
                tally.settle(self._since)
        if not (self._is_well and response.status < 300):  # a 2xx after 180 says no more; a refusal after it does
            kind = self._outcome(guess, response)
            self._is_well = response.status < 300
            if kind is not None:
                self._guesses.observe(kind, self._request, self._flow, self._is_proved, guess)
        self._guesses.hear(self._flow, self._request, response)

    def _outcome(self, guess: Guess | None, response: Response) -> Kind | None:
        """The meaning of a response for the defence, after the count of guesses has gone by it."""
        if response.status < 300:
            is_taken = guess is not None and self._guesses.take(guess, target_of(self._request))
            return Kind.GRANTED if is_taken else Kind.ANSWERED
        if guess is not None and self._guesses.is_rejected(guess, response, self._standing):
            self._guesses.reject(guess, self._tallies, response.status)
            return Kind.DIGEST_FAILED
        if response.status in FIELDS:
            return Kind.CHALLENGED
        return Kind.USER_UNKNOWN if response.status in UNKNOWN else None


def _refusal(key: Key, standing: Familiarity, seconds: float) -> Refused:
    """403 for a stranger's own guesses; one that may be innocent is told to come again."""
    if key[0] == "pair" and standing is Familiarity.STRANGER and seconds > 0:
        return Refused(403, WORDS, (("Retry-After", str(max(1, round(seconds)))),))
    return Refused(503, WORDS, (("Retry-After", str(max(1, min(RETRY_MOST, round(seconds))))),))
