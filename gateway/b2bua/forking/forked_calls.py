"""Calls to users with several phones, and their bounds: those that a provider makes twice, and those beyond the room.

A provider may hold several contacts of a user, and ask for each in a call of its own, or in one request for each (RFC
3261 section 16.7). The first rings all phones, and the others would ring them once more each: they get 482, as a
request that is merged with another does (section 8.2.2.2), and the provider goes on with the first. A call is another
one's twin when it names the same caller and another token of the same user within a moment.

Each phone that rings has a leg and a transaction of its own, so that calls to users with many phones would take ten
times of what the ceiling of calls allows. Where there is no room left, a call rings as many phones as there is room
for: one at least.

Not here: the search among the phones (forks).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.logger import Logger

from gateway.b2bua.call import Call
from gateway.b2bua.forking.forks import Forks, Planning
from gateway.b2bua.forking.pbx_search import PbxSearch
from gateway.b2bua.setup.first_request import Identities, Identity
from gateway.b2bua.setup.plan import PhonePlan
from gateway.routing.pbx.pbxs import is_pbx
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from gateway.transport.flow import Flow

log = Logger()

MOMENT: Final = 1.0
"""Seconds within which a provider has asked for all of a user's phones."""

MOST: Final = 10_000
"""Calls remembered at most."""

MOST_RINGING: Final = 4_000
"""Phones that ring beside the first of their call."""


class Twins:
    """The calls of the last moment to users with several phones; ``seconds`` is a clock that is never set."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._begun: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    def check(self, invite: Request, route: Route) -> None:
        """Note a call to several phones; raises Refused 482 for the twin of one."""
        named, binding = invite.request_uri.user, route.binding
        if binding is None or named not in {one.token for one in (binding, *route.others)}:
            return
        now = self._seconds()
        key = binding.aor, str(invite.from_.uri)
        at, token = self._begun.get(key, (now, named))
        if token != named and now - at < MOMENT:
            raise Refused(482, "The user's phones ring already")
        self._begun.pop(key, None)
        self._begun[key] = now, named
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._begun:
            oldest = next(iter(self._begun))
            if len(self._begun) <= MOST and now - self._begun[oldest][0] < MOMENT:
                return
            del self._begun[oldest]


class ForkRoom:
    """Counts the phones that ring beside the first of their call."""

    def __init__(self, most: int = MOST_RINGING) -> None:
        self._most = most
        self.taken = 0
        self._is_told = False

    def take(self, wanted: int) -> int:
        """How many more phones may ring, up to `wanted`; they count until they are given back."""
        granted = min(wanted, self._most - self.taken)
        self.taken += granted
        if granted < wanted and not self._is_told:
            self._is_told = True
            log.warn("more than {most} phones ring beside others of their user: calls ring fewer", most=self._most)
        return granted

    def give_back(self, count: int) -> None:
        """So many ring no longer."""
        self.taken -= count
        self._is_told = self._is_told and self.taken > self._most // 2


class ForkedCalls:
    """Makes the search of each; ``seconds`` is a clock that is never set, ``trunk`` answers for calls to PBXs."""

    def __init__(self, identities: Identities, seconds: Callable[[], float], trunk: Trunk) -> None:
        self._identities = identities
        self._trunk = trunk
        self._twins = Twins(seconds)
        self._room = ForkRoom()

    def check(self, invite: Request, route: Route) -> None:
        """Raises Refused 482 for a call that rings already."""
        self._twins.check(invite, route)

    def search(
        self, call: Call, route: Route, phone_flow: Flow, identity: Identity, planning: Planning | None = None
    ) -> Forks | PbxSearch:
        """The search among the phones of a route, or among the places of a PBX; `phone_flow` reaches the first, and
        `identity` is the call's. Phones are reached by another plan than of an inbound call, where one is given."""
        if is_pbx(route.binding):
            return PbxSearch(call, self._trunk, route, identity, phone_flow)
        naming = partial(self._identities.fork_of, identity, call=call.id)
        return Forks(call, route, phone_flow, naming, planning or partial(PhonePlan, call.protection), self._room)
