"""The caller of a local call proves its password here, as it would to the provider (RFC 3261 section 22)."""

from __future__ import annotations

import random
from pathlib import Path

import attrs
import pytest
from twisted.internet.defer import Deferred

from gateway.security.admission import DomainAdmission
from gateway.security.authenticator import Authenticator
from gateway.security.nonces import Nonces
from gateway.sip import digest
from gateway.sip.digest import Challenge
from gateway.sip.message import Request, Response
from tests.support.stories import came
from tests.support.two_users import TwoUsers


class Office(TwoUsers):
    """It has the passwords of these users."""

    def __init__(self, directory: Path, users: str = 'alice = "secret"\n') -> None:
        super().__init__()
        file = directory / "passwords.toml"
        file.write_text(users, encoding="utf-8")
        file.chmod(0o600)
        (domain,) = self.configuration.domains
        configuration = attrs.evolve(self.configuration, domains=(attrs.evolve(domain, credentials=file),))
        nonces = Nonces(b"s" * 32, random.Random(8).randbytes)
        self.admission.instead = DomainAdmission(
            configuration, Authenticator(nonces), lambda _: Deferred(), self.clock.seconds
        )


def answered(request: Request, challenged: Response, password: str = "secret", user: str = "alice") -> Request:
    """The same request with an answer to the first challenge, and the next CSeq."""
    challenge = Challenge.parse(challenged.headers.get_all("WWW-Authenticate")[0])
    again = attrs.evolve(request, headers=request.headers.copy())
    again.headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
    again.headers.set("Via", f"SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bKagain{request.cseq.number};rport")
    said = digest.answer(
        challenge, username=user, password=password, method=request.method, uri=request.uri, cnonce="c", nc=1
    )
    again.headers.set("Authorization", str(said))
    return again


def first(office: Office, method: str) -> tuple[Request, Response]:
    """Alice asks bob, and is asked for her password."""
    request = office.alice.request(method, "sip:bob@example.com")
    office.alice.sends(request)
    challenged = next(one for one in office.alice.flow.sent if isinstance(one, Response) and one.status == 401)
    office.alice.flow.sent.clear()
    return request, challenged


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_the_caller_is_challenged_and_goes_on_with_its_password(tmp_path: Path, method: str) -> None:
    office = Office(tmp_path)
    request, challenged = first(office, method)
    assert 'realm="example.com"' in challenged.headers.get_all("WWW-Authenticate")[0]
    office.bob.receives_nothing()
    office.alice.sends(answered(request, challenged))
    came_here = office.bob.receives_request(method)
    assert "Authorization" not in came_here.headers, "it is for nobody but the gateway"
    office.provider.receives_nothing()


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("bob", "other"), ("bob", "secret")])
def test_a_wrong_password_or_another_user_s_is_none(tmp_path: Path, user: str, password: str) -> None:
    office = Office(tmp_path, 'alice = "secret"\nbob = "other"\n')
    request, challenged = first(office, "INVITE")
    office.alice.sends(answered(request, challenged, password, user))
    assert came(office.alice)[-1] == "401 INVITE"
    office.bob.receives_nothing()


def test_an_answer_serves_once(tmp_path: Path) -> None:
    office = Office(tmp_path)
    request, challenged = first(office, "MESSAGE")
    again = answered(request, challenged)
    office.alice.sends(again)
    office.bob.receives("MESSAGE")
    replay = attrs.evolve(again, headers=again.headers.copy())
    replay.headers.set("Via", "SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bKreplay;rport")
    replay.headers.set("Call-ID", "another")
    office.alice.sends(replay)
    assert came(office.alice)[-1] == "401 MESSAGE"
    office.bob.receives_nothing()


def test_a_user_whose_password_is_not_known_here_is_the_providers(tmp_path: Path) -> None:
    office = Office(tmp_path, 'bob = "other"\n')
    office.alice.sends(office.alice.invite())
    office.provider.receives("INVITE")
    office.bob.receives_nothing()


def test_wrong_passwords_are_counted_and_stopped_as_the_providers_are(tmp_path: Path) -> None:
    office = Office(tmp_path)
    said = []
    for number in range(60):
        request = office.alice.request("MESSAGE", "sip:bob@example.com", cseq=2 * number + 1, call_id=f"c{number}")
        office.alice.sends(request)
        challenged = next(one for one in office.alice.flow.sent if isinstance(one, Response))
        office.alice.flow.sent.clear()
        office.alice.sends(answered(request, challenged, f"guess {number}"))
        said.append(came(office.alice)[-1])
    assert said[0] == "401 MESSAGE"
    assert said[-1] == "503 MESSAGE", "a known phone is told to come again, and none of its guesses is judged"


def test_right_ones_are_never_stopped(tmp_path: Path) -> None:
    """RFC 3261 section 22.1: each call has its own challenge, and each is a guess until it was judged."""
    office = Office(tmp_path)
    for number in range(60):
        request = office.alice.request("MESSAGE", "sip:bob@example.com", cseq=2 * number + 1, call_id=f"c{number}")
        office.alice.sends(request)
        challenged = next(one for one in office.alice.flow.sent if isinstance(one, Response))
        office.alice.flow.sent.clear()
        office.alice.sends(answered(request, challenged))
        office.bob.answers(office.bob.receives_request("MESSAGE"), 200)
        assert came(office.alice)[-1] == "200 MESSAGE"
