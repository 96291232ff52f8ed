"""Where requests go."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Media, Provider, Security
from gateway.registrar.memory_store import MemoryStore
from gateway.routing.router import Router
from gateway.sip.errors import Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from tests.support.bindings import NOW, binding
from tests.support.ladder import PHONES

ALICE = binding(aor="sip:alice@a.example", token="alice-1")
BOB = binding(aor="sip:b/b@b.example", contact="sip:b%2Fb@192.0.2.8", token="b_b-2")


def configured(*names: str, address: str = "192.0.2.1") -> Configuration:
    domains = tuple(Domain(name, "one", Security.REQUIRED) for name in names or ("a.example", "b.example"))
    return Configuration(
        gateway=GatewaySection("gw", Path("/nowhere")),
        listeners=(attrs.evolve(PHONES, address=address),),
        media=Media("127.0.0.1"),
        providers=(Provider("one", "sip:one.example"),),
        domains=domains,
        admin=Admin(),
        source=Path("/nowhere/gateway.toml"),
    )


def router(*names: str) -> Router:
    store = MemoryStore(lambda: NOW)
    store.save(ALICE)
    store.save(BOB)
    return Router(configured(*names), store)


def request(uri: str, caller: str = "sip:carol@elsewhere.example", to: str = "") -> Request:
    return Request("INVITE", uri, Headers([("From", f"<{caller}>;tag=f"), ("To", f"<{to or uri}>")]))


@pytest.mark.parametrize(
    ("uri", "caller", "domain"),
    [
        ("sip:bob@b.example", "sip:alice@a.example", "a.example"),
        ("sip:bob@elsewhere.example", "sip:alice@a.example", "a.example"),
        ("tel:+49301234", "sip:alice@b.example", "b.example"),
        ("urn:service:sos", "sip:alice@b.example", "b.example"),
        ("sip:bob@b.example", "sip:anonymous@anonymous.invalid", "b.example"),
        ("sip:bob@A.EXAMPLE:5060;transport=udp", "sip:alice@elsewhere.example", "a.example"),
    ],
)
def test_policy_of_the_callers_own_domain_holds_for_the_call(uri: str, caller: str, domain: str) -> None:
    route = router().outward(request(uri, caller), None)
    assert (route.domain.name, route.request_uri, route.binding) == (domain, uri, None)


@pytest.mark.parametrize("uri", ["sip:bob@b.example", "tel:+49301234", "sip:bob@elsewhere.example"])
@pytest.mark.parametrize("name", ["sip:anonymous@anonymous.invalid", "sip:anonymous@b.example"])
def test_rfc3323_a_caller_without_a_name_is_of_the_domain_that_it_registered_in(uri: str, name: str) -> None:
    route = router().outward(request(uri, name), ALICE)
    assert (route.domain.name, route.caller) == ("a.example", ALICE)


def test_a_registration_in_a_domain_that_is_served_no_more_counts_in_no_other() -> None:
    route = router("b.example").outward(request("sip:bob@b.example", "sip:anonymous@anonymous.invalid"), ALICE)
    assert (route.domain.name, route.caller) == ("b.example", None)


@pytest.mark.parametrize(
    ("uri", "caller", "status"),
    [
        ("sip:bob@elsewhere.example", "sip:alice@elsewhere.example", 403),
        ("sip:bob@elsewhere.example", "sip:anonymous@anonymous.invalid", 403),
        ("mailto:bob@a.example", "sip:alice@a.example", 416),
    ],
)
def test_callers_of_no_domain_here_and_other_schemes_are_refused(uri: str, caller: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        router().outward(request(uri, caller), None)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("uri", "to", "served", "domain"),
    [
        ("sip:alice@a.example", "sip:x@b.example", ("b.example",), "a.example"),
        ("sip:nobody@A.Example", "sip:x@b.example", ("b.example",), "a.example"),
        ("sip:alice-1@192.0.2.1", "sip:x@b.example", ("a.example", "b.example"), "a.example"),
        # a token is one to its own domain's peers alone, and to any other as good as none
        ("sip:alice-1@192.0.2.1", "sip:x@b.example", ("b.example",), "b.example"),
        ("sip:alice-9@192.0.2.1", "sip:x@b.example", ("b.example",), "b.example"),
        ("sip:alice-1@192.0.2.1", "sip:x@one.example", ("b.example",), "b.example"),
        ("sip:alice-9@192.0.2.1", "sip:x@one.example", ("b.example",), "b.example"),
        ("sip:alice@192.0.2.1", "sip:alice@a.example", ("b.example",), "a.example"),
        ("sip:192.0.2.1", "sip:nobody@a.example", ("b.example",), "a.example"),
        ("tel:+49301234", "tel:+49301234", ("b.example", "a.example"), "b.example"),
        ("sip:alice-1@192.0.2.1", "sip:x@one.example", (), None),
    ],
)
def test_the_domain_called_does_not_tell_who_is_bound(
    uri: str, to: str, served: tuple[str, ...], domain: str | None
) -> None:
    found = router().called_domain(request(uri, to=to), served)
    assert (found and found.name) == domain


@pytest.mark.parametrize(
    ("uri", "to", "contact"),
    [
        ("sip:alice-1@192.0.2.1", "sip:x@elsewhere.example", ALICE.contact),
        ("sip:%61lice@A.EXAMPLE:5060;user=phone", "sip:x@elsewhere.example", ALICE.contact),
        ("sip:192.0.2.1", "sips:alice@a.example", ALICE.contact),
        ("sip:Alice@a.example", "sip:x@elsewhere.example", 480),
        ("sip:b_b-2@192.0.2.1", "sip:x@a.example", 480),
        ("sip:b%2fb@b.example", "sip:x@elsewhere.example", 480),
        ("sip:alice-9@192.0.2.1", "sip:x@elsewhere.example", 404),
    ],
)
def test_phones_are_found_within_the_domain_by_token_or_address_of_record(
    uri: str, to: str, contact: str | int
) -> None:
    here = router()
    domain = here.domain_named("a.example")
    assert domain is not None
    if isinstance(contact, str):
        assert here.inward(request(uri, to=to), domain).request_uri == contact
        return
    with pytest.raises(Refused) as refused:
        here.inward(request(uri, to=to), domain)
    assert refused.value.status == contact


def test_rfc3261_10_3_a_user_is_found_by_every_spelling_and_by_no_others() -> None:
    here = router()
    domain = here.domain_named("b.example")
    assert domain is not None
    for uri in ("sip:b/b@b.example", "sip:b%2fb@B.example", "sips:%62%2F%62:word@b.example;x"):
        assert here.inward(request(uri), domain).binding == BOB
    for uri in ("sip:B/b@b.example", "sip:b%252fb@b.example", "sip:b%40b@b.example"):
        with pytest.raises(Refused):
            here.inward(request(uri), domain)


def test_with_one_domain_the_gateways_own_address_is_that_domain() -> None:
    here = router("a.example")
    found = here.called_domain(request("sip:alice@192.0.2.1", to="sip:x@elsewhere.example"), ())
    assert found is not None
    assert here.inward(request("sip:alice@192.0.2.1"), found).binding == ALICE


def test_of_own_addresses_the_last_two_are_known_however_they_change() -> None:
    """Phones that were given the one before as their domain have not heard of the new one yet."""
    here = router("a.example")
    asked = here.own_hosts
    for number in (2, 3, 4):
        moved = configured("a.example", address=f"192.0.2.{number}")
        (here.move if number == 3 else here.adopt)(moved)
        here.adopt(moved)  # a reload that changes nothing forgets nothing
        assert asked == {f"192.0.2.{number - 1}", f"192.0.2.{number}"}
    assert here.domain_named("192.0.2.3") is not None
    assert here.domain_named("192.0.2.1") is None
