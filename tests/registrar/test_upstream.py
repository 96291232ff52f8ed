"""Reading a phone's REGISTER, writing the provider's, and passing answers back."""

import time

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
    passed_back,
    provider_request,
    token_for,
)
from gateway.sip.address import NameAddress
from gateway.sip.digest import without_auth_int
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response
from gateway.sip.uri import Uri
from tests.support.registering import CONTACT, register
from tests.support.transactions import RecordingFlow

SECRET = b"s" * 32


def read(request: Request) -> Asked:
    return Asked.read(request, "example.com")


def outward(request: Request) -> Request:
    asked = read(request)
    tokens = {contact.uri: f"alice-{index}" for index, contact in enumerate(asked.contacts)}
    return provider_request(request, asked, tokens, 3600, call_id_for(SECRET, asked))


def test_a_register_is_read() -> None:
    asked = read(register(CONTACT + ';q=0.5;+sip.instance="<urn:uuid:1>"', expires="120"))
    (contact,) = asked.contacts
    assert (asked.aor, asked.user, asked.cseq) == ("sip:alice@example.com", "alice", 1)
    assert (contact.uri, contact.interval, contact.q) == ("sip:alice@192.0.2.7:5060", 120, 0.5)
    assert contact.instance == "<urn:uuid:1>"


@pytest.mark.parametrize(
    ("contact", "expires", "seconds"),
    [
        (CONTACT, None, 3600),
        (CONTACT, "120", 120),
        (CONTACT + ";expires=60", "120", 60),
        (CONTACT + ";expires=0", "120", 0),
        (CONTACT + ";expires=soon", "120", 3600),
        (CONTACT, "4294967295", LONGEST_INTERVAL),
    ],
)
def test_intervals_by_section_10_2_1_1(contact: str, expires: str | None, seconds: int) -> None:
    assert read(register(contact, expires=expires)).contacts[0].interval == seconds


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(["*"], None), (["*"], "60"), (["<tel:+1>"], "60"), (["<http://h/>"], "60")],
)
def test_contacts_that_are_refused(contacts: list[str], expires: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read(register(*contacts, expires=expires))
    assert refused.value.status == 400


@pytest.mark.parametrize("contacts", [["*", CONTACT], ["*", "*"], [CONTACT + ";q=2"], ["nonsense <"]])
def test_contacts_that_are_malformed(contacts: list[str]) -> None:
    with pytest.raises(MalformedMessage):
        read(register(*contacts, expires="0"))


def test_an_address_of_record_is_canonical_and_of_its_domain() -> None:
    assert address_of_record(Uri.parse("sips:%61lice@EXAMPLE.com:5061;x=y"), "Example.com") == "sip:alice@example.com"
    for other in ("sip:alice@other.example", "sip:example.com", "tel:+1"):
        with pytest.raises(Refused):
            address_of_record(Uri.parse(other), "example.com")


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
    dress(sent, RecordingFlow("tls", Side.PROVIDER))
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
    dress(sent, RecordingFlow("tls", Side.PROVIDER))
    dress(sent, RecordingFlow(transport, Side.PROVIDER))
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


def test_a_challenge_is_passed_back_without_auth_int() -> None:
    request = register(CONTACT)
    response = request.response(401, "Unauthorized", "provider-tag")
    response.headers.add("WWW-Authenticate", 'Digest realm="r", qop="auth,auth-int", nonce="n"')
    response.headers.add("WWW-Authenticate", 'Digest realm="r", algorithm=SHA-256, nonce="m"')
    response.headers.add("Contact", "<sip:somebody@provider>")
    response.headers.add("Server", "provider")
    answer = passed_back(request, response, "our-tag")
    assert answer.status == 401
    assert answer.to.tag == "our-tag"
    assert answer.headers.get_all("WWW-Authenticate") == [
        'Digest realm="r", qop="auth", nonce="n"',
        'Digest realm="r", algorithm=SHA-256, nonce="m"',
    ]
    assert "Contact" not in answer.headers
    assert "Server" not in answer.headers


def test_a_redirection_is_no_answer_for_a_phone() -> None:
    request = register(CONTACT)
    response = request.response(302)
    response.headers.add("Contact", "<sip:internal@10.0.0.1>")
    answer = passed_back(request, response, "t")
    assert answer.status == 502
    assert "10.0.0.1" not in answer.to_bytes().decode()


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        ('Digest qop="auth-int,auth"', 'Digest qop="auth"'),
        ('Digest QOP = "auth, auth-int"', 'Digest QOP = "auth"'),
        ('Digest qop="auth-int"', 'Digest qop="auth-int"'),
        ('Digest qop="auth"', 'Digest qop="auth"'),
        (r'Digest realm="qop=\"auth,auth-int\"", qop="auth"', r'Digest realm="qop=\"auth,auth-int\"", qop="auth"'),
        ("Digest nothing", "Digest nothing"),
    ],
)
def test_auth_int_is_removed_only_where_auth_is_left(challenge: str, expected: str) -> None:
    assert without_auth_int(challenge) == expected


@given(st.text(alphabet='a"\\,= qop-int', max_size=60))
def test_removing_auth_int_never_fails(text: str) -> None:
    without_auth_int(text)


def test_numeric_host_counts_as_the_domain_and_does_not_reach_the_provider() -> None:
    named = NameAddress.parse('"Alice" <sip:alice@192.0.2.1:5060;user=phone>;tag=f1')
    assert str(in_domain(named, "example.com")) == '"Alice" <sip:alice@example.com>;tag=f1'
    assert address_of_record(named.uri, "example.com") == "sip:alice@example.com"
    other = NameAddress.parse("<sip:alice@elsewhere.example>")
    assert in_domain(other, "example.com") == other


@pytest.mark.parametrize("filler", ["a" * 60_000, 'a="' * 20_000, "a " * 30_000, 'realm="\\' * 8_000])
def test_a_challenge_takes_time_in_proportion_to_its_length(filler: str) -> None:
    began = time.thread_time()
    without_auth_int(f"Digest {filler}")
    assert time.thread_time() - began < 1.0
