"""A phone's answers: challenges without auth-int, and nothing of the provider's network."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.registrar.answer import passed_back
from gateway.sip.digest import without_auth_int
from tests.support.registering import CONTACT, register


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


@pytest.mark.parametrize("filler", ["a" * 60_000, 'a="' * 20_000, "a " * 30_000, 'realm="\\' * 8_000])
def test_a_challenge_takes_time_in_proportion_to_its_length(filler: str) -> None:
    began = time.thread_time()
    without_auth_int(f"Digest {filler}")
    assert time.thread_time() - began < 1.0
