"""The provider is a proper far end: registration, calls, refusals, CANCEL, hold, lost messages.

A bare user agent calls it over a wire in memory, with keys, as the gateway does.
"""

from collections.abc import Coroutine
from os import urandom
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from gateway.config.model import Side
from gateway.demo.agent.accounts import Account
from gateway.demo.agent.invites import Addressee, AnsweringTerms, IncomingCalls, NotAnswered, new_request, place_call
from gateway.demo.agent.session import Session
from gateway.demo.agent.user_agent import Unanswered, ask
from gateway.demo.audio.listen import Ear, Heard
from gateway.demo.audio.offers import AudioEnd, AudioStream
from gateway.demo.audio.rtp_port import RtpEndpoint, tone_alone
from gateway.demo.audio.samples import Tone
from gateway.demo.provider import CallEnded, CallRefused, EchoProvider, Event, ProviderTerms, Registered
from gateway.sdp.crypto import SUITE_NAMES
from gateway.sip.message import Message, Request, Response
from tests.support.demo_wire import Wire, listener

ALICE = Account("alice", "example.com", "secret")

Result = TypeVar("Result")


class World:
    """The provider at the far end, a bare user agent at the near one."""

    def __init__(self, call_back_after: float | None = None) -> None:
        near = listener(Side.PROVIDER, "tls", "127.0.0.20", 5061)
        far = listener(Side.PROVIDER, "tls", "127.0.0.21", 5061)
        self.wire = Wire(near, far)
        self.events: list[Event] = []
        self.agent = self.wire.agent(self.wire.near)
        terms = ProviderTerms(
            "127.0.0.21", 5061, Path("pem"), Path("key"), "example.com", {"alice": "secret"}, call_back_after
        )
        EchoProvider(self.wire.agent(self.wire.far), self.wire.reactor(), terms, self.events.append)

    def stream(self, suites: tuple[str, ...] = SUITE_NAMES) -> AudioStream:
        endpoint = RtpEndpoint(self.wire.network, self.wire.clock, tone_alone(Tone(440)), Ear())
        return AudioStream(endpoint, AudioEnd("127.0.0.20", 0, suites, urandom))

    def destination(self, user: str = "echo") -> Addressee:
        return Addressee(f"sip:{user}@example.com", f"sip:{user}@example.com", self.wire.near.flow)

    def begin(self, work: Coroutine[Any, Any, Result]) -> list[Result | BaseException]:
        """Start something; its result or failure is in the list as soon as there is one."""
        results: list[Result | BaseException] = []
        Deferred.fromCoroutine(work).addCallbacks(results.append, lambda failure: results.append(failure.value))
        return results

    def do(self, work: Coroutine[Any, Any, Result], seconds: float = 1.0) -> Result:
        results = self.begin(work)
        self.wire.wait(seconds)
        (result,) = results
        if isinstance(result, BaseException):
            raise result
        return result

    def call(self, user: str = "echo", account: Account = ALICE, suites: tuple[str, ...] = SUITE_NAMES) -> Session:
        placing = place_call(self.agent, self.wire.clock, account, self.destination(user), self.stream(suites))
        return self.do(placing)

    def register(self, expires: int = 60, account: Account = ALICE) -> Response:
        request = new_request(account, "REGISTER", self.destination("alice"), "")
        request.headers.set("Expires", str(expires))
        return self.do(ask(self.agent.transactions, self.wire.near.flow, request, account)).response

    def in_dialog(self, session: Session, method: str, body: bytes = b"") -> Response:
        request = session.dialog.make_request(method)
        request.headers.set("Contact", "<sip:alice@127.0.0.20:5061;transport=tls>")
        request.body = body
        return self.do(ask(self.agent.transactions, self.wire.near.flow, request, ALICE)).response


def test_a_call_from_invite_to_bye() -> None:
    world = World()
    session = world.call()
    assert world.wire.log == ["INVITE", "407", "ACK", "INVITE", "100", "180", "200", "ACK"]
    world.wire.wait(1.0)
    heard = world.do(session.hang_up(), 0.1)
    assert heard.tones == (440, 880)
    (ended,) = world.events
    assert isinstance(ended, CallEnded)
    assert (ended.call_id, ended.heard.tones, ended.heard.lost) == (session.dialog.call_id, (440,), 0)
    assert world.wire.log[-2:] == ["BYE", "200"]


def test_nothing_is_left_of_a_call() -> None:
    world = World()
    world.do(world.call().hang_up())
    world.wire.wait(40.0)
    assert world.wire.clock.getDelayedCalls() == []
    assert world.wire.network.bound == {}


def test_a_call_without_keys_is_refused_and_told() -> None:
    world = World()
    with pytest.raises(NotAnswered) as refusal:
        world.call(suites=())
    assert refusal.value.status == 488
    (event,) = world.events
    assert isinstance(event, CallRefused)
    assert (event.status, event.reason) == (488, "SRTP required")
    assert world.wire.network.bound == {}


def test_a_wrong_password_is_challenged_again() -> None:
    with pytest.raises(NotAnswered) as refusal:
        World().call(account=Account("alice", "example.com", "wrong"))
    assert refusal.value.status == 407


def test_only_the_extension_answers() -> None:
    with pytest.raises(NotAnswered) as refusal:
        World().call("somebody")
    assert refusal.value.status == 404


def test_cancel_ends_the_ringing() -> None:
    world = World()
    work = place_call(world.agent, world.wire.clock, ALICE, world.destination(), world.stream())
    transactions: list[Request] = []
    results = world.begin(work)
    world.wire.wait(0.2)
    assert "180" in world.wire.log
    invite = next(client for client in world.agent.transactions._clients.values() if client.request.method == "INVITE")
    transactions.append(invite.request)
    invite.cancel()
    world.wire.wait(1.0)
    (refusal,) = results
    assert isinstance(refusal, NotAnswered)
    assert refusal.status == 487
    assert world.wire.log[-4:] == ["CANCEL", "200", "487", "ACK"]
    assert world.wire.network.bound == {}


def test_a_lost_2xx_is_sent_again() -> None:
    world = World()
    lost: list[Message] = []

    def lose(message: Message) -> bool:
        is_answer = isinstance(message, Response) and message.status == 200
        if is_answer and not lost:
            lost.append(message)
            return True
        return False

    world.wire.lose = lose
    placing = place_call(world.agent, world.wire.clock, ALICE, world.destination(), world.stream())
    world.do(placing, 2.0)
    assert world.wire.log[-3:] == ["200", "200", "ACK"]


def test_a_lost_ack_is_sent_again_for_the_copy_of_the_2xx() -> None:
    world = World()
    lost: list[Message] = []

    def lose(message: Message) -> bool:
        is_ack = isinstance(message, Request) and message.method == "ACK" and "180" in world.wire.log
        if is_ack and not lost:
            lost.append(message)
            return True
        return False

    world.wire.lose = lose
    world.call()
    world.wire.wait(3.0)
    assert world.wire.log[-4:] == ["200", "ACK", "200", "ACK"]


def test_a_call_whose_ack_never_comes_is_hung_up() -> None:
    world = World()
    world.wire.lose = lambda message: (
        isinstance(message, Request) and message.method == "ACK" and "180" in world.wire.log
    )
    session = world.call()
    heard: list[Heard] = []
    session.ended.addCallback(heard.append)
    world.wire.wait(34.0)
    assert "BYE" in world.wire.log
    assert len(heard) == 1


def test_hold_is_answered_with_the_same_key() -> None:
    world = World()
    session = world.call()
    held = session.stream.offer() + b"a=sendonly\r\n"
    response = world.in_dialog(session, "INVITE", held)
    assert response.status == 200
    assert b"a=recvonly" in response.body
    session.stream.take_answer(response.body)
    world.wire.wait(0.5)
    assert session.stream.close().tones == (440, 880)


def test_an_invite_without_an_offer_is_given_one() -> None:
    world = World()
    response = world.in_dialog(world.call(), "INVITE")
    assert b"RTP/SAVP" in response.body


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("INFO", 200), ("PUBLISH", 405)])
def test_other_requests_in_the_dialog(method: str, status: int) -> None:
    world = World()
    assert world.in_dialog(world.call(), method).status == status


def test_a_hold_without_keys_is_refused_and_the_call_goes_on() -> None:
    world = World()
    session = world.call()
    assert world.in_dialog(session, "INVITE", world.stream(()).offer()).status == 488
    assert world.in_dialog(session, "OPTIONS").status == 200


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("PUBLISH", 405), ("BYE", 481)])
def test_requests_outside_any_dialog(method: str, status: int) -> None:
    world = World()
    request = new_request(ALICE, method, world.destination(), "")
    if status == 481:
        request.headers.set("To", "<sip:echo@example.com>;tag=unknown")
    answered = world.do(ask(world.agent.transactions, world.wire.near.flow, request, ALICE))
    assert answered.response.status == status


def test_registration() -> None:
    world = World()
    response = world.register()
    assert response.status == 200
    assert response.headers.get("Contact") == "<sip:alice@127.0.0.20:5061;transport=tls>;expires=60"
    assert world.wire.log == ["REGISTER", "401", "REGISTER", "200"]
    assert world.events == [Registered("alice", "sip:alice@127.0.0.20:5061;transport=tls")]


def test_the_end_of_a_registration() -> None:
    world = World()
    world.register()
    assert "Contact" not in world.register(expires=0).headers
    world.register(expires=5)
    world.wire.wait(6.0)
    assert "expires=7" in (world.register(expires=7).headers.get("Contact") or "")


def test_nobody_registers_somebody_else() -> None:
    world = World()
    request = new_request(Account("bob", "example.com", "secret", login="alice"), "REGISTER", world.destination(), "")
    request.headers.set("To", "<sip:bob@example.com>")
    answered = world.do(ask(world.agent.transactions, world.wire.near.flow, request, ALICE))
    assert answered.response.status == 403


def test_a_registered_phone_is_called_back_once() -> None:
    world = World(call_back_after=1.0)
    began: list[Session] = []
    terms = AnsweringTerms(ALICE, lambda transaction, request: True, world.stream, began.append, lambda *_: None)
    IncomingCalls(world.agent, world.wire.clock, terms)
    world.register()
    world.register()
    world.wire.wait(7.0)
    assert len(began) == 1
    assert world.wire.log.count("BYE") == 1
    assert [type(event) for event in world.events] == [Registered, Registered, CallEnded]


def test_no_answer_at_all() -> None:
    world = World()
    world.wire.lose = lambda message: True
    with pytest.raises(Unanswered, match="INVITE was not answered"):
        world.do(place_call(world.agent, world.wire.clock, ALICE, world.destination(), world.stream()), 33.0)
    assert world.wire.network.bound == {}
