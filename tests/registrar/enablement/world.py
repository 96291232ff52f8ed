"""Roll-outs with scripted phones: real transactions, table, file and memory of peers; a clock, and flows to nowhere.

    world = World(tmp_path)
    world.add(Yealink("alice"))
    rollout = world.begin()
    world.pass_time(400)
    assert world.states(rollout) == {"alice": "confirmed"}

A phone gets each message as it is sent, and answers as its make would. One that obeys registers over TLS a while later.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from gateway.config.model import Domain, PhonesSecurity, Resync, Security
from gateway.config.switches import NoSuchDomain
from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.book import RollOutBook, read
from gateway.registrar.enablement.order_exchange import OrderSender
from gateway.registrar.enablement.phone_reasons import PhoneReason
from gateway.registrar.enablement.roll_out import Goal, PhoneList, RollOut, RolloutPhone, is_meant
from gateway.registrar.enablement.rollouts import RollOuts
from gateway.registrar.enablement.surroundings import NoFiles, PhoneFiles, RolloutSurroundings
from gateway.registrar.memory_store import MemoryStore
from gateway.security.policy.peer_memory import Feature, Peer, PeerMemory
from gateway.sip.message import Request, Response
from gateway.sip.parser import parse
from gateway.state.table import KeptTable, Value
from gateway.transaction.layer import TransactionLayer
from gateway.transport.flow import Address, Flow, FlowKey, Transport
from tests.support.direct_database import DirectDatabase, got
from tests.support.flows import FakeFlow, listener_of
from tests.support.transactions import RecordingCore

NOW = 1_700_000_000.0
DOMAIN = "example.com"


class PhoneFlow(FakeFlow):
    """Gives a phone each message."""

    __slots__ = ("phone",)

    def __init__(self, phone: ScriptedPhone, transport: str, port: int) -> None:
        super().__init__(listener_of(transport), Address(phone.host, port), 0 if transport == "udp" else port)
        self.phone = phone

    def send(self, data: bytes) -> None:
        message = parse(data)
        assert isinstance(message, Request)
        self.phone.receive(message, self)


@attrs.define(eq=False)
class ScriptedPhone:
    """A phone that obeys an order: it says 200, is away for a while, and comes back over TLS."""

    user: str
    agent: str = "Yealink SIP-T46G 28.83.0.30"
    answers: tuple[int | str, ...] = (200,)
    """Its answer to each NOTIFY, the last one for all further ones: a status, a challenge (text), or 0: none."""
    comes_back: str = "tls"
    """tls, udp (in clear, started anew), still (it goes on as before), or never."""
    after: float = 60.0
    options: int = 200
    """Its answer to OPTIONS; 0: none."""
    host: str = "192.0.2.1"
    instance: str | None = None
    world: Any = None
    transport: str = "udp"
    got: list[Request] = attrs.field(factory=list)
    """Each NOTIFY, copies left out."""
    asked: list[Request] = attrs.field(factory=list)
    flow: PhoneFlow = attrs.field(init=False)
    registrations: int = 0
    is_back: bool = False

    @property
    def aor(self) -> str:
        return f"sip:{self.user}@{DOMAIN}"

    def receive(self, request: Request, flow: PhoneFlow) -> None:
        key = request.headers.get("Via")
        seen = self.got if request.method == "NOTIFY" else self.asked
        if any(one.headers.get("Via") == key for one in seen):
            return
        seen.append(request)
        if request.method == "OPTIONS":
            if self.options:
                self.answer(request, flow, self.options)
            return
        said = self.answers[min(len(self.got), len(self.answers)) - 1]
        if isinstance(said, str):
            self.answer(request, flow, 401, ("WWW-Authenticate", said))
            return
        if said:
            self.answer(request, flow, said)
        if said == 200:
            self.obeys()

    def obeys(self) -> None:
        if self.comes_back != "never":
            self.world.clock.callLater(self.after, self.comes)

    def comes(self) -> None:
        if self.comes_back == "tls":
            self.world.register(self, "tls", is_new=True)
        elif self.comes_back == "udp":
            self.world.register(self, "udp", is_new=True)
        elif self.comes_back == "still":
            self.world.register(self, "udp", is_new=False)

    def answer(self, request: Request, flow: Flow, status: int, *fields: tuple[str, str]) -> None:
        response: Response = request.response(status, None, "phone")
        for name, value in fields:
            response.headers.add(name, value)
        self.world.clock.callLater(0.01, self.world.transactions.receive, parse(response.to_bytes()), flow)


class World:
    """A gateway's roll-outs, with phones around them."""

    def __init__(
        self, directory: Path, files: PhoneFiles | None = None, clock: Clock | None = None, **terms: Any
    ) -> None:
        self.directory = directory
        self.clock = clock or Clock()
        self.terms = Resync(**terms)
        self.phones: dict[str, ScriptedPhone] = {}
        self.busy: set[Address] = set()
        self.passwords: dict[str, str] = {}
        self.handshakes: dict[str, str] = {}
        self.wall_offset = 0.0
        self._numbers = itertools.count(1)
        self.files = files or NoFiles()
        self.switched: list[tuple[str, str]] = []
        self.served = True
        self.start()

    def start(self) -> None:
        """A process starts; bindings and the memory of peers are those of before."""
        before = getattr(self, "store", None), getattr(self, "memory", None)
        self.metrics = Metrics(CollectorRegistry())
        self.store = before[0] or MemoryStore(self.now, 100_000)
        self.memory = before[1] or PeerMemory(self.now, self.metrics)
        self.transactions = TransactionLayer(self.clock)
        self.transactions.start(RecordingCore())
        self.database = DirectDatabase(self.directory / "rollouts.sqlite")
        self.table = KeptTable(self.directory / "rollouts.sqlite", self.database, self.clock)
        self.domain = Domain(DOMAIN, "main", phones_security=PhonesSecurity.REQUIRED)
        current = SimpleNamespace(resync=self.terms, resync_makes=(), domains=(self.domain,))
        settings: Any = SimpleNamespace(switch=self._switch, current=current)
        self.settings = settings
        tokens = itertools.count(1)
        sender = OrderSender(
            self.transactions.send_request,
            self.flow,
            lambda domain, user: self.passwords.get(user),
            lambda: f"{next(tokens):016x}",
        )
        self.around = around = RolloutSurroundings(
            settings,
            self.store,
            self.memory,
            sender,
            self,  # type: ignore[arg-type]
            self.metrics,
            lambda: self.busy,
            self,
            self.files,
        )
        self.book = RollOutBook(self.table, self.now)
        self.rollouts = RollOuts(around, self.book)
        rows: list[tuple[str, Value]] = got(self.table.latest(100_000))
        self.rollouts.recall(read(rows))

    def kill(self) -> None:
        """The process dies: all that it had not written is lost, and each transaction."""
        self.transactions.stop()
        self.database.failing = True  # its writes that are still to come
        self.database.close()

    def now(self) -> float:
        return NOW + self.clock.seconds()

    def wall(self) -> float:
        return self.now() + self.wall_offset

    def client_failure(self, host: str) -> str:
        return self.handshakes.get(host, "")

    def forget_client(self, host: str) -> None:
        self.handshakes.pop(host, None)

    def flow(self, key: FlowKey) -> Flow | None:
        for phone in self.phones.values():
            if phone.flow.key == key and phone.flow.open:
                return phone.flow
        return None

    def _switch(self, domain: str, security: Security, who: str, because: str = "") -> None:
        if not self.served:
            raise NoSuchDomain(f"There is no domain {domain}.")
        self.switched.append((domain, str(security)))

    def add(self, *phones: ScriptedPhone) -> None:
        """Phones that are registered."""
        for phone in phones:
            self.phones[phone.user] = phone
            phone.world = self
            if phone.host == "192.0.2.1":
                phone.host = f"192.0.2.{len(self.phones) + 1}"
            self.register(phone, phone.transport, is_new=True)

    def register(self, phone: ScriptedPhone, transport: str, *, is_new: bool) -> bool:
        """A phone's REGISTER, which the provider grants; False where the gateway refuses it."""
        is_tls = transport == "tls"
        peer = Peer(phone.aor)
        if not is_tls and self.memory.known(peer).tls:  # downgrade = "refuse"
            return False
        if is_tls:
            self.memory.saw(peer, Feature.TLS, did=True)
        if is_new:
            phone.registrations += 1
        port = 5060 + (phone.registrations if is_tls else 0)
        phone.flow = PhoneFlow(phone, transport, port)
        phone.transport = transport
        contact = f"sip:{phone.user}@{phone.host}:{port}" + (";transport=tls" if is_tls else "")
        for old in self.store.find(phone.aor):
            if old.instance == phone.instance:
                self.store.remove(old.aor, old.contact)
        binding = Binding(
            aor=phone.aor,
            contact=contact,
            flow=phone.flow.key,
            expires_at=self.now() + 1e6,
            call_id=f"{phone.user}-{phone.registrations}",
            cseq=1,
            q=1.0,
            instance=phone.instance,
            user_agent=phone.agent,
            token=f"{phone.user}-{phone.instance}",
            provider_expires_at=self.now() + 1e6,
        )
        self.store.save(binding)
        self.rollouts.returns.registered(binding)
        return True

    def begin(self, goal: Goal = Goal.TLS_REQUIRED, only: str = "", **more: Any) -> RollOut:
        """A roll-out to all phones."""
        number = self.rollouts.list.reserve()
        rollout = RollOut(number, DOMAIN, goal, "tester", self.now(), **more)
        found = PhoneList(self.around.makes)
        for binding in self.store.all():
            if is_meant(binding, only):
                found.add(binding)
        rollout.phones = found.in_waves(self.terms)
        for phone in rollout.phones:
            self.book.keep_phone(rollout, phone)
        self.rollouts.begin(rollout)
        return rollout

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, with looks as the gateway makes them."""
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            self.rollouts.look()

    def states(self, rollout: RollOut) -> dict[str, str]:
        """The state of each phone, by its user."""
        return {one.address[4:].partition("@")[0]: str(one.state) for one in rollout.phones}

    def phone_of(self, rollout: RollOut, user: str) -> RolloutPhone:
        """The row of one phone."""
        return next(one for one in rollout.phones if one.address == f"sip:{user}@{DOMAIN}")

    def reasons(self, rollout: RollOut) -> dict[str, PhoneReason]:
        """The reason of each phone, by its user."""
        return {one.address[4:].partition("@")[0]: one.reason for one in rollout.phones}

    def transport_of(self, user: str) -> Transport:
        """How a phone is registered."""
        (binding,) = self.store.find(f"sip:{user}@{DOMAIN}")
        return binding.flow.transport
