"""Writing the provider's REGISTER, and reading its grant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Side
from gateway.registrar.request import LONGEST_INTERVAL, Asked, address_of_record
from gateway.registrar.upstream import (
    call_id_for,
    dress,
    granted,
    in_domain,
    keyed,
    provider_request,
    token_for,
)
from gateway.sip.address import NameAddress
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from tests.support.flows import a_flow
from tests.support.registering import CONTACT, register

SECRET = b"s" * 32


def read(request: Request) -> Asked:
    return Asked.read(request, "example.com")


def outward(request: Request) -> Request:
    asked = read(request)
    tokens = {contact.uri: f"alice-{index}" for index, contact in enumerate(asked.contacts)}
    return provider_request(request, asked, tokens, 3600, call_id_for(SECRET, asked))


def test_the_providers_register_shows_nothing_of_the_phones_network() -> None:
    request = register(CONTACT + ";expires=60", call_id="abc@192.0.2.7", authorization='Digest username="alice"')
    request.headers.add("User-Agent", "Cisco/SPA504G-7.6.2 001122334455")
    request.headers.add("Path", "<sip:192.0.2.7;lr>")
    request.headers.add("Supported", "path, gruu")
    request.headers.add("X-Secret", "192.0.2.7")
    sent = outward(request).to_bytes().decode()
    assert "192.0.2.7" not in sent
    assert "SPA504G" not in sent
    assert sent.startswith("REGISTER sip:example.com SIP/2.0\r\n")
    for line in (
        "From: <sip:alice@example.com>;tag=alice",
        "To: <sip:alice@example.com>",
        "CSeq: 1 REGISTER",
        "Contact: <sip:alice-0@gateway.invalid>;expires=3600",
        'Authorization: Digest username="alice"',
        "User-Agent: gateway",
        "Max-Forwards: 70",
    ):
        assert f"\r\n{line}\r\n" in sent


def test_a_longer_wish_a_removal_and_a_preference_reach_the_provider() -> None:
    sent = outward(register(CONTACT + ";expires=7200;q=0.5", "<sip:b@h>;expires=0"))
    assert sent.headers.get_all("Contact") == [
        "<sip:alice-0@gateway.invalid>;q=0.5;expires=7200",
        "<sip:alice-1@gateway.invalid>;expires=0",
    ]


def test_a_wildcard_reaches_the_provider() -> None:
    sent = outward(register("*", expires="0"))
    assert (sent.headers.get("Contact"), sent.headers.get("Expires")) == ("*", "0")
    dress(sent, a_flow("tls", Side.PROVIDER))
    assert sent.headers.get("Contact") == "*"


def test_a_request_uri_that_names_the_gateway_becomes_the_domain() -> None:
    request = register(CONTACT)
    request.uri = "sip:127.0.0.20:5060"
    assert outward(request).uri == "sip:example.com"
    request.uri = "sip:EXAMPLE.com;transport=udp"
    assert outward(request).uri == "sip:EXAMPLE.com;transport=udp"


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("tls", "<sip:alice-0@127.0.0.20:5060;transport=tls>;expires=3600"),
        ("tcp", "<sip:alice-0@127.0.0.20:5060;transport=tcp>;expires=3600"),
        ("udp", "<sip:alice-0@127.0.0.20:5060>;expires=3600"),
    ],
)
def test_contacts_are_dressed_for_the_flow_and_can_be_dressed_again(transport: str, expected: str) -> None:
    sent = outward(register(CONTACT))
    dress(sent, a_flow("tls", Side.PROVIDER))
    dress(sent, a_flow(transport, Side.PROVIDER))
    assert sent.headers.get_all("Contact") == [expected]


def test_tokens_are_stable_and_tell_nothing() -> None:
    token = token_for(SECRET, "alice", "sip:alice@example.com", "sip:alice@192.0.2.7")
    assert token == token_for(SECRET, "alice", "sip:alice@example.com", "sip:alice@192.0.2.7")
    assert token.startswith("alice-")
    assert len(token) == len("alice-") + 8
    others = [
        token_for(b"other", "alice", "sip:alice@example.com", "sip:alice@192.0.2.7"),
        token_for(SECRET, "alice", "sip:alice@example.org", "sip:alice@192.0.2.7"),
        token_for(SECRET, "alice", "sip:alice@example.com", "sip:alice@192.0.2.8"),
        token_for(SECRET, "alice", "sip:alice@example.com", "sip:alice@192.0.2.7", 1),
    ]
    assert token not in others
    assert len(set(others)) == 4


@given(st.text(max_size=60))
def test_any_user_makes_a_token_that_a_uri_can_hold(user: str) -> None:
    token = token_for(SECRET, user, "aor", "place")
    assert Uri.parse(f"sip:{token}@h").user == token


def test_hashed_parts_do_not_run_together() -> None:
    assert keyed(SECRET, "ab", "c") != keyed(SECRET, "a", "bc") != keyed(SECRET, "abc")


def response_with(*contacts: str, expires: str | None = None) -> Response:
    headers = Headers(("Contact", contact) for contact in contacts)
    if expires is not None:
        headers.add("Expires", expires)
    return Response(200, "OK", headers)


@pytest.mark.parametrize(
    ("response", "seconds"),
    [
        (response_with("<sip:tok@h>;expires=300", expires="900"), 300),
        (response_with("<sip:other@h>;expires=60", "<sip:tok@h>;expires=300"), 300),
        (response_with("<sip:tok@h>", expires="900"), 900),
        (response_with("<sip:tok@h>"), 3600),
        (response_with(), 3600),
        (response_with(expires="120"), 120),
        (response_with("<sip:other@h>;expires=60"), 0),
        (response_with("<sip:tok@h>;expires=9999999999"), LONGEST_INTERVAL),
    ],
)
def test_what_a_provider_grants(response: Response, seconds: int) -> None:
    assert granted(response, "tok", 3600) == seconds


def test_numeric_host_counts_as_the_domain_and_does_not_reach_the_provider() -> None:
    named = NameAddress.parse('"Alice" <sip:alice@192.0.2.1:5060;user=phone>;tag=f1')
    assert str(in_domain(named, "example.com", "example.com")) == '"Alice" <sip:alice@example.com>;tag=f1'
    assert address_of_record(named.uri, "example.com") == "sip:alice@example.com"
    other = NameAddress.parse("<sip:alice@elsewhere.example>")
    assert in_domain(other, "example.com", "gw.example.net") == other
    own = NameAddress.parse("<sip:alice@GW.example.net:5060>")
    assert str(in_domain(own, "example.com", "gw.example.net")) == "<sip:alice@example.com>"
