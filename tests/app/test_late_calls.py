"""Messages that wait for their turn: new calls that waited too long are refused unread, all others come through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry

from gateway.app.signalling_part import SignallingPart
from gateway.config.load import load
from gateway.observe.metrics import Metrics
from gateway.sip.message import Message, Request
from gateway.transaction.room import Claim
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Flow
from gateway.transport.udp import DatagramListener
from gateway.transport.unread import TOO_LATE
from tests.support.memory_network import MemoryNetwork
from tests.support.parts import basis_of

CONFIGURATION = """
[gateway]
name = "late"
state_directory = "state"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "192.0.2.1"
port = 5060

[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "192.0.2.1"
port = 5070

[media]
address = "192.0.2.1"
relay = "workers"
ports = "20000-20099"
workers = 1

[[provider]]
name = "main"
uri = "sip:198.51.100.21;transport=udp"

[[domain]]
name = "example.com"
provider = "main"
security = "off"
"""
RULES = """
[[number]]
name = "help"
match = "^0$"
replace = "112"
"""
INVITE = """INVITE sip:{user}@example.com SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-{number};rport
Max-Forwards: 70
From: <sip:alice@example.com>;tag=a{number}
To: <sip:{user}@example.com>
Call-ID: {number}@198.51.100.7
CSeq: 1 INVITE
Contact: <sip:alice@198.51.100.7>
Content-Length: 0

"""


class Core:
    """User and core: takes each message, and answers none."""

    def __init__(self, part: SignallingPart) -> None:
        self._part = part
        self.called: list[str] = []

    def receive(self, message: Message, flow: Flow) -> None:
        self._part.transactions.receive(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        return True

    def claim_of(self, request: Request, flow: Flow) -> Claim:
        return Claim.URGENT if request.request_uri.user in ("112", "0") else Claim.NONE

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        self.called.append(request.request_uri.user or "")


class Scene:
    """The signalling of a gateway, while messages wait."""

    def __init__(self, directory: Path, rules: str = "") -> None:
        file = directory / "gateway.toml"
        file.write_text(CONFIGURATION + rules)
        configuration = load(file)
        self.network = MemoryNetwork()
        metrics = Metrics(CollectorRegistry())
        self.part = SignallingPart(basis_of(configuration, self.network, metrics, "tag{}"), {"198.51.100.7": 1})
        self.core = core = Core(self.part)
        user: Any = core
        self.part.start(user, user)
        port = self.part.transport.port("phones")
        assert isinstance(port, DatagramListener)
        self._port = port
        self._datagrams = self.network.datagrams["192.0.2.1", 5060]

    def call(self, user: str) -> None:
        """A phone's INVITE; one for the same user is a copy."""
        text = INVITE.format(user=user, number=user.encode().hex())
        self._port.datagramReceived(text.replace("\n", "\r\n").encode(), ("198.51.100.7", 5060))

    def late(self, *users: str) -> list[bytes]:
        """The first lines of the answers to calls that have all waited for too long."""
        self.part.transport.crowd.is_on = True
        for user in users:
            self.call(user)
        self.network.rightNow += TOO_LATE + 0.1
        self.network.pump([0.0] * len(users))
        return [data.partition(b"\r\n")[0] for data, _ in self._datagrams.sent]


REFUSED = b"SIP/2.0 503 Service Unavailable"


def test_rfc6357_new_calls_that_waited_are_refused_and_a_copy_of_one_under_way_is_not(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.call("alice")
    assert scene.late("bob", "alice", "carol") == [REFUSED, REFUSED]
    assert scene.core.called == ["alice"]
    assert scene.part.shed == scene.part.transport.unread.count == 2


@pytest.mark.parametrize("user", ["112", "%31%312"])
def test_a_call_for_help_is_put_through_however_long_it_waited(tmp_path: Path, user: str) -> None:
    scene = Scene(tmp_path)
    assert scene.late("bob", user) == [REFUSED]
    assert scene.core.called == ["112"]


def test_where_rules_may_make_a_number_one_for_help_calls_are_read(tmp_path: Path) -> None:
    scene = Scene(tmp_path, RULES)
    assert scene.late("0", "bob") == [REFUSED]
    assert scene.core.called == ["0"]
    assert (scene.part.shed, scene.part.transport.unread.count) == (1, 0)


def test_a_reload_tells_of_other_numbers(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    before = load(tmp_path / "gateway.toml")
    domain = attrs.evolve(before.domains[0], emergency_numbers=("555",))
    scene.part.adopt(attrs.evolve(before, domains=(domain,)))
    assert scene.late("5-5-5", "bob") == [REFUSED, REFUSED]
    assert scene.part.transport.unread.count == 1
