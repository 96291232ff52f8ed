"""Registrations read as scripts: the phone sends, the provider answers, the phone is told, and who is bound."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Downgrade
from gateway.observe.line_limit import LINES
from gateway.registrar.acceptance import ProviderFlows, RegistrarTerms
from gateway.security.policy.peer_memory import Peer
from gateway.sip.headers import Headers
from gateway.sip.message import Response
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, TransportFailure
from gateway.transport.flow import FailureKind as Broken
from tests.support.flows import RecordingFlow, a_flow, listener_of
from tests.support.registering import CONTACT, NOW, Registering, register

ALICE = "sip:alice@example.com"
OTHER = "<sip:alice@192.0.2.8:5060>"


def bound(site: Registering) -> list[str]:
    return [item.contact for item in site.store.find(ALICE)]


def test_a_phone_whose_connection_is_gone_is_out_of_reach_until_it_registers_again() -> None:
    site = Registering()
    site.flow = a_flow("tcp", connection=7)
    site.registered()
    (bound_now,) = site.store.find(ALICE)
    assert site.store.is_reachable(bound_now)
    site.registrar.flow_ended(site.flow.key)
    assert bound(site) == ["sip:alice@192.0.2.7:5060"]
    assert not site.store.is_reachable(bound_now)
    gauge = site.metrics.value
    assert (gauge("gateway_registrations"), gauge("gateway_unreachable_registrations")) == (1, 1)
    site.flow = a_flow()
    site.registered(register(CONTACT, cseq=2, expires="60"))
    assert (gauge("gateway_registrations"), gauge("gateway_unreachable_registrations")) == (1, 0)


def test_a_phone_that_hangs_up_before_its_provider_has_answered_is_out_of_reach() -> None:
    site = Registering()
    site.flow = a_flow("tcp", connection=7)
    site.send(register(CONTACT, expires="60"))
    site.flow.fail()
    site.answer()
    assert site.metrics.value("gateway_unreachable_registrations") == 1


def test_a_phone_registers_through_its_providers_challenge() -> None:
    site = Registering()
    site.send(register(CONTACT, expires="60"))
    challenged = site.answer(401, ("WWW-Authenticate", 'Digest realm="example.com", nonce="n", qop="auth,auth-int"'))
    told = site.told()
    assert told.status == 401
    assert told.headers.get("WWW-Authenticate") == 'Digest realm="example.com", nonce="n", qop="auth"'
    assert len(site.store) == 0

    proof = 'Digest username="alice", realm="example.com", uri="sip:example.com", nonce="n", response="r"'
    site.send(register(CONTACT, cseq=2, expires="60", authorization=proof))
    proved = site.answer(200, ("Authentication-Info", 'nextnonce="m"'))
    assert proved.uri == "sip:example.com"
    assert proved.headers.get("Authorization") == proof
    assert proved.call_id == challenged.call_id != "abc@192.0.2.7"
    assert (challenged.cseq.number, proved.cseq.number) == (1, 2)
    told = site.told()
    assert told.status == 200
    assert told.headers.get_all("Contact") == ["<sip:alice@192.0.2.7:5060>;expires=60"]
    assert told.headers.get("Authentication-Info") == 'nextnonce="m"'

    (binding,) = site.store.all()
    assert binding.flow == site.flow.key
    assert (binding.expires_at, binding.provider_expires_at) == (NOW + 60, NOW + 3600)
    assert site.metrics.exposition().decode().count("gateway_registrations 1.0") == 1


def test_the_phone_is_granted_the_least_of_its_wish_and_the_providers() -> None:
    site = Registering()
    assert site.registered(register(CONTACT, expires="3600"), seconds=300).headers.get("Contact") == (
        "<sip:alice@192.0.2.7:5060>;expires=300"
    )


def test_short_refreshes_are_answered_here_while_the_provider_is_fresh() -> None:
    site = Registering()
    site.registered()
    for cseq in range(2, 30):
        site.clock.advance(59)
        site.send(register(CONTACT, cseq=cseq, expires="60"))
        assert not site.asked
        told = site.told()
        assert told.headers.get("Contact") == "<sip:alice@192.0.2.7:5060>;expires=60"
        assert bound(site)
    site.clock.advance(180)
    site.send(register(CONTACT, cseq=30, expires="60"))
    assert len(site.asked) == 1, "half of what the provider granted is over"


def test_the_provider_is_asked_again_when_the_connection_it_was_asked_over_is_gone() -> None:
    site = Registering()
    site.registered()
    site.trunk.close()
    site.send(register(CONTACT, cseq=2, expires="60"))
    assert len(site.asked) == 1, "it may have been restarted, and have forgotten everybody"
    site.trunk = a_flow(port=5061)
    site.asked.clear()
    site.registered(register(CONTACT, cseq=3, expires="60"))
    site.send(register(CONTACT, cseq=4, expires="60"))
    assert not site.asked


def test_the_ways_of_expired_bindings_are_forgotten() -> None:
    site = Registering()
    for number in range(200):
        site.registered(
            register(f"<sip:u@192.0.2.7:{number + 1}>", user=f"u{number}", expires="60", call_id=f"c{number}")
        )
        site.clock.advance(61)
        site.registrar.expire()
    assert len(site.rules.flows) <= 102


def test_a_local_refresh_never_lasts_longer_than_the_providers_registration() -> None:
    site = Registering()
    site.registered(register(CONTACT, expires="3600"), seconds=1000)
    site.clock.advance(400)
    site.send(register(CONTACT, cseq=2, expires="3600"))
    assert site.told().headers.get("Contact") == "<sip:alice@192.0.2.7:5060>;expires=600"
    (binding,) = site.store.all()
    assert binding.expires_at <= binding.provider_expires_at


@pytest.mark.parametrize(
    "change", ["flow", "call_id", "contact", "another contact", "removal", "instance", "no contact", "expired"]
)
def test_nothing_but_the_same_from_the_same_place_is_answered_without_the_provider(change: str) -> None:
    site = Registering()
    site.registered()
    request = register(CONTACT, cseq=2, expires="60")
    flow = a_flow(port=9999) if change == "flow" else site.flow
    match change:
        case "call_id":
            request = register(CONTACT, cseq=2, expires="60", call_id="other@192.0.2.7")
        case "contact":
            request = register(OTHER, cseq=2, expires="60")
        case "another contact":
            request = register(CONTACT, OTHER, cseq=2, expires="60")
        case "removal":
            request = register(CONTACT, cseq=2, expires="0")
        case "instance":
            request = register(CONTACT + ';+sip.instance="<urn:uuid:2>"', cseq=2, expires="60")
        case "no contact":
            request = register(cseq=2)
        case "expired":
            site.clock.advance(61)
    site.send(request, flow)
    assert len(site.asked) == 1
    assert site.flow.take() == []
    assert [item.flow for item in site.store.all()] == [site.flow.key]


def test_a_refused_password_changes_nothing() -> None:
    site = Registering()
    site.registered()
    site.send(register(OTHER, cseq=1, call_id="attacker@h"), a_flow(port=6666))
    site.answer(403)
    assert bound(site) == ["sip:alice@192.0.2.7:5060"]


def test_unregistering_goes_through_to_the_provider() -> None:
    site = Registering()
    site.registered()
    site.send(register(CONTACT, cseq=2, expires="0"))
    assert bound(site), "until the provider agrees"
    assert site.answer().contacts[0].parameter("expires") == "0"
    assert "Contact" not in site.told().headers
    assert bound(site) == []


def test_a_wildcard_removes_all_bindings_of_the_user_alone() -> None:
    site = Registering()
    site.registered(register(CONTACT, OTHER, expires="60"))
    site.registered(register("<sip:bob@192.0.2.9>", expires="60", user="bob"))
    site.send(register("*", cseq=2, expires="0"))
    assert site.answer().headers.get("Contact") == "*"
    assert bound(site) == []
    assert [item.aor for item in site.store.all()] == ["sip:bob@example.com"]


def test_a_query_tells_what_is_bound_once_the_provider_has_agreed() -> None:
    site = Registering()
    site.registered(register(CONTACT, OTHER, expires="60"))
    site.flow.take()
    site.send(register(cseq=2))
    assert not site.asked[0][0].contacts
    site.answer()
    contacts = site.told().headers.get_all("Contact")
    assert sorted(contacts) == ["<sip:alice@192.0.2.7:5060>;expires=60", "<sip:alice@192.0.2.8:5060>;expires=60"]


def test_several_phones_of_one_user_are_found_by_preference() -> None:
    site = Registering()
    site.registered(register(CONTACT + ";q=0.3", expires="60", call_id="one@h"))
    site.registered(register(OTHER + ";q=0.7", expires="60", call_id="two@h"))
    assert bound(site) == ["sip:alice@192.0.2.8:5060", "sip:alice@192.0.2.7:5060"]
    assert len({item.token for item in site.store.all()}) == 2


def test_a_phone_with_an_instance_keeps_its_token_when_its_contact_moves() -> None:
    site = Registering()
    instance = ';+sip.instance="<urn:uuid:1>"'
    site.registered(register(CONTACT + instance, expires="60"))
    (first,) = site.store.all()
    site.registered(register(OTHER + instance, expires="60", call_id="after-reboot@h"))
    (second,) = site.store.all()
    assert second.token == first.token
    assert second.contact == "sip:alice@192.0.2.8:5060"
    assert second.instance == "<urn:uuid:1>"


@pytest.mark.parametrize(("expires", "status"), [("59", 423), ("1", 423), ("60", 200)])
def test_intervals_below_the_floor(expires: str, status: int) -> None:
    site = Registering()
    site.send(register(CONTACT, expires=expires))
    if site.asked:
        site.answer()
    told = site.told()
    assert told.status == status
    assert told.headers.get("Min-Expires") == ("60" if status == 423 else None)


def test_no_floor_lets_any_interval_pass() -> None:
    site = Registering(RegistrarTerms(floor=0))
    assert site.registered(register(CONTACT, expires="5")).status == 200


@pytest.mark.parametrize(
    ("request_changes", "status"),
    [({"domain": "elsewhere.example"}, 403), ({"user": "*bad user"}, 400), ({"expires": "x"}, 400)],
)
def test_what_is_refused_before_anything_is_sent(request_changes: dict[str, str], status: int) -> None:
    site = Registering()
    site.send(register(CONTACT, **request_changes))  # type: ignore[arg-type]
    assert site.told().status == status
    assert not site.asked


def test_to_must_name_a_user_of_the_domain() -> None:
    site = Registering()
    for to in ("<sip:alice@example.org>", "<sip:example.com>", "<tel:+1>"):
        request = register(CONTACT, cseq=len(to))
        request.headers.set("To", to)
        site.send(request)
        assert site.told().status == 404
    assert not site.asked


def test_a_phone_that_registers_at_the_gateways_address_is_known_by_to() -> None:
    site = Registering()
    request = register(CONTACT, expires="60")
    request.uri = "sip:127.0.0.20"
    site.send(request)
    assert site.answer().uri == "sip:example.com"
    assert site.told().status == 200


def test_an_older_request_within_a_registration_is_refused() -> None:
    site = Registering()
    site.registered(register(CONTACT, cseq=5, expires="60"))
    site.send(register(CONTACT, cseq=4, expires="0"))
    assert site.told().status == 500
    assert bound(site)


def test_an_answer_that_was_overtaken_does_not_undo_a_later_one() -> None:
    site = Registering()
    site.send(register(CONTACT, cseq=1, expires="60"))
    site.send(register(CONTACT, cseq=2, expires="120"))
    site.asked.reverse()
    site.answer()
    site.answer()
    (binding,) = site.store.all()
    assert (binding.cseq, binding.expires_at) == (2, NOW + 120)
    site.send(register(CONTACT, cseq=3, expires="0", call_id="abc@192.0.2.7"))
    site.answer()
    assert bound(site) == []


def test_too_many_contacts_of_one_user_and_too_many_bindings() -> None:
    site = Registering(RegistrarTerms(contacts_per_aor=2, bindings=3))
    site.registered(register(CONTACT, OTHER, expires="60"))
    site.send(register("<sip:alice@192.0.2.9>", expires="60", call_id="third@h"))
    assert site.told().status == 403
    site.send(register(CONTACT, cseq=2, expires="60"))
    assert site.told().status == 200
    site.registered(register("<sip:bob@h>", expires="60", user="bob"))
    site.send(register("<sip:carol@h>", expires="60", user="carol"))
    told = site.told()
    assert told.status == 503
    assert 20 <= int(told.headers.get("Retry-After") or "") < 50
    assert not site.asked


def test_a_store_that_is_full_after_all_is_503() -> None:
    site = Registering(capacity=0)
    assert site.registered().status == 503


@pytest.mark.parametrize(
    ("transport", "status", "said"),
    [
        (None, 504, "timeout"),
        (TransportFailure(Broken.REFUSED, "10.0.0.1 refused"), 503, "refused"),
        (TransportFailure(Broken.CERTIFICATE, "CN=secret"), 503, "certificate"),
    ],
)
def test_no_answer_is_told_with_a_reason_and_a_time_to_come_back(
    transport: TransportFailure | None, status: int, said: str
) -> None:
    site = Registering()
    site.send(register(CONTACT, expires="60"))
    site.fail(transport)
    told = site.told()
    assert told.status == status
    assert told.headers.get("Reason") == f'SIP;cause={status};text="the provider cannot be reached: {said}"'
    assert told.headers.get("Retry-After")
    assert "10.0.0.1" not in told.to_bytes().decode()
    assert len(site.store) == 0


def test_a_provider_that_lists_only_others_has_not_bound_this_one() -> None:
    site = Registering()
    site.send(register(CONTACT, expires="60"))
    site.answer(200, ("Contact", "<sip:else@127.0.0.20>;expires=60"), seconds=None)
    assert "Contact" not in site.told().headers
    assert bound(site) == []


def test_a_nonsense_answer_of_the_provider_is_502() -> None:
    site = Registering()
    site.send(register(CONTACT, expires="60"))
    site.answer(200, ("Contact", "<<<"), seconds=None)
    assert site.told().status == 502
    assert bound(site) == []


def test_provisional_answers_are_not_passed_on() -> None:
    site = Registering()
    site.send(register(CONTACT, expires="60"))
    _request, user = site.asked[0]
    user.receive_response(Response(100, "Trying", Headers()))
    assert site.flow.take() == []
    site.answer()
    assert site.told().status == 200


def test_bindings_expire_and_are_counted() -> None:
    site = Registering()
    site.registered()
    site.clock.advance(61)
    assert bound(site) == []
    assert site.registrar.expire() == 1
    assert "gateway_registrations 0.0" in site.metrics.exposition().decode()


def test_two_places_never_share_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Registering()
    monkeypatch.setattr(
        "gateway.registrar.acceptance.token_for", lambda secret, user, aor, place, attempt=0: f"same-{attempt}"
    )
    site.registered(register(CONTACT, expires="60"))
    site.registered(register("<sip:bob@h>", expires="60", user="bob"))
    site.registered(register(CONTACT, expires="60", call_id="again@h"))
    assert sorted((item.aor, item.token) for item in site.store.all()) == [
        ("sip:alice@example.com", "same-0"),
        ("sip:bob@example.com", "same-1"),
    ]


STEPS = st.tuples(
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(["<sip:x@192.0.2.7>", "<sip:x@192.0.2.8>", "*"]),
    st.sampled_from(["0", "60", "600"]),
    st.sampled_from(["one@h", "two@h"]),
    st.sampled_from([5060, 5070]),
    st.sampled_from([200, 401, 403, 503, 0]),
    st.integers(0, 2000),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_bindings_come_from_the_providers_2xx_and_end_with_its_grant(
    steps: list[tuple[str, str, str, str, int, int, int]],
) -> None:
    """Whoever sends whatever: a flow is bound only after a 2xx to that flow, and never for longer than granted."""
    site = Registering()
    accepted: dict[tuple[str, int], float] = {}
    for cseq, (user, contact, expires, call_id, port, status, wait) in enumerate(steps, 1):
        request = register(contact, cseq=cseq, expires=expires, call_id=call_id, user=user)
        site.send(request, a_flow(port=port))
        if site.asked and status:
            site.answer(status)
            if status == 200:
                accepted[user, port] = site.now() + 3600
        site.asked.clear()
        for binding in site.store.all():
            user_of = Uri.parse(binding.aor).user or ""
            assert binding.expires_at <= accepted[user_of, binding.flow.remote.port]
            assert binding.expires_at <= binding.provider_expires_at
        site.clock.advance(wait)
        site.registrar.expire()


def secure_site(downgrade: Downgrade) -> Registering:
    """A site where alice has registered over TLS, and comes over UDP now."""
    site = Registering(downgrade=downgrade)
    udp, site.flow = site.flow, a_flow("tls")
    site.registered()
    site.flow = udp
    assert site.memory.known(Peer("sip:alice@example.com")).tls is True
    return site


def test_a_phone_that_registered_over_tls_and_does_not_now_is_told_of() -> None:
    site = secure_site(Downgrade.ALERT)
    site.send(register(CONTACT, cseq=5))
    site.answer(200)
    assert site.told().status == 200
    assert site.metrics.value("gateway_downgrades_total", {"feature": "tls", "result": "allowed"}) == 1


def test_a_phone_that_registered_over_tls_and_does_not_now_is_refused_where_told_so() -> None:
    site = secure_site(Downgrade.REFUSE)
    site.send(register(CONTACT, cseq=5))
    assert site.told().status == 403
    assert site.asked == []
    assert site.metrics.value("gateway_downgrades_total", {"feature": "tls", "result": "refused"}) == 1
    site.memory.forget("sip:alice@example.com")
    site.send(register(CONTACT, cseq=6))
    assert len(site.asked) == 1


def test_phones_that_never_did_tls_are_not_remembered() -> None:
    site = Registering()
    site.registered()
    assert len(site.memory) == 0


def test_a_refresh_goes_to_the_provider_when_the_way_there_was_changed() -> None:
    site = Registering()
    site.registered()
    site.changed_at = NOW + 1
    site.clock.advance(2)
    site.send(register(CONTACT, cseq=5))
    assert len(site.asked) == 1
    site.answer(200)
    assert site.told().status == 200
    site.send(register(CONTACT, cseq=6))
    assert site.asked == []


def test_service_route_is_kept_with_the_binding() -> None:
    site = Registering()
    site.send(register(CONTACT, expires="60"))
    route = "<sip:orig@scscf.example.com;lr>, <sip:edge.example.com;lr>"
    site.answer(200, ("Service-Route", route))
    told = site.told()
    assert "Service-Route" not in told.headers
    (binding,) = site.store.find(ALICE)
    assert binding.service_route == route


def test_rfc3261_10_3_step_8_every_200_tells_the_date_of_peoples_clocks() -> None:
    site = Registering()
    date = "Fri, 12 Nov 2010 00:00:00 GMT"
    assert site.registered(register(CONTACT, expires="60")).headers.get_all("Date") == [date]
    site.send(register(CONTACT, cseq=2, expires="60"))
    assert site.told().headers.get_all("Date") == [date], "a refresh that is answered here"
    for again in (register(cseq=3), register("*", cseq=4, expires="0")):
        assert site.registered(again).headers.get_all("Date") == [date]


@pytest.mark.parametrize(
    ("transport", "contact", "is_behind"),
    [
        ("udp", "<sip:alice@192.0.2.7:5060>", False),
        ("udp", "<sip:alice@192.0.2.7>", False),
        ("udp", "<sip:alice@192.0.2.7:5062>", True),
        ("udp", "<sip:alice@10.0.0.5:5060>", True),
        ("udp", "<sip:alice@phone.local>", True),
        ("udp", "<sip:alice@[2001:db8::7]>", True),
        ("tls", "<sip:alice@[2001:DB8:0::7]>", True),
        ("tcp", "<sip:alice@192.0.2.7:5062;transport=tcp>", False),
        ("tcp", "<sip:alice@phone.local;transport=tcp>", False),
        ("tls", "<sip:alice@10.0.0.5:5061;transport=tls>", True),
    ],
)
def test_a_phone_behind_nat_is_granted_a_short_time_and_its_provider_asked_for_the_usual(
    transport: str, contact: str, is_behind: bool
) -> None:
    site = Registering()
    site.flow = a_flow(transport, host="192.0.2.7", connection=0 if transport == "udp" else 3)
    seconds = 60 if is_behind else 3600
    for cseq in range(1, 4):
        site.send(register(contact, cseq=cseq, expires="3600"))
        if cseq == 1:
            assert site.answer().contacts[0].parameter("expires") == "3600"
        assert site.told().contacts[0].parameter("expires") == str(seconds), "refreshes too"
        (item,) = site.store.find(ALICE)
        assert item.expires_at - site.now() == seconds
        site.clock.advance(30 if is_behind else 0)


@pytest.mark.parametrize(("via", "seconds"), [("10.0.0.5", 60), ("192.0.2.7", 3600), ("phone.local", 3600)])
def test_a_phone_that_knows_its_outer_address_shows_its_nat_by_its_via(via: str, seconds: int) -> None:
    """RFC 3581 section 9: a Contact may be learned by STUN or from our answers, the Via is the phone's own."""
    site = Registering()
    site.flow = a_flow(host="192.0.2.7")
    request = register("<sip:alice@192.0.2.7:5060>", expires="3600")
    request.headers.set("Via", f"SIP/2.0/UDP {via}:5060;branch=z9hG4bKvia")
    assert site.registered(request).contacts[0].parameter("expires") == str(seconds)


def test_an_ipv6_address_is_the_same_in_every_spelling() -> None:
    site = Registering()
    site.flow = a_flow(host="2001:db8::7")
    told = site.registered(register("<sip:alice@[2001:DB8:0:0::7]>", expires="3600"))
    assert told.contacts[0].parameter("expires") == "3600"


def test_nat_interval_0_grants_a_phone_behind_nat_its_wish() -> None:
    site = Registering()
    listener = attrs.evolve(listener_of("udp"), nat_interval=0)
    site.flow = RecordingFlow(listener, Address("192.0.2.99", 1024))
    assert site.registered(register(CONTACT, expires="3600")).contacts[0].parameter("expires") == "3600"


def test_a_phone_behind_nat_may_ask_for_the_grant_that_it_was_given() -> None:
    site = Registering()
    site.flow = RecordingFlow(attrs.evolve(listener_of("udp"), nat_interval=30), Address("192.0.2.99", 1024))
    assert site.registered(register(CONTACT, expires="3600")).contacts[0].parameter("expires") == "30"
    site.send(register(CONTACT, cseq=2, expires="30"))
    assert site.told().contacts[0].parameter("expires") == "30"
    site.send(register(CONTACT, cseq=3, expires="29"))
    assert site.told().headers.get("Min-Expires") == "30"


def test_a_query_behind_nat_is_told_what_is_left() -> None:
    site = Registering()
    site.flow = a_flow()
    site.registered(register(CONTACT, expires="3600"))
    site.clock.advance(20)
    assert site.registered(register(cseq=2)).contacts[0].parameter("expires") == "40"


def test_a_name_of_the_gateways_own_is_its_domain() -> None:
    site = Registering()
    request = register(CONTACT, expires="60")
    request.headers.set("To", "<sip:%61lice@gw.example.net:5060>")
    request.headers.set("From", "<sip:alice@gw.example.net>;tag=f")
    site.send(request)
    asked = site.answer()
    assert str(asked.to) == "<sip:alice@example.com>"
    assert str(asked.from_) == "<sip:alice@example.com>;tag=f"
    assert bound(site) == ["sip:alice@192.0.2.7:5060"]


def test_10_3_step_5_all_spellings_of_a_user_share_their_bindings() -> None:
    site = Registering()
    for number, user in enumerate(("a/lice", "a%2flice", "%61%2Flice"), 1):
        request = register(CONTACT, cseq=number, expires="60")
        request.headers.set("To", f"<sip:{user}@EXAMPLE.COM;user=phone>")
        site.send(request)
        if number == 1:
            site.answer()
        assert site.told().status == 200
    assert [item.aor for item in site.store.all()] == ["sip:a/lice@example.com"]


def events(site: Registering) -> list[tuple[str, str]]:
    return [(str(event.name), event.who) for _, event in site.metrics.events.after(0)]


def test_a_registration_is_an_event_once_and_so_is_its_end() -> None:
    site = Registering()
    site.registered()
    site.send(register(CONTACT, cseq=2, expires="60"))
    site.told()
    site.registered(register(CONTACT, cseq=3, expires="0"), seconds=0)
    alice = "sip:alice@example.com"
    assert events(site) == [("registration.accepted", alice), ("registration.removed", alice)]


def test_a_wrong_password_is_an_event_of_security_and_many_are_few() -> None:
    site = Registering()
    proof = (
        'Digest username="alice", realm="example.com", uri="sip:example.com", nonce="n", response="0123456789abcdef"'
    )
    for cseq in range(1, 100):
        site.send(register(OTHER, cseq=cseq, call_id="attacker@h", authorization=proof), a_flow(port=6666))
        site.answer(403)
    told = events(site)
    assert told[:2] == [
        ("registration.refused", "sip:alice@example.com"),
        ("security.wrong_password", "sip:alice@example.com"),
    ]
    assert len(told) == 2 * LINES.burst
    assert not [event for _, event in site.metrics.events.after(0) if "7777" in f"{event.source}{event.fields}"]


def test_a_refusal_without_credentials_is_no_wrong_password() -> None:
    site = Registering()
    site.send(register(CONTACT))
    site.answer(403)
    assert events(site) == [("registration.refused", "sip:alice@example.com")]


def next_process(site: Registering) -> None:
    """The bindings are there, and the ways to the provider are not."""
    site.rules.flows = ProviderFlows(site.store)


def test_the_first_refresh_after_a_restart_is_answered_here_and_the_provider_asked_beside() -> None:
    site = Registering()
    site.registered()
    next_process(site)
    site.clock.advance(50)
    site.send(register(CONTACT, cseq=2, expires="60"))
    assert site.told().status == 200, "nobody waits for the provider"
    assert len(site.asked) == 1
    site.send(register(CONTACT, cseq=3, expires="60"))
    assert site.told().status == 200
    assert len(site.asked) == 1, "once is enough"
    site.answer()
    assert not site.flow.take(), "the phone hears nothing more"
    (binding,) = site.store.find(ALICE)
    assert binding.provider_expires_at == NOW + 50 + 3600
    site.clock.advance(50)
    site.send(register(CONTACT, cseq=4, expires="60"))
    assert not site.asked


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_provider_that_grants_nothing_beside_is_asked_at_the_next_refresh(status: int) -> None:
    site = Registering()
    site.registered()
    next_process(site)
    site.send(register(CONTACT, cseq=2, expires="60"))
    assert site.told().status == 200
    site.answer(status)
    assert not site.flow.take()
    site.send(register(CONTACT, cseq=3, expires="60"))
    assert not site.flow.take()
    site.answer(status)
    assert site.told().status == status


def test_a_provider_that_is_silent_after_a_restart_is_asked_again_and_phones_stay() -> None:
    site = Registering()
    site.registered()
    next_process(site)
    for cseq in (2, 3):
        site.clock.advance(40)
        site.send(register(CONTACT, cseq=cseq, expires="60"))
        assert site.told().status == 200
        site.fail()
    assert bound(site)


def test_few_phones_are_asked_for_at_once_after_a_restart() -> None:
    site = Registering(capacity=500)
    for number in range(50):
        site.registered(
            register(f"<sip:u@192.0.2.7:{number + 1}>", user=f"u{number}", expires="60", call_id=f"c{number}")
        )
    next_process(site)
    for number in range(50):
        contact = f"<sip:u@192.0.2.7:{number + 1}>"
        site.send(register(contact, user=f"u{number}", expires="60", call_id=f"c{number}", cseq=2))
        assert site.told().status == 200
        site.clock.advance(0.001)
    assert len(site.asked) <= 50 / 5
    assert len(site.asked) > 5


def test_nobody_else_is_answered_for_a_binding_of_before_a_restart() -> None:
    """Another address, another Call-ID, a new contact or a removal are the provider's to judge, as ever."""
    site = Registering()
    site.registered()
    next_process(site)
    for request, flow in (
        (register(CONTACT, cseq=2, expires="60"), a_flow(host="203.0.113.9")),
        (register(CONTACT, cseq=2, expires="60", call_id="other"), None),
        (register(OTHER, cseq=3, expires="60"), None),
        (register(CONTACT, cseq=4, expires="0"), None),
    ):
        site.asked.clear()
        site.send(request, flow)
        assert not site.flow.take()
        assert len(site.asked) == 1
