"""Digest both ways: the provider's calls and message waiting are challenged, and its challenges answered for a user."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from twisted.internet.defer import succeed

from gateway.security.access_list import Resolved
from gateway.security.admission import DomainAdmission
from gateway.security.answering import CAP, Answering
from gateway.security.authenticator import Authenticator
from gateway.security.nonces import Nonces
from gateway.sip import digest
from gateway.sip.digest import Challenge, Credentials
from gateway.sip.message import Request, Response
from gateway.transaction.client import make_cancel
from gateway.transport.flow import FailureKind, PeerIdentity
from tests.support.ladder import AVP, BINDING, SAVP, Ladder
from tests.support.stories import came, ring

PASSWORD = "s3cret-of-alice"
TO_ALICE = "sip:alice-1@gw.example.com;transport=tls"
WAITING = b"Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n"
PROVIDER = PeerIdentity(trust="system", names=("provider.example.com",))


class Challenged(Ladder):
    """A ladder whose domain challenges INVITE and NOTIFY, and holds alice's password."""

    def __init__(self, directory: Path, within: bool = False) -> None:
        super().__init__()
        credentials = directory / "credentials.toml"
        credentials.write_text(f'alice = "{PASSWORD}"\n')
        credentials.chmod(0o600)
        domain = attrs.evolve(
            self.configuration.domains[0],
            challenge=("INVITE", "NOTIFY", "BYE"),
            challenge_in_dialog=within,
            credentials=credentials,
        )
        numbers = iter(range(1, 1000))
        authenticator = Authenticator(Nonces(b"secret", lambda count: next(numbers).to_bytes(count, "big")))
        guarded = attrs.evolve(self.configuration, domains=(domain,))
        admission = DomainAdmission(
            guarded, authenticator, lambda name: succeed(Resolved((), 1.0)), lambda: self.clock.seconds() + 1e9
        )
        self.admission.instead = admission
        self.provider_flow.identity = PROVIDER
        self.trunk.answering = Answering(
            admission.password_of,
            lambda aor, flow: aor == BINDING.aor and flow == self.bound_flow,
            lambda: f"cnonce{next(numbers)}",
        )
        self.bound_flow = BINDING.flow

    def asks(self, method: str = "INVITE", cseq: int = 1, authorization: str = "") -> None:
        """The provider calls alice, or tells of her messages."""
        request = self.provider.request(method, TO_ALICE, sdp=SAVP if method == "INVITE" else b"", cseq=cseq)
        if method == "NOTIFY":
            request.headers.add("Event", "message-summary")
            request.headers.add("Subscription-State", "active")
            request.headers.add("Content-Type", "application/simple-message-summary")
            request.body = WAITING
        if authorization:
            request.headers.add("Authorization", authorization)
        self.provider.sends(request)

    def challenges(self, method: str = "INVITE") -> list[Challenge]:
        """The challenges to a request without credentials."""
        self.asks(method)
        return self.refused()

    def refused(self) -> list[Challenge]:
        """The challenges of a 401 that was sent just now."""
        refusal = self.provider.receives_response(401)
        self.phone.receives_nothing()
        assert len(self.calls) == 0
        return [Challenge.parse(text) for text in refusal.headers.get_all("WWW-Authenticate")]


def authorization(challenge: Challenge, method: str = "INVITE", password: str = PASSWORD, nc: int = 1) -> str:
    made = digest.answer(challenge, username="alice", password=password, method=method, uri=TO_ALICE, cnonce="c", nc=nc)
    return str(made)


@pytest.fixture
def ladder(tmp_path: Path) -> Challenged:
    return Challenged(tmp_path)


@pytest.mark.parametrize("method", ["INVITE", "NOTIFY"])
def test_both_algorithms_are_offered_the_better_one_first(ladder: Challenged, method: str) -> None:
    challenges = ladder.challenges(method)
    assert [challenge.algorithm for challenge in challenges] == ["SHA-256", "MD5"]
    assert {challenge.realm for challenge in challenges} == {"example.com"}
    assert not any(challenge.stale for challenge in challenges)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
@pytest.mark.parametrize("method", ["INVITE", "NOTIFY"])
def test_the_right_password_lets_it_pass(ladder: Challenged, method: str, algorithm: str) -> None:
    challenge = next(one for one in ladder.challenges(method) if one.algorithm == algorithm)
    ladder.asks(method, 2, authorization(challenge, method))
    if method == "INVITE":
        ladder.provider.receives(100)
    onward = ladder.phone.receives_request(method)
    assert onward.body == (AVP if method == "INVITE" else WAITING)
    assert "Authorization" not in onward.headers, "the provider's digest is not the phone's to read"


@pytest.mark.parametrize("method", ["INVITE", "NOTIFY"])
def test_a_wrong_password_does_not(ladder: Challenged, method: str) -> None:
    ladder.asks(method, 2, authorization(ladder.challenges(method)[0], method, "guess"))
    assert not ladder.refused()[0].stale


@pytest.mark.parametrize("method", ["INVITE", "NOTIFY"])
def test_replayed_credentials_do_not(ladder: Challenged, method: str) -> None:
    used = authorization(ladder.challenges(method)[0], method)
    ladder.asks(method, 2, used)
    if method == "INVITE":
        ladder.provider.receives(100)
    first = ladder.phone.receives_request(method)
    ladder.phone.answers(first, 486 if method == "INVITE" else 200)
    if method == "INVITE":
        ladder.phone.receives("ACK")
    ladder.provider.receives(486 if method == "INVITE" else 200)
    ladder.asks(method, 3, used)
    assert ladder.refused()[0].stale, "its sender knows the password, and may try again"


def test_a_counter_that_goes_back_is_a_replay(ladder: Challenged) -> None:
    challenge = ladder.challenges("NOTIFY")[0]
    for cseq, nc in ((2, 5), (3, 6)):
        ladder.asks("NOTIFY", cseq, authorization(challenge, "NOTIFY", nc=nc))
        ladder.phone.answers(ladder.phone.receives_request("NOTIFY"), 200)
        ladder.provider.receives(200)
    ladder.asks("NOTIFY", 4, authorization(challenge, "NOTIFY", nc=4))
    assert ladder.refused()[0].stale


def test_a_nonce_that_is_too_old_is_stale_only_for_who_knows_the_password(ladder: Challenged) -> None:
    challenge = ladder.challenges("NOTIFY")[0]
    ladder.clock.advance(301)
    ladder.asks("NOTIFY", 2, authorization(challenge, "NOTIFY", "guess"))
    assert not ladder.refused()[0].stale
    ladder.asks("NOTIFY", 3, authorization(challenge, "NOTIFY"))
    again = ladder.refused()[0]
    assert again.stale
    ladder.asks("NOTIFY", 4, authorization(again, "NOTIFY"))
    ladder.phone.receives("NOTIFY")


def test_credentials_of_another_method_do_not(ladder: Challenged) -> None:
    ladder.asks("INVITE", 2, authorization(ladder.challenges("NOTIFY")[0], "NOTIFY"))
    ladder.refused()


def test_a_caller_behind_a_proxy_signs_whom_it_called(ladder: Challenged) -> None:
    challenge = ladder.challenges("NOTIFY")[0]
    for cseq, uri in ((2, "sip:mallory@example.com"), (3, "sip:elsewhere.example"), (4, "sip:bob@example.com")):
        made = digest.answer(challenge, username="alice", password=PASSWORD, method="NOTIFY", uri=uri, cnonce="c")
        ladder.asks("NOTIFY", cseq, str(made))
        if cseq < 4:
            ladder.refused()
    ladder.phone.receives("NOTIFY")


@pytest.mark.parametrize("broken", ["Digest", "Digest realm=example.com", "Digest " + "x" * 5000, 'Digest nonce="'])
def test_broken_credentials_are_a_400(ladder: Challenged, broken: str) -> None:
    ladder.asks("NOTIFY", 1, broken)
    ladder.provider.receives(400)
    ladder.phone.receives_nothing()


@pytest.mark.parametrize("body", [b"\xff\x00" * 500, b"Messages-Waiting: " + b"yes" * 10_000, b"v=0\r\nm=\r\n"])
@pytest.mark.parametrize("content_type", ["application/simple-message-summary", "application/sdp", "multipart/mixed"])
def test_a_body_is_looked_at_only_after_its_sender_is_known(ladder: Challenged, body: bytes, content_type: str) -> None:
    for method in ("INVITE", "NOTIFY"):
        request = ladder.provider.request(method, TO_ALICE, call_id=f"{method}-x")
        request.headers.add("Content-Type", content_type)
        request.body = body
        ladder.provider.sends(request)
        ladder.refused()
    assert ladder.relay.asked == []


def test_requests_within_a_call_are_not_challenged(ladder: Challenged) -> None:
    ladder.asks("INVITE", 2, authorization(ladder.challenges()[0]))
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    ladder.provider.sends(ladder.provider.within(answer, "BYE", cseq=3))
    ladder.provider.receives(200)
    ladder.phone.receives("BYE")


def test_requests_within_a_call_are_challenged_where_the_domain_says_so(tmp_path: Path) -> None:
    ladder = Challenged(tmp_path, within=True)
    ladder.asks("INVITE", 2, authorization(ladder.challenges()[0]))
    ladder.provider.receives(100)
    ladder.phone.answers(ladder.phone.receives_request("INVITE"), 200, sdp=AVP)
    ladder.phone.receives("ACK")
    answer = ladder.provider.receives_response(200)
    ladder.provider.sends(ladder.provider.within(answer, "INFO", cseq=3))
    ladder.phone.answers(ladder.phone.receives_request("INFO"), 200)
    ladder.provider.receives(200)
    ladder.provider.sends(ladder.provider.within(answer, "BYE", cseq=4))
    challenge = Challenge.parse(ladder.provider.receives_response(401).headers.get("WWW-Authenticate") or "")
    ladder.phone.receives_nothing()
    bye = ladder.provider.within(answer, "BYE", cseq=5)
    signed = digest.answer(challenge, username="alice", password=PASSWORD, method="BYE", uri=bye.uri, cnonce="c")
    bye.headers.add("Authorization", str(signed))
    ladder.provider.sends(bye)
    ladder.provider.receives(200)
    ladder.phone.receives("BYE")


# -- the other way round: the provider challenges alice's call


def calls_out(ladder: Challenged) -> Request:
    ladder.phone.sends(ladder.phone.invite())
    ladder.phone.receives(100)
    return ladder.provider.receives_request("INVITE")


def challenge_of(realm: str = "example.com", nonce: str = "n1", algorithm: str = "MD5", stale: bool = False) -> str:
    return str(Challenge(realm, nonce, algorithm, ("auth",), stale=stale))


def refuse(ladder: Challenged, invite: Request, status: int = 407, *challenges: str) -> None:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    ladder.provider.answers(
        invite, status, tag=f"t{invite.cseq.number}", fields=tuple((name, text) for text in challenges)
    )
    ladder.provider.receives("ACK")


def credentials_in(invite: Request, status: int = 407) -> Credentials | None:
    text = invite.headers.get("Proxy-Authorization" if status == 407 else "Authorization")
    return None if text is None else Credentials.parse(text)


def passed_to_the_phone(ladder: Challenged, status: int = 407) -> Response:
    """The challenge went to the phone, and nothing more to the provider."""
    ladder.provider.receives_nothing()
    return ladder.phone.receives_response(status)


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_providers_challenge_is_answered_for_a_registered_phone(
    ladder: Challenged, status: int, algorithm: str
) -> None:
    invite = calls_out(ladder)
    refuse(ladder, invite, status, challenge_of(algorithm=algorithm))
    again = ladder.provider.receives_request("INVITE")
    answered = credentials_in(again, status)
    assert answered is not None
    assert (answered.username, answered.uri, answered.algorithm) == ("alice", again.uri, algorithm)
    assert digest.is_right(answered, password=PASSWORD, method="INVITE")
    assert (again.call_id, again.from_.tag) == (invite.call_id, invite.from_.tag)
    assert again.cseq.number == invite.cseq.number + 1
    ladder.provider.answers(again, 200, sdp=SAVP)
    ladder.phone.receives(200)
    assert PASSWORD not in repr(next(ladder.calls.records()))


def test_rfc3323_the_challenge_of_a_phone_that_hides_its_name_is_answered_for_its_registration(
    ladder: Challenged,
) -> None:
    invite = ladder.phone.invite()
    invite.headers.set("From", "<sip:anonymous@anonymous.invalid>;tag=f1")
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    refuse(ladder, ladder.provider.receives_request("INVITE"), 407, challenge_of())
    answered = credentials_in(ladder.provider.receives_request("INVITE"))
    assert answered is not None
    assert answered.username == "alice"


def test_the_first_challenge_that_can_be_answered_is(ladder: Challenged) -> None:
    offered = ('Digest realm="example.com", nonce="n", algorithm=SHA-1', "Basic x", challenge_of(nonce="good"))
    refuse(ladder, calls_out(ladder), 407, *offered)
    answered = credentials_in(ladder.provider.receives_request("INVITE"))
    assert answered is not None
    assert answered.nonce == "good"


@pytest.mark.parametrize("second", [challenge_of(nonce="n2"), challenge_of(nonce="n2", stale=True)])
@pytest.mark.parametrize("status", [401, 407])
def test_a_second_challenge_goes_to_the_phone(ladder: Challenged, second: str, status: int) -> None:
    refuse(ladder, calls_out(ladder), 407, challenge_of())
    refuse(ladder, ladder.provider.receives_request("INVITE"), status, second)
    passed_to_the_phone(ladder, status)


def test_what_the_phone_answers_itself_is_left_alone(ladder: Challenged) -> None:
    invite = ladder.phone.invite()
    mine = digest.answer(
        Challenge("example.com", "n0"), username="alice", password="mine", method="INVITE", uri=invite.uri, cnonce=""
    )
    invite.headers.add("Proxy-Authorization", str(mine))
    ladder.phone.sends(invite)
    ladder.phone.receives(100)
    onward = ladder.provider.receives_request("INVITE")
    assert onward.headers.get("Proxy-Authorization") == str(mine)
    refuse(ladder, onward, 407, challenge_of())
    passed_to_the_phone(ladder)


def test_a_challenge_after_ringing_is_the_callees(ladder: Challenged) -> None:
    invite = calls_out(ladder)
    ladder.provider.answers(invite, 180)
    ladder.phone.receives(180)
    refuse(ladder, invite, 407, challenge_of())
    passed_to_the_phone(ladder)


def test_a_challenge_for_another_realm_is_not_ours(ladder: Challenged) -> None:
    refuse(ladder, calls_out(ladder), 407, challenge_of("elsewhere.example"))
    passed_to_the_phone(ladder)


@pytest.mark.parametrize("identity", [None, PeerIdentity(trust="system", names=("other.example.com",))])
def test_a_peer_that_is_not_verified_is_not_answered(ladder: Challenged, identity: PeerIdentity | None) -> None:
    ladder.provider_flow.identity = identity
    refuse(ladder, calls_out(ladder), 407, challenge_of())
    passed_to_the_phone(ladder)


def test_nobody_is_answered_for_who_has_not_registered(ladder: Challenged) -> None:
    ladder.bound_flow = attrs.evolve(BINDING.flow, listener="elsewhere")
    refuse(ladder, calls_out(ladder), 407, challenge_of())
    passed_to_the_phone(ladder)


def test_a_challenge_that_a_phone_raises_is_never_answered(ladder: Challenged) -> None:
    ladder.asks("INVITE", 2, authorization(ladder.challenges()[0]))
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 407, fields=(("Proxy-Authenticate", challenge_of()),))
    ladder.phone.receives("ACK")
    ladder.phone.receives_nothing()
    ladder.provider.receives(407)


def test_a_weaker_attempt_is_answered_anew_and_never_more_than_the_cap(ladder: Challenged) -> None:
    refuse(ladder, calls_out(ladder), 407, challenge_of())
    answered = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(answered, 488, tag="t8")
    ladder.provider.receives("ACK")
    weaker = ladder.provider.receives_request("INVITE")
    assert (weaker.body, credentials_in(weaker)) == (AVP, None)
    refuse(ladder, weaker, 407, challenge_of(nonce="n2"))
    again = credentials_in(ladder.provider.receives_request("INVITE"))
    assert again is not None
    assert again.nonce == "n2"
    assert CAP < 10


def test_phone_is_not_led_to_sign_a_body_that_is_rewritten() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    challenge = 'Digest realm="example.com", nonce="n", qop="{}"'
    ladder.provider.answers(onward, 407, fields=(("Proxy-Authenticate", challenge.format("auth,auth-int")),))
    assert ladder.phone.receives_response(407).headers.get("Proxy-Authenticate") == challenge.format("auth")


def test_ack_bears_the_credentials_of_its_invite() -> None:
    ladder = Ladder()
    invite = ladder.phone.invite()
    credentials = ("Proxy-Authorization", 'Digest username="alice", response="0"')
    invite.headers.add(*credentials)
    ladder.phone.sends(invite)
    ladder.provider.answers(ladder.provider.receives_request("INVITE"), 200, sdp=SAVP)
    assert ladder.provider.receives_request("ACK").headers.get(credentials[0]) == credentials[1]


def test_answer_to_a_challenge_goes_where_the_challenge_came_from() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 488)
    ladder.provider.receives("ACK")
    second = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(second, 407, fields=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),))
    ladder.provider.receives("ACK")
    ladder.phone.receives(407)
    again = ladder.phone.invite(cseq=2)
    again.headers.add("Proxy-Authorization", 'Digest username="alice", response="0"')
    ladder.phone.sends(again)
    third = ladder.provider.receives_request("INVITE")
    assert third.body == AVP
    ladder.provider.answers(third, 200, sdp=AVP)
    record = next(ladder.calls.records())
    assert (record.verdict, record.reason) == ("SIGNALLING_ONLY", "CLEAR_PROVIDER_488")


def test_challenge_to_the_encrypted_offer_is_answered_with_one() -> None:
    ladder = Ladder()
    _, onward = ring(ladder)
    ladder.provider.answers(onward, 407, fields=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),))
    ladder.provider.receives("ACK")
    ladder.phone.sends(ladder.phone.invite(cseq=2))
    assert ladder.provider.receives_request("INVITE").body == SAVP


# -- requests of ours in the dialog of a call (RFC 3261 section 22.3)


def answered_call(ladder: Challenged, fields: tuple[tuple[str, str], ...] = ()) -> tuple[Request, Response]:
    """A call whose INVITE was challenged and answered: (that INVITE, the 200 that the phone got)."""
    refuse(ladder, calls_out(ladder), 407, challenge_of(nonce="n1"))
    invite = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(invite, 200, sdp=SAVP, fields=fields)
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(ladder.phone.invite(), answer)
    ack = ladder.provider.receives_request("ACK")
    assert ack.headers.get("Proxy-Authorization") == invite.headers.get("Proxy-Authorization")  # section 22.1
    return invite, answer


def is_right(request: Request, nonce: str, count: int) -> bool:
    """Whether a request bears right credentials for this nonce, the next of their count."""
    found = credentials_in(request)
    assert found is not None
    assert (found.nonce, found.nc, found.uri, found.username) == (nonce, count, request.uri, "alice")
    return digest.is_right(found, password=PASSWORD, method=request.method)


def crosses(ladder: Challenged, answer: Response, method: str, cseq: int = 2) -> Request:
    """A request of the phone within the call, as the provider gets it."""
    sdp = AVP if method in ("INVITE", "UPDATE") else b""
    ladder.phone.sends(ladder.phone.within(answer, method, sdp=sdp, cseq=cseq))
    if method == "INVITE":
        ladder.phone.receives(100)
    return ladder.provider.receives_request(method)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO"])
def test_rfc3261_22_3_a_request_in_the_dialog_bears_the_credentials_of_its_invite(
    ladder: Challenged, method: str
) -> None:
    _, answer = answered_call(ladder)
    assert is_right(crosses(ladder, answer, method), "n1", 2)


def test_rfc7616_3_4_5_credentials_are_counted(ladder: Challenged) -> None:
    _, answer = answered_call(ladder)
    for count in (2, 3, 4):
        info = crosses(ladder, answer, "INFO", count)
        assert is_right(info, "n1", count)
        ladder.provider.answers(info, 200)
        ladder.phone.receives(200)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE"])
def test_rfc3261_22_2_a_challenge_in_the_dialog_is_answered_once(ladder: Challenged, method: str) -> None:
    _, answer = answered_call(ladder)
    first = crosses(ladder, answer, method)
    refuse_within(ladder, first, challenge_of(nonce="n2", stale=True))
    again = ladder.provider.receives_request(method)
    assert again.cseq.number == first.cseq.number + 1
    assert (again.body, again.call_id, again.from_.tag) == (first.body, first.call_id, first.from_.tag)
    assert is_right(again, "n2", 1)
    refuse_within(ladder, again, challenge_of(nonce="n3", stale=True))
    ladder.provider.receives_nothing()
    assert came(ladder.phone)[-1] == ("200 BYE" if method == "BYE" else f"407 {method}")


def test_rfc3261_22_3_later_requests_bear_the_newer_nonce(ladder: Challenged) -> None:
    _, answer = answered_call(ladder)
    refuse_within(ladder, crosses(ladder, answer, "UPDATE"), challenge_of(nonce="n2"))
    update = ladder.provider.receives_request("UPDATE")
    ladder.provider.answers(update, 200, sdp=SAVP)
    ladder.phone.receives(200)
    assert is_right(crosses(ladder, answer, "BYE", 3), "n2", 2)


def test_rfc3261_22_2_the_re_invite_that_was_answered_again_is_acknowledged_with_its_credentials(
    ladder: Challenged,
) -> None:
    _, answer = answered_call(ladder)
    refuse_within(ladder, crosses(ladder, answer, "INVITE"), challenge_of(nonce="n2"))
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 200, sdp=SAVP)
    ack = ladder.provider.receives_request("ACK")
    assert ack.cseq.number == again.cseq.number
    assert ack.headers.get("Proxy-Authorization") == again.headers.get("Proxy-Authorization")


def test_rfc3261_9_1_the_re_invite_that_was_answered_again_is_the_one_that_is_cancelled(ladder: Challenged) -> None:
    _, answer = answered_call(ladder)
    hold = ladder.phone.within(answer, "INVITE", sdp=AVP)
    ladder.phone.sends(hold)
    ladder.phone.receives(100)
    refuse_within(ladder, ladder.provider.receives_request("INVITE"), challenge_of(nonce="n2"))
    again = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(again, 100)
    ladder.phone.sends(make_cancel(hold))
    assert ladder.provider.receives_request("CANCEL").cseq.number == again.cseq.number


@pytest.mark.parametrize("method", ["BYE", "UPDATE"])
def test_rfc3261_22_2_a_first_challenge_in_the_dialog_is_answered_where_its_digest_does_nothing_else(
    ladder: Challenged, method: str
) -> None:
    invite = calls_out(ladder)
    ladder.provider.answers(invite, 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(ladder.phone.invite(), answer)
    ladder.provider.receives("ACK")
    first = crosses(ladder, answer, method)
    assert credentials_in(first) is None
    refuse_within(ladder, first, challenge_of())
    assert credentials_in(ladder.provider.receives_request(method)) is not None


def test_a_first_challenge_to_a_re_invite_is_the_callees(ladder: Challenged) -> None:
    ladder.provider.answers(calls_out(ladder), 200, sdp=SAVP)
    answer = ladder.phone.receives_response(200)
    ladder.phone.acknowledges(ladder.phone.invite(), answer)
    ladder.provider.receives("ACK")
    refuse_within(ladder, crosses(ladder, answer, "INVITE"), challenge_of())
    ladder.provider.receives_nothing()
    ladder.phone.receives(407)


@pytest.mark.parametrize(
    "challenge", [challenge_of("elsewhere.example"), challenge_of(nonce="n1"), challenge_of("provider.example.com")]
)
def test_a_challenge_in_the_dialog_for_another_realm_or_of_a_used_nonce_is_not_ours(
    ladder: Challenged, challenge: str
) -> None:
    _, answer = answered_call(ladder)
    refuse_within(ladder, crosses(ladder, answer, "INVITE"), challenge)
    ladder.provider.receives_nothing()
    ladder.phone.receives(407)


def test_rfc3261_22_3_a_peer_that_is_not_verified_gets_no_credentials(ladder: Challenged) -> None:
    _, answer = answered_call(ladder)
    ladder.provider_flow.fail(FailureKind.CLOSED)
    ladder.reconnect_provider()
    assert credentials_in(crosses(ladder, answer, "BYE")) is None


def test_rfc3261_22_3_an_early_dialog_bears_credentials_too(ladder: Challenged) -> None:
    refuse(ladder, calls_out(ladder), 407, challenge_of(nonce="n1"))
    invite = ladder.provider.receives_request("INVITE")
    ladder.provider.answers(invite, 183, sdp=SAVP, fields=(("Require", "100rel"), ("RSeq", "1")))
    assert is_right(ladder.provider.receives_request("PRACK"), "n1", 2)


def test_rfc3261_22_2_the_bye_of_a_call_that_came_in_is_answered_for_its_phone(ladder: Challenged) -> None:
    ladder.admission.instead = None
    ladder.provider.sends(ladder.provider.invite(TO_ALICE, SAVP))
    ladder.provider.receives(100)
    onward = ladder.phone.receives_request("INVITE")
    ladder.phone.answers(onward, 200, sdp=AVP)
    ladder.provider.acknowledges(ladder.provider.invite(), ladder.provider.receives_response(200))
    ladder.phone.receives("ACK")
    ladder.phone.sends(ladder.phone.within_answered(onward, "BYE"))
    refuse_within(ladder, ladder.provider.receives_request("BYE"), challenge_of())
    assert is_right(ladder.provider.receives_request("BYE"), "n1", 1)


def refuse_within(ladder: Challenged, request: Request, challenge: str) -> None:
    """The provider challenges a request within the call."""
    response = request.response(407)
    response.headers.add("Proxy-Authenticate", challenge)
    ladder.provider.sends(response)
    if request.method == "INVITE":
        ladder.provider.receives("ACK")
