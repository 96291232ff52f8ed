"""The challenge of inbound requests: right, wrong, missing and replayed credentials (RFC 3261 section 22, RFC 8760)."""

import os

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.authenticator import Authenticator, Offer
from gateway.security.nonces import Nonces
from gateway.sip import digest
from gateway.sip.digest import Challenge, Credentials
from gateway.sip.errors import Refused
from gateway.sip.message import Request
from tests.support.transactions import make_request

NOW = 1_700_000_000.0
PASSWORDS = {"provider": "s3cret"}


class Peer:
    """A peer that answers challenges, and the authenticator it meets."""

    def __init__(self, offer: Offer | None = None) -> None:
        self.authenticator = Authenticator(Nonces(b"secret", os.urandom), offer)
        self.now = NOW

    def ask(self, request: Request) -> str:
        return self.authenticator.authenticate(request, "example.com", PASSWORDS.get, self.now)

    def challenged(self, request: Request | None = None) -> list[Challenge]:
        with pytest.raises(Refused) as refused:
            self.ask(request or make_request("INVITE"))
        assert refused.value.status == 401
        assert {name for name, _ in refused.value.headers} == {"WWW-Authenticate"}
        return [Challenge.parse(text) for _, text in refused.value.headers]

    def answer(
        self, challenge: Challenge, nc: int = 1, password: str = "s3cret", user: str = "provider"
    ) -> Credentials:
        return digest.answer(
            challenge,
            username=user,
            password=password,
            method="INVITE",
            uri="sip:bob@example.com",
            cnonce="c",
            nc=nc,
        )


def invite(credentials: object, *others: object) -> Request:
    request = make_request("INVITE", body=b"v=0")
    for item in (credentials, *others):
        request.headers.add("Authorization", str(item))
    return request


def test_challenges_come_in_the_configured_order_with_nonces_of_their_own() -> None:
    challenges = Peer().challenged()
    assert [item.algorithm for item in challenges] == ["SHA-256", "MD5"]
    assert len({item.nonce for item in challenges}) == 2
    assert all(item.qop == ("auth",) and item.realm == "example.com" and not item.stale for item in challenges)
    assert [item.algorithm for item in Peer(Offer(("MD5",))).challenged()] == ["MD5"]


@pytest.mark.parametrize("which", [0, 1])
def test_a_right_answer_to_either_challenge_is_taken(which: int) -> None:
    peer = Peer()
    assert peer.ask(invite(peer.answer(peer.challenged()[which]))) == "provider"


def test_a_nonce_serves_again_with_a_higher_count() -> None:
    peer = Peer()
    challenge = peer.challenged()[0]
    for nc in (1, 2, 7):
        assert peer.ask(invite(peer.answer(challenge, nc))) == "provider"


@pytest.mark.parametrize("nc", [1, 2, 3])
def test_a_replay_is_challenged_anew(nc: int) -> None:
    peer = Peer()
    challenge = peer.challenged()[0]
    peer.ask(invite(peer.answer(challenge, 3)))
    assert all(item.stale for item in peer.challenged(invite(peer.answer(challenge, nc))))


def test_an_answer_without_qop_serves_once() -> None:
    peer = Peer()
    old = attrs.evolve(peer.challenged()[1], qop=())
    assert peer.ask(invite(peer.answer(old))) == "provider"
    assert peer.challenged(invite(peer.answer(old)))[0].stale


def test_an_old_nonce_is_stale_only_to_who_knows_the_password() -> None:
    peer = Peer()
    challenge = peer.challenged()[0]
    peer.now += 301
    assert peer.challenged(invite(peer.answer(challenge)))[0].stale
    assert not peer.challenged(invite(peer.answer(challenge, password="guess")))[0].stale


@pytest.mark.parametrize(
    "change",
    [
        {"response": "0" * 64},
        {"nonce": "AAAA"},
        {"username": "nobody"},
        {"realm": "elsewhere"},
        {"algorithm": "MD5"},
        {"algorithm": "SHA-512-256"},
        {"algorithm": "SHA-256-sess"},
        {"uri": "sip:mallory@example.com"},
        {"uri": "nonsense"},
        {"nc": 2},
        {"cnonce": "d"},
        {"qop": "auth-int"},
    ],
)
def test_whatever_is_changed_in_a_right_answer_makes_it_wrong(change: dict[str, object]) -> None:
    peer = Peer()
    right = peer.answer(peer.challenged()[0])
    wrong = attrs.evolve(right, **change)  # type: ignore[arg-type]
    assert not peer.challenged(invite(wrong))[0].stale
    assert peer.ask(invite(right)) == "provider", "a wrong answer uses nothing up"


@pytest.mark.parametrize(("user", "password"), [("provider", "wrong"), ("nobody", "s3cret"), ("", "")])
def test_wrong_passwords_and_unknown_users(user: str, password: str) -> None:
    peer = Peer()
    assert not peer.challenged(invite(peer.answer(peer.challenged()[0], password=password, user=user)))[0].stale


def test_an_answer_for_another_method_is_wrong() -> None:
    peer = Peer()
    request = invite(peer.answer(peer.challenged()[0]))
    request.method = "NOTIFY"
    peer.challenged(request)


def test_a_nonce_made_for_one_algorithm_is_none_for_another() -> None:
    peer = Peer()
    sha, md5 = peer.challenged()
    peer.challenged(invite(peer.answer(attrs.evolve(md5, nonce=sha.nonce))))


def test_a_digest_over_the_servers_address_is_taken_and_the_check_can_be_off() -> None:
    peer = Peer(Offer(checks_uri=False))
    challenge = peer.challenged()[0]
    retargeted = digest.answer(
        challenge, username="provider", password="s3cret", method="INVITE", uri="sip:other@x", cnonce="c"
    )
    assert peer.ask(invite(retargeted)) == "provider"
    strict = Peer()
    by_host = digest.answer(
        strict.challenged()[0],
        username="provider",
        password="s3cret",
        method="INVITE",
        uri="sip:example.com",
        cnonce="c",
    )
    assert strict.ask(invite(by_host)) == "provider"
    strict.challenged(invite(retargeted))


def test_other_schemes_and_realms_beside_the_right_answer_do_no_harm() -> None:
    peer = Peer()
    right = peer.answer(peer.challenged()[0])
    assert peer.ask(invite("Bearer abc", attrs.evolve(right, realm="other"), right)) == "provider"


def test_of_many_answers_only_the_first_few_are_looked_at() -> None:
    peer = Peer()
    right = peer.answer(peer.challenged()[0])
    wrong = attrs.evolve(right, response="0" * 64)
    peer.challenged(invite(*[wrong] * 20, right))


@pytest.mark.parametrize(
    "text",
    [
        "Digest",
        "Digest realm",
        'Digest realm="example.com"',
        'Digest realm="example.com", realm="example.com"',
        "Digest " + "a=b," * 5_000,
        'Digest username="provider", realm="example.com", nonce="n", uri="u", response="xyz"',
        'Digest username="p", realm="example.com", nonce="n", uri="u", response="' + "0" * 32 + '", qop=auth, nc=1',
    ],
)
def test_what_cannot_be_read_is_400(text: str) -> None:
    with pytest.raises(Refused) as refused:
        Peer().ask(invite(text))
    assert refused.value.status == 400


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=120))
def test_any_authorization_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(Refused) as refused:
        Peer().ask(invite(f"Digest {text}"))
    assert refused.value.status in (400, 401)
