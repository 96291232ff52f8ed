"""A call to a PBX: its places one after the other, until one has the call.

    place -> INVITE -> no way there | 503 | not one message in time (answer_times) -> the next place
                    -> any other answer is the PBX's

They are places of one callee, so only one of them is asked at a time, and nothing of a place that was given up reaches
the caller. The Request-URI names the place that is asked.
"""

from __future__ import annotations

from functools import partial

import attrs
from twisted.internet.defer import Deferred, succeed

from gateway.b2bua.call import Call
from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.setup.first_request import Identity
from gateway.b2bua.setup.invite import invite_for
from gateway.b2bua.setup.reach import CalleeSearch
from gateway.registrar.binding import Binding
from gateway.registrar.phones import Phones
from gateway.routing.attempts import Way
from gateway.routing.router import Route
from gateway.routing.trunk import Trunk
from gateway.security.policy.terms import Attempt, Refusal
from gateway.sip.message import Request
from gateway.transport.flow import Flow


class PbxSearch(CalleeSearch):
    """The search for the place of a PBX that takes a call."""

    def __init__(self, call: Call, trunk: Trunk, route: Route, identity: Identity, phone_flow: Flow) -> None:
        super().__init__(call, trunk, route, identity, phone_flow)
        self._gives_up = True
        self._phones = call.services.phones
        self._places = [] if route.binding is None else [route.binding, *route.others]

    def _way_at_once(self, attempt: Attempt) -> Way | None:
        return None

    def _ways_of(self, attempt: Attempt) -> Deferred[list[Way]]:
        first = self._phone_flow
        if first is None:
            raise AssertionError("a PBX without a way")
        return succeed([lambda: first, *(partial(_reach, self._phones, place, first) for place in self._places[1:])])

    def _note_silence(self, leg: CalleeLeg, seconds: float) -> None:
        self._phones.unheard(leg.flow, seconds)

    def _invite_for(self, leg: CalleeLeg, asked: Request, identity: Identity, sdp: bytes) -> Request | Refusal:
        made, place = invite_for(leg, asked, identity, sdp), self._place_of(leg)
        return made if isinstance(made, Refusal) or place is None else attrs.evolve(made, uri=place.contact)

    def _place_of(self, leg: CalleeLeg) -> Binding | None:
        return next((place for place in self._places if place.flow.remote == leg.flow.remote), None)


def _reach(phones: Phones, place: Binding, first: Flow) -> Flow:
    """The flow to a place; over a listener that is there, else the first one, which fails by itself."""
    return phones.reach(place) or first
