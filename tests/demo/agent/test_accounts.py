"""Digest at the provider (RFC 3261 section 22): admissions, challenges, and a client's answers."""

import pytest
from twisted.internet.task import Clock

from gateway.demo.agent.accounts import Account, Accounts, authorized
from gateway.sip.digest import Challenge
from gateway.sip.headers import Headers
from gateway.sip.message import Request, Response

ALICE = Account("alice", "example.com", "secret")
CHALLENGES = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}


def request(method: str = "REGISTER") -> Request:
    headers = Headers(
        [
            ("Via", "SIP/2.0/TLS 127.0.0.20:5061;branch=z9hG4bKa"),
            ("From", "<sip:alice@example.com>;tag=1"),
            ("To", "<sip:alice@example.com>"),
            ("Call-ID", "call@example.com"),
            ("CSeq", f"7 {method}"),
        ]
    )
    return Request(method, "sip:example.com", headers)


def accounts(clock: Clock) -> Accounts:
    return Accounts("example.com", {"alice": "secret", "bob": "secret"}, clock.seconds)


def repeated(first: Request, challenge: Response, account: Account = ALICE) -> Request:
    second = authorized(first, challenge, account)
    assert second is not None
    return second


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenged_user_is_known_by_the_answer(status: int) -> None:
    provider, first = accounts(Clock()), request()
    assert provider.user_of(first, status) is None
    second = repeated(first, provider.challenge(first, status))
    assert provider.user_of(second, status) == "alice"


def test_the_repeated_request_keeps_call_and_tag_and_counts_on() -> None:
    first = request()
    second = repeated(first, accounts(Clock()).challenge(first, 401))
    assert (second.call_id, second.from_, second.cseq.number) == (first.call_id, first.from_, 8)
    assert "Via" not in second.headers


@pytest.mark.parametrize(
    "account", [Account("alice", "example.com", "wrong"), Account("mallory", "example.com", "secret")]
)
def test_wrong_credentials_are_nobody(account: Account) -> None:
    provider, first = accounts(Clock()), request()
    assert provider.user_of(repeated(first, provider.challenge(first, 401), account), 401) is None


def test_credentials_for_another_method_are_nobody() -> None:
    provider, first = accounts(Clock()), request()
    second = repeated(first, provider.challenge(first, 401))
    assert provider.user_of(Request("INVITE", second.uri, second.headers), 401) is None


def test_an_old_nonce_is_stale() -> None:
    clock = Clock()
    provider, first = accounts(clock), request()
    second = repeated(first, provider.challenge(first, 401))
    clock.advance(302)
    assert provider.user_of(second, 401) is None
    assert Challenge.parse(provider.challenge(second, 401).headers.get("WWW-Authenticate") or "").stale


@pytest.mark.parametrize("nonce", ["", "0", "zz.00", "0.0123456789abcdef"])
def test_a_nonce_that_is_not_ours_is_nobody(nonce: str) -> None:
    first = request()
    foreign = first.response(401)
    foreign.headers.add("WWW-Authenticate", str(Challenge(realm="example.com", nonce=nonce, qop=("auth",))))
    assert accounts(Clock()).user_of(repeated(first, foreign), 401) is None


def test_a_login_other_than_the_user() -> None:
    provider, first = accounts(Clock()), request()
    caller = Account("echo", "example.com", "secret", login="bob")
    assert provider.user_of(repeated(first, provider.challenge(first, 401), caller), 401) == "bob"


@pytest.mark.parametrize("status", [401, 407])
def test_nothing_is_answered_twice_or_without_a_known_algorithm(status: int) -> None:
    first = request()
    challenge = accounts(Clock()).challenge(first, status)
    assert authorized(repeated(first, challenge), challenge, ALICE) is None
    challenge.headers.set(CHALLENGES[status], 'Digest realm="example.com", nonce="1", algorithm=ROT13')
    assert authorized(first, challenge, ALICE) is None


def test_the_first_challenge_with_a_known_algorithm_is_answered() -> None:
    provider, first = accounts(Clock()), request()
    challenge = provider.challenge(first, 401)
    challenge.headers.prepend("WWW-Authenticate", 'Digest realm="example.com", nonce="1", algorithm=ROT13')
    assert provider.user_of(repeated(first, challenge), 401) == "alice"
