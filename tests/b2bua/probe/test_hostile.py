"""Peers that mean no good, or are broken: a probe ends in time, keeps little, and calls nothing encrypted."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from twisted.internet.protocol import Factory, Protocol

from gateway.config.model import Security
from tests.support.matrix_world import FAR_TLS, PROVIDERS, Behaviour, Reply, World, answer_to, body_of, fields_of
from tests.support.probe_world import Probing

NAME = "alice@example.com"
PASSWORD = "Wonderland-7531"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authorities")


class Dripping(Protocol):
    """Begins a TLS record and never ends it: a byte a second."""

    def connectionMade(self) -> None:
        self.say(b"\x16\x03\x03\x40\x00")

    def say(self, data: bytes) -> None:
        if self.transport is not None and self.connected:
            self.transport.write(data)
            self.factory.clock.callLater(1.0, self.say, b"\x02")

    def dataReceived(self, data: bytes) -> None:
        """It does not listen."""


class Garbage(Protocol):
    """Sends a megabyte of nothing in particular."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(bytes(range(256)) * 4096)


class Odd(World):
    """A provider with TLS and SRTP, which a test lets answer in a way of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, PROVIDERS["TLS and SRTP"], Security.PREFERRED)


@pytest.mark.parametrize("protocol", [Dripping, Garbage])
def test_a_port_that_drips_or_floods_ends_in_time(protocol: type[Protocol], directory: Path) -> None:
    world = World(directory, Behaviour("refuses"), Security.PREFERRED)
    factory = Factory.forProtocol(protocol)
    factory.clock = world.network  # type: ignore[attr-defined]
    world.network.listenTCP(FAR_TLS[1], factory, interface=FAR_TLS[0])
    began = world.network.seconds()
    facts = Probing(world).provider()
    assert world.network.seconds() - began < 30
    assert facts.targets[0].failure in ("tls", "handshake", "silent")
    assert all(not row.prediction.is_encrypted for row in facts.rows)


@pytest.mark.parametrize(
    ("more", "failure", "length", "remarks"),
    [(30, "", 31, ("tls 198.51.100.21:5061: it presents 31 certificates.",)), (200, "handshake", 0, ())],
)
def test_a_chain_without_end_is_told_and_not_kept(
    more: int, failure: str, length: int, remarks: tuple[str, ...], directory: Path
) -> None:
    """A handshake of 86 kB is more than OpenSSL takes."""
    behaviour = attrs.evolve(PROVIDERS["TLS and SRTP"], certificate="long")
    world = World(directory, PROVIDERS["TLS and SRTP"], Security.PREFERRED)
    chain = (directory / "good.pem").read_bytes()
    (directory / "long.pem").write_bytes(chain + world.authority.file.read_bytes() * more)
    (directory / "long.key").write_bytes((directory / "good.key").read_bytes())
    world.becomes(behaviour)
    facts = Probing(world).provider()
    (target,) = facts.targets
    assert len(target.chain) <= 20
    assert (target.failure, target.chain_length, facts.remarks) == (failure, length, remarks)


def test_a_redirection_is_told_and_not_followed(directory: Path) -> None:
    world = Odd(directory)
    probing = Probing(world)

    def moved(over: str, data: bytes, reply: Reply) -> None:
        if data.startswith((b"OPTIONS", b"INVITE")):
            answer = answer_to(data, 302, b"")
            reply(answer.replace(b"<sip:far@198.51.100.21>", b"<sip:bob@evil.example>"))

    world._provider_receives = moved  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    facts = probing.provider(number="600")
    assert any("evil.example" in remark for remark in facts.remarks)
    assert facts.calls[0].status == 302
    assert "not followed" in facts.calls[0].why
    assert not any("evil" in place[0] for place in world.network.connected)
    assert not any(row.prediction.is_encrypted for row in facts.rows)


def test_challenges_without_end_are_answered_once(directory: Path) -> None:
    world = Odd(directory)
    seen: list[bytes] = []

    def challenging(over: str, data: bytes, reply: Reply) -> None:
        if data.startswith((b"REGISTER", b"INVITE")):
            seen.append(data)
            nonce = b"n%d" % len(seen)
            field = b'WWW-Authenticate: Digest realm="example.com", nonce="' + nonce + b'", algorithm=MD5\r\n'
            reply(answer_to(data, 401, b"").replace(b"Contact:", field + b"Contact:"))
        elif data.startswith(b"OPTIONS"):
            reply(answer_to(data, 200, b""))

    world._provider_receives = challenging  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    facts = Probing(world, {NAME: PASSWORD}).provider(user="alice", user_domain="example.com", number="600")
    assert facts.digest is not None
    assert (facts.digest.password, facts.digest.algorithms) == ("wrong", ("MD5",))
    assert [message.split(b" ", 1)[0] for message in seen] == [b"REGISTER"] * 2 + [b"INVITE"] * 2
    assert b"Contact" not in seen[0]
    assert b"Authorization" in seen[1]
    assert all(PASSWORD.encode() not in message for message in seen)
    assert "password" in facts.calls[0].why


def test_a_challenge_after_ringing_is_the_callees_and_gets_no_password(directory: Path) -> None:
    world = Odd(directory)
    seen: list[bytes] = []

    def challenging(over: str, data: bytes, reply: Reply) -> None:
        seen.append(data)
        field = b'Proxy-Authenticate: Digest realm="example.com", nonce="n"\r\n'
        if data.startswith(b"INVITE"):
            reply(answer_to(data, 180, b""))
            reply(answer_to(data, 407, b"").replace(b"Contact:", field + b"Contact:"))
        elif data.startswith((b"OPTIONS", b"REGISTER")):
            reply(answer_to(data, 200, b""))

    world._provider_receives = challenging  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    facts = Probing(world, {NAME: PASSWORD}).provider(user="alice", user_domain="example.com", number="600")
    assert facts.calls[0].status == 407
    assert sum(message.startswith(b"INVITE") for message in seen) == 1
    assert not any(b"Authorization" in message for message in seen)


@pytest.mark.parametrize("realm", ["elsewhere.example", "example.com.evil.example"])
def test_no_password_goes_to_another_realm(realm: str, directory: Path) -> None:
    world = Odd(directory)
    seen: list[bytes] = []

    def challenging(over: str, data: bytes, reply: Reply) -> None:
        seen.append(data)
        field = f'WWW-Authenticate: Digest realm="{realm}", nonce="n"\r\n'.encode()
        if data.startswith((b"REGISTER", b"INVITE")):
            reply(answer_to(data, 401, b"").replace(b"Contact:", field + b"Contact:"))
        elif data.startswith(b"OPTIONS"):
            reply(answer_to(data, 200, b""))

    world._provider_receives = challenging  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    facts = Probing(world, {NAME: PASSWORD}).provider(user="alice", user_domain="example.com", number="600")
    assert facts.digest is not None
    assert facts.digest.password == "not asked"
    assert realm in facts.digest.why
    assert not any(b"Authorization" in message for message in seen)


@pytest.mark.parametrize(
    "session",
    [
        b"v=0\r\no=- 1 1 IN IP4 198.51.100.21\r\ns=-\r\nc=IN IP4 198.51.100.21\r\nt=0 0\r\nm=audio 6 RTP/SAVP 0\r\n",
        b"this is no session description",
        (
            b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 6 RTP/SAVP 0\r\n"
            b"a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
        ),
    ],
)
def test_an_answer_that_is_none_is_not_called_encrypted(session: bytes, directory: Path) -> None:
    world = Odd(directory)
    hung_up: list[bytes] = []

    def answering(over: str, data: bytes, reply: Reply) -> None:
        if data.startswith(b"INVITE"):
            reply(answer_to(data, 200, session))
        elif data.startswith(b"OPTIONS"):
            reply(answer_to(data, 200, b""))
        elif data.startswith((b"ACK", b"BYE")):
            hung_up.append(data)

    world._provider_receives = answering  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    facts = Probing(world).provider(number="600")
    assert facts.calls
    assert not any(call.is_encrypted for call in facts.calls)
    assert not any(row.prediction.is_encrypted for row in facts.rows)
    assert [message.split(b" ", 1)[0] for message in hung_up[:2]] == [b"ACK", b"BYE"]
    assert fields_of(hung_up[0], "Call-ID") == fields_of(hung_up[1], "Call-ID")


def test_a_number_that_only_rings_is_given_up(directory: Path) -> None:
    world = Odd(directory)
    heard: list[bytes] = []

    def ringing(over: str, data: bytes, reply: Reply) -> None:
        heard.append(data.split(b" ", 1)[0])
        if data.startswith(b"INVITE"):
            assert b"RTP/SAVP" in body_of(data)
            reply(answer_to(data, 180, b""))
        elif data.startswith(b"OPTIONS"):
            reply(answer_to(data, 200, b""))

    world._provider_receives = ringing  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    facts = Probing(world).provider(number="600")
    assert heard[-2:] == [b"INVITE", b"CANCEL"]
    assert "nobody answered" in facts.calls[0].why
    assert not any(row.prediction.is_encrypted for row in facts.rows)


def test_the_text_of_a_peer_is_clean(directory: Path) -> None:
    world = Odd(directory)

    def speaking(over: str, data: bytes, reply: Reply) -> None:
        if data.startswith(b"OPTIONS"):
            answer = answer_to(data, 200, b"")
            reply(answer.replace(b"Contact:", "Server: \x1b[2J‮<b>".encode() + b"x" * 900 + b"\r\nContact:"))

    world._provider_receives = speaking  # type: ignore[method-assign]
    world.becomes(world.behaviour)
    (target,) = Probing(world).provider().targets
    assert target.sip is not None
    assert "\x1b" not in target.sip.server
    assert "‮" not in target.sip.server
    assert len(target.sip.server) < 250
