"""A reload changes PBXs: their numbers, addresses and accounts, one more, one less. Calls that are up stay."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from gateway.config.model import FixedPhone, Security
from gateway.config.tables.phones.number_block import NumberBlock
from gateway.transport.flow import Target
from tests.routing.pbx import test_pbx_calls as calls
from tests.routing.pbx.test_pbx_calls import inward, outward
from tests.routing.pbx.test_registration import TERMS, Scene
from tests.support.ladder import BINDING, SAVP, Ladder, Party

OFFICE = attrs.evolve(calls.OFFICE, ping_seconds=0)
OTHERS = attrs.evolve(OFFICE, numbers=(NumberBlock.parse("+4940*"),))
MOVED = attrs.evolve(OFFICE, addresses=("sip:192.0.2.58:5060;transport=udp",))
BRANCH = FixedPhone(
    "branch",
    "example.com",
    ("sip:192.0.2.59:5060;transport=udp",),
    (NumberBlock.parse("+4940*"),),
    OFFICE.proof,
    ping_seconds=0,
)


def office(terms: FixedPhone = OFFICE) -> tuple[Ladder, Party, Party]:
    """A gateway, and both places of its PBX, which are not asked how they are."""
    return calls.office(terms)


def reload(ladder: Ladder, *phones: FixedPhone, security: Security | None = None) -> None:
    """Go by these tables, and by another security of the domain where one is given."""
    (domain,) = ladder.configuration.domains
    domains = (domain if security is None else attrs.evolve(domain, security=security),)
    ladder.pbx.change(attrs.evolve(ladder.configuration, phones=phones, domains=domains), ladder.store)


def up(ladder: Ladder, pbx: Party) -> tuple[object, object]:
    """A call of the PBX that is up: the provider's INVITE, and the PBX's 200."""
    invite = outward(pbx, "+49301234510")
    pbx.sends(invite)
    taken = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(taken, 200, sdp=SAVP)
    pbx.receives(100)
    response = pbx.receives_response(200)
    pbx.acknowledges(invite, response)
    ladder.provider.receives("ACK")
    return taken, response


def test_other_numbers_are_its_own_at_once_and_those_of_before_are_not() -> None:
    ladder, pbx, _ = office()
    reload(ladder, OTHERS)

    pbx.sends(outward(pbx, "+49301234510"))
    pbx.receives(403)
    ladder.provider.sends(inward(ladder))
    ladder.provider.receives(480)
    again = inward(ladder, "+4940777")
    again.headers.set("Call-ID", "p2")
    ladder.provider.sends(again)
    assert pbx.receives_request("INVITE").request_uri.user == "+4940777"


def test_another_address_is_called_at_once_and_the_one_of_before_proves_nothing() -> None:
    ladder, pbx, _ = office()
    reload(ladder, MOVED)
    there = ladder.place("192.0.2.58")

    ladder.provider.sends(inward(ladder))
    there.receives("INVITE")
    pbx.sends(outward(pbx, "+49301234510"))
    pbx.receives(403)


def test_an_address_that_stays_leads_where_it_led_before_dns_has_answered() -> None:
    ladder, pbx, _ = office()
    asked: list[Deferred[list[Target]]] = []
    ladder.pbx.ways.locate = lambda uri: asked.append(Deferred()) or asked[-1]  # type: ignore[method-assign, func-returns-value]
    reload(ladder, OTHERS)
    ladder.provider.sends(inward(ladder, "+4940777"))

    assert len(asked) >= 2
    pbx.receives("INVITE")


def test_one_more_and_one_less() -> None:
    ladder, pbx, _ = office()
    reload(ladder, OFFICE, BRANCH)
    branch = ladder.place("192.0.2.59")
    ladder.provider.sends(inward(ladder, "+4940777"))
    branch.receives("INVITE")

    reload(ladder, BRANCH)
    assert [one.terms.name for one in ladder.pbx.pbxs.all] == ["branch"]
    assert ladder.pbx.pbxs.at(pbx.flow.key) is None
    assert ladder.pbx.pbxs.named("+49301234510", "example.com") is None
    assert [one.name for one in ladder.pbx.standing.answers()] == ["branch"]

    reload(ladder)
    again = inward(ladder, "+4940777")
    again.headers.set("Call-ID", "p2")
    ladder.provider.sends(again)
    ladder.provider.receives(100)
    ladder.provider.receives(480)


@pytest.mark.parametrize("after", [(OTHERS,), (MOVED,), (BRANCH,), ()], ids=["numbers", "address", "gone", "none"])
@pytest.mark.parametrize("ends", ["pbx", "provider"])
def test_a_call_that_is_up_goes_on_to_its_end(after: tuple[FixedPhone, ...], ends: str) -> None:
    ladder, pbx, _ = office()
    taken, response = up(ladder, pbx)
    reload(ladder, *after)

    if ends == "pbx":
        pbx.sends(pbx.within(response, "BYE", cseq=7))  # type: ignore[arg-type]
        ladder.provider.receives("BYE")
        pbx.receives(200)
    else:
        ladder.provider.sends(ladder.provider.within_answered(taken, "BYE", cseq=7))  # type: ignore[arg-type]
        pbx.receives("BYE")


def test_one_that_is_as_before_stays_the_same_and_follows_its_domain() -> None:
    ladder, _, _ = office()
    (before,) = ladder.pbx.pbxs.all
    reload(ladder, attrs.evolve(OFFICE), security=Security.OFF)

    (after,) = ladder.pbx.pbxs.all
    assert after is before
    assert after.domain.security is Security.OFF


def test_a_phone_that_is_registered_from_its_new_address_is_told_once() -> None:
    ladder, _, _ = office()
    there = ladder.place("192.0.2.58")
    ladder.store.save(attrs.evolve(BINDING, aor="sip:carol@example.com", token="carol-1", flow=there.flow.key))
    with capturedLogs() as seen:
        reload(ladder, MOVED)
        reload(ladder, MOVED)
    assert [event["aor"] for event in seen if "aor" in event] == ["sip:carol@example.com"]


# -- the account


def test_a_registration_goes_on_where_the_account_is_the_same() -> None:
    scene = Scene()
    scene.grant(scene.challenge())
    registration = scene.registration
    reload(scene.ladder, attrs.evolve(TERMS, numbers=OTHERS.numbers))
    scene.wait(60)

    assert scene.registration is registration
    assert registration.pbx is scene.ladder.pbx.pbxs.all[0]
    assert registration.is_registered
    assert not scene.ladder.provider_flow.requests("REGISTER")


def test_another_account_is_registered_and_the_contact_of_before_leads_there_still() -> None:
    """The provider's grant for the old one is not over: its calls are the PBX's."""
    scene = Scene()
    scene.grant(scene.challenge())
    (before,) = scene.ladder.pbx.pbxs.all
    reload(scene.ladder, attrs.evolve(TERMS, account="trunk-2"))
    scene.wait(3)

    assert scene.register().to.uri_text == "sip:trunk-2@example.com"
    assert scene.ladder.pbx.pbxs.all[0].token != before.token
    scene.ladder.provider.sends(inward(scene.ladder, before.token, "+49301234567"))
    (invite,) = scene.pbx.flow.requests("INVITE")
    assert invite.request_uri.user == "+49301234567"


@pytest.mark.parametrize("after", [(attrs.evolve(TERMS, register=False),), ()], ids=["no more", "gone"])
def test_a_registration_that_is_wanted_no_more_is_not_refreshed(after: tuple[FixedPhone, ...]) -> None:
    scene = Scene()
    scene.grant(scene.challenge())
    reload(scene.ladder, *after)
    scene.wait(700)

    assert scene.ladder.pbx.registrations == ()
    assert not scene.ladder.provider_flow.requests("REGISTER")


def test_an_answer_for_a_registration_that_is_gone_changes_nothing() -> None:
    scene = Scene()
    request = scene.register()
    reload(scene.ladder)
    scene.grant(request)

    assert scene.ladder.pbx.registrations == ()


# -- its health


def test_places_that_are_asked_are_those_of_now() -> None:
    ladder, pbx, second = office(attrs.evolve(OFFICE, ping_seconds=5))
    ladder.pbx.start()
    reload(ladder, attrs.evolve(MOVED, ping_seconds=5))
    there = ladder.place("192.0.2.58")
    ladder.clock.pump([1.0] * 40)  # copies of the questions of before (timer F)
    for one in (pbx, second, there):
        one.flow.take()
    ladder.clock.pump([1.0] * 20)

    assert there.flow.requests("OPTIONS")
    assert not pbx.flow.requests("OPTIONS")
    ladder.pbx.stop()


def test_a_gateway_that_had_none_at_its_start_gets_none_by_a_reload() -> None:
    """It is made of the plain parts; the settings tell that the change waits for a restart."""
    ladder = Ladder()
    reload(ladder, OFFICE)
    assert ladder.pbx.pbxs.all == ()
