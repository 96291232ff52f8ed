"""The sieve: new requests that go no further, by their look, their number, and the points of their source.

    new request -> trust of its source -+- NEVER -> goes on
                                        `- else  -> a scanner's look? one more user of many? over its rate?
                                                    -> noted, and in the mode "defend" dropped: no state, no answer

It works on unproved sources too, since each packet is judged by itself: a forger of sources makes at most his own
packets disappear, and takes of the rate that its victim has over UDP. The phones that are registered there go on, by
the port that they registered from: with an office's address alone nobody keeps its phones from registering. Over a
connection a source has rates of its own, and no points or tries count there that anybody can forge. Requests with
credentials go by the ordinary rate: `guesses.py` bounds how many reach a provider, and a guesser that is slowed before
its guesses count is never banned. They make a fan-out of twice as many users: anybody can write nonsense into that
field, and look for users by it.

Here: requests outside dialogs. Not here: requests of banned sources (ingress/lookout.py), and the exceptions for
emergency calls, which are made there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.config.tables.defence_table import DefenceTerms
from gateway.observe.observations import Kind, Observations
from gateway.security.answering import has_credentials
from gateway.security.defence.judge import FAN_OUT, Judge
from gateway.security.defence.mode import Mode, ModeNow
from gateway.security.defence.rates import Rates
from gateway.security.defence.signatures import scanner_in
from gateway.security.defence.trust import Trust, Trusts
from gateway.sip.capabilities import METHODS
from gateway.sip.message import Request
from gateway.transport.arrival import seen_in, tried_in
from gateway.transport.flow import Flow

_COUNTED: Final = frozenset({*METHODS, "REGISTER"})


class Sieve:
    """Decides on new requests. ``seconds`` never go back."""

    def __init__(
        self,
        terms: DefenceTerms,
        mode: ModeNow,
        trusts: Trusts,
        judge: Judge,
        observations: Observations,
        seconds: Callable[[], float],
    ) -> None:
        self._terms = terms
        self._mode = mode
        self._trusts = trusts
        self._judge = judge
        self._observations = observations
        self._seconds = seconds
        self._rates = {is_proved: Rates() for is_proved in (True, False)}
        """Of connections, and of datagrams."""

    def adopt(self, terms: DefenceTerms) -> None:
        """Go by other terms."""
        self._terms = terms

    def trust_in(self, flow: Flow) -> Trust:
        """The trust in a flow's source. Requests within dialogs of one that is known need no look."""
        return Trust.NEVER if self._mode.mode is Mode.OFF else self._trusts.of(flow.source)

    def drops(self, request: Request, flow: Flow, trust: Trust | None = None) -> Trust | None:
        """The trust in the source of a new request that goes no further; None for one that goes on. ``trust`` is that
        trust, if it is known already. Raises MalformedMessage."""
        if self._mode.mode is Mode.OFF:
            return None
        if trust is None:
            trust = self._trusts.of(flow.source)
        if trust is Trust.NEVER:
            return None
        sign = scanner_in(request, self._terms.scanners)
        if sign or self._is_one_of_many(request, flow, trust):
            is_proved, words = bool(sign) and flow.is_reliable, sign or "one more user of many"
            self._observations.note(seen_in(Kind.SCAN, flow, request, is_proved=is_proved, words=words))
        elif not self._has_room(request, flow, trust):
            self._observations.note(seen_in(Kind.FLOOD, flow, request, is_proved=False))
        else:
            return None
        return trust if self._mode.mode is Mode.DEFEND else None

    def _is_one_of_many(self, request: Request, flow: Flow, trust: Trust) -> bool:
        if trust is not Trust.UNKNOWN:
            return False
        most = FAN_OUT * (2 if has_credentials(request) else 1)
        return self._judge.is_scanning(flow.source, tried_in(request), most, is_proved=flow.is_reliable)

    def _has_room(self, request: Request, flow: Flow, trust: Trust) -> bool:
        method, now = request.method if request.method in _COUNTED else "", self._seconds()
        source, is_proved = flow.source, flow.is_reliable
        rates = self._rates[is_proved]
        is_throttled = trust is Trust.UNKNOWN and self._judge.is_throttled(source, is_proved=is_proved)
        if is_throttled and not has_credentials(request):
            return rates.allows_throttled(source, method, now)
        if rates.allows(source, method, trust, self._trusts.phones_at(source), now):
            return True
        is_phone = not is_proved and self._trusts.is_phone(flow)
        return is_phone and rates.allows_phone(str(flow.key), method, now)
