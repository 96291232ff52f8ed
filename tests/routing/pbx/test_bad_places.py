"""Places of a PBX that are not as the table says: a name that is not found, and an address of a registered phone."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from gateway.base.clock import Clock
from gateway.observe.events import EventName
from gateway.registrar.request import Asked
from gateway.routing.locate import NotFound
from gateway.routing.pbx.pbx_callers import PbxRules
from gateway.sip.errors import Refused
from gateway.sip.uri import Uri
from gateway.transport.flow import Target, Transport
from tests.routing.pbx.test_pbx_calls import FIRST, OFFICE, office, outward
from tests.support.ladder import BINDING, Ladder


class LostName(Ladder):
    """A gateway whose DNS does not know one name."""

    is_lost = True

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        if self.is_lost and uri.host == "lost.example":
            return fail(NotFound("no such name"))
        return super().locate(Uri(host=FIRST, port=5060), default)


def test_a_name_that_is_not_found_is_told_once_and_so_is_its_return() -> None:
    terms = attrs.evolve(OFFICE, addresses=("sip:192.0.2.50:5060", "sip:lost.example:5060"), ping_seconds=5)
    ladder = LostName(phones=(terms,))
    first = ladder.place(FIRST)
    ladder.pbx.start()
    for turn in range(12):
        ladder.is_lost = turn < 6
        for request in first.flow.requests("OPTIONS"):
            first.answers(request, 200)
        first.flow.take()
        ladder.clock.pump([1.0] * 5)
    told = [(event.name, event.fields["target"]) for _, event in ladder.metrics.events.after(0) if "pbx" in event.name]

    assert told == [(EventName.PBX_DOWN, "sip:lost.example:5060"), (EventName.PBX_UP, "sip:lost.example:5060")]


def test_a_phone_that_has_registered_from_its_address_is_told_and_counts_as_the_pbx() -> None:
    ladder, pbx, _ = office()
    ladder.store.save(attrs.evolve(BINDING, aor="sip:carol@example.com", token="carol-1", flow=pbx.flow.key))
    with capturedLogs() as seen:
        ladder.pbx.tell_bound(ladder.store, ladder.pbx.pbxs.all)
    pbx.sends(outward(pbx, "carol"))

    assert [event["aor"] for event in seen if "aor" in event] == ["sip:carol@example.com"]
    pbx.receives(403)


@pytest.mark.parametrize(
    ("aor", "is_inside"), [("sip:+49301234510@example.com", False), ("sip:dave@example.com", True)]
)
def test_neither_its_numbers_nor_phones_at_its_address_are_registered(aor: str, is_inside: bool) -> None:
    ladder, pbx, _ = office()
    rules = PbxRules(
        ladder.store,
        ladder.memory,
        Clock(ladder.clock, ladder.clock.seconds, ladder.clock.seconds),
        bytes(32),
        lambda _: 0.0,
        ladder.pbx.pbxs,
    )
    flow = pbx.flow if is_inside else ladder.phone_flow
    asked = Asked(aor, "example.com", (), False, "c", 1, "")
    with pytest.raises(Refused) as refused:
        rules.check(asked, ladder.configuration.domains[0], flow)

    assert refused.value.status == 403
    assert "PBX" in refused.value.reason
