"""How PBXs stand, as the API, the metrics and the state of the gateway tell it."""

from __future__ import annotations

import attrs

from gateway.config.tables.phones.phone_table import PbxChoice
from tests.routing.pbx.test_pbx_calls import FIRST, OFFICE, SECOND, inward, office
from tests.support.ladder import Ladder


def watched() -> Ladder:
    """A PBX whose first place answers OPTIONS, and whose second does not."""
    terms = attrs.evolve(OFFICE, account="4930123450", register=True, ping_seconds=5)
    ladder, first, _ = office(terms, passwords={"4930123450": "Twelve-letters"})
    ladder.pbx.start()
    for _ in range(5):
        for request in first.flow.requests("OPTIONS"):
            first.answers(request, 200)
        first.flow.take()
        ladder.clock.pump([1.0] * 4)
    return ladder


def test_each_place_and_the_registration_are_told() -> None:
    (answer,) = watched().pbx.standing.answers()

    assert (answer.name, answer.domain, answer.proof) == ("office", "example.com", "address")
    assert answer.numbers == ("+49301234500-+49301234599", "+4930777")
    assert [(one.target, one.is_up, one.why) for one in answer.places] == [
        (f"UDP {FIRST}:5060", True, ""),
        (f"UDP {SECOND}:5060", False, "it does not answer"),
    ]
    assert answer.registration is not None
    assert not answer.registration.is_registered


def test_the_state_and_the_metrics_tell_the_same() -> None:
    ladder = watched()
    (figures,) = ladder.pbx.standing.figures()
    exposition = ladder.metrics.exposition().decode()

    assert (figures.up, len(figures.down), figures.is_registered) == (1, 1, False)
    assert 'gateway_pbx_places{phone="office",state="up"} 1.0' in exposition
    assert 'gateway_pbx_places{phone="office",state="down"} 1.0' in exposition
    assert 'gateway_pbx_lost_names{phone="office"} 0.0' in exposition
    assert 'gateway_pbx_registered{phone="office"} 0.0' in exposition


def test_a_name_that_is_not_found_is_told_and_its_last_address_counts_for_a_day() -> None:
    ladder, pbx, _ = office()
    (only,) = ladder.pbx.pbxs.all
    first, second = only.addresses
    assert only.not_found(first, "no such name")
    assert not only.not_found(first, "no such name"), "told once"
    assert ladder.pbx.standing.answers()[0].places[0].is_up

    ladder.clock.advance(86_401)
    only.not_found(first, "no such name")
    ladder.provider.sends(inward(ladder))
    pbx.receives_nothing()
    (figures,) = ladder.pbx.standing.figures()
    assert figures.down == ("sip:192.0.2.50:5060;transport=udp: no such name",)
    assert second.targets


def test_places_are_drawn_by_weight_and_those_of_weight_0_come_last() -> None:
    terms = attrs.evolve(OFFICE, choice=PbxChoice.WEIGHT, weights=(0, 1))
    ladder, _, second = office(terms)
    ladder.provider.sends(inward(ladder))
    second.receives("INVITE")

    (only,) = Ladder(phones=(attrs.evolve(terms, weights=(3, 1)),)).pbx.pbxs.all
    for address in only.addresses:
        only.found(address, [*address.targets])
    firsts = [only.targets(lambda target: False, ladder.pbx.pbxs._chance)[0].address.host for _ in range(400)]
    assert 250 < firsts.count(FIRST) < 350
