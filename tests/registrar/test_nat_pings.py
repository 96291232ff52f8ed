"""Phones behind NAT are pinged over UDP, by the whole registrar with a fake clock; RFC 3261 section 11."""

from __future__ import annotations

import itertools

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from gateway.observe.metrics import Metrics
from gateway.registrar.binding import Binding
from gateway.registrar.memory_store import MemoryStore
from gateway.registrar.nat_pings import A_SECOND, NatPings
from gateway.registrar.news import RegistrationNews
from gateway.sip.message import Request
from gateway.transaction.client import TransactionUser
from gateway.transport.flow import Address, Flow, FlowKey, Transport
from tests.support.flows import RecordingFlow, listener_of
from tests.support.ladder import BINDING

EVERY = 20


class Under:
    """One ping under way."""

    def __init__(self, request: Request, user: TransactionUser) -> None:
        self.request, self.user = request, user
        self.is_stopped = False

    def stop(self) -> None:
        """No answer is waited for."""
        self.is_stopped = True


class House:
    """Phones behind one NAT; `deaf` have fallen silent."""

    def __init__(self, phones: int = 1, seconds: int = EVERY) -> None:
        self.clock, self.pings = Clock(), list[tuple[float, Under]]()
        self.metrics = Metrics(CollectorRegistry())
        self.told: list[tuple[str, str | None]] = []
        self.metrics.events.subscribe(lambda number, event: self.told.append((str(event.name), event.who)))
        self.store = MemoryStore(self.clock.seconds)
        self.deaf: set[str] = set()
        tokens = map(str, itertools.count())
        news = RegistrationNews(self.metrics, self.clock.seconds)
        self.nat = NatPings(self.store, self.clock, self.flow, self.send, lambda: next(tokens), news)
        for number in range(phones):
            self.store.save(self.binding(number))
        self.nat.start({"phones-udp": seconds})

    def binding(self, number: int, **more: object) -> Binding:
        """A phone that says another address than its packets come from."""
        key = FlowKey("phones-udp", Transport.UDP, Address("203.0.113.7", 20_000 + number))
        contact, aor = f"sip:u{number}@192.168.1.{number % 250}:5060", f"sip:u{number}@example.com"
        made = attrs.evolve(BINDING, aor=aor, contact=contact, flow=key, token=f"t{number}")
        return attrs.evolve(made, **more)  # type: ignore[arg-type]

    def flow(self, key: FlowKey) -> Flow | None:
        """Always open."""
        return RecordingFlow(listener_of("udp"), key.remote)

    def send(self, request: Request, flow: Flow, user: TransactionUser) -> Under:
        """A phone answers 405 a moment later, unless it is deaf."""
        under = Under(request, user)
        self.pings.append((self.clock.seconds(), under))
        if request.request_uri.user not in self.deaf:
            self.clock.callLater(0.05, user.receive_response, request.response(405, to_tag="t"))
        return under

    def runs(self, seconds: float) -> None:
        """Time passes."""
        self.clock.pump([0.025] * int(seconds * 40))


def test_a_phone_is_pinged_so_often_at_its_contact() -> None:
    house = House()
    house.runs(5 * EVERY)
    times = [at for at, _ in house.pings]
    assert 4 <= len(times) <= 6
    assert all(later - sooner <= EVERY + 0.1 for sooner, later in itertools.pairwise(times))
    (_, first), *_ = house.pings
    assert (first.request.method, first.request.uri) == ("OPTIONS", "sip:u0@192.168.1.0:5060")
    assert house.told == []


@pytest.mark.parametrize(
    "more",
    [
        {"contact": "sip:u0@203.0.113.7:20000"},
        {"flow": FlowKey("phones-tcp", Transport.TCP, Address("203.0.113.7", 20_000), 1)},
        {"flow": FlowKey("other", Transport.UDP, Address("203.0.113.7", 20_000))},
    ],
)
def test_others_are_not(more: dict[str, object]) -> None:
    """A phone that knows its address, one on a connection, one of a listener without pings."""
    house = House(phones=0)
    binding = house.binding(0, **more)
    house.store.save(binding)
    house.nat.registered(binding)
    house.nat.start({"phones-udp": EVERY, "phones-tcp": EVERY})
    house.runs(2 * EVERY)
    assert house.pings == []
    assert len(house.nat) == 0


def test_a_phone_that_shows_its_nat_by_its_via_alone_is() -> None:
    house = House(phones=0)
    binding = house.binding(0, contact="sip:u0@203.0.113.7:20000", is_behind_nat=True)
    house.store.save(binding)
    house.nat.registered(binding)
    house.runs(EVERY)
    assert house.pings


def test_a_phone_that_falls_silent_is_told_of_and_is_back_with_its_answer() -> None:
    house = House()
    (binding,) = house.store.all()
    house.deaf.add("u0")
    house.runs(EVERY + 10)
    assert not house.store.is_reachable(binding)
    assert house.told == [("registration.unreachable", "sip:u0@example.com")]
    assert all(one.is_stopped for _, one in house.pings), "no copy of a ping leaves any more"
    house.runs(3 * EVERY)
    assert len(house.told) == 1, "it is told once"
    house.deaf.clear()
    house.runs(EVERY + 1)
    assert house.store.is_reachable(binding)
    assert house.told[1:] == [("registration.reachable", "sip:u0@example.com")]


def test_one_lost_datagram_is_no_silence() -> None:
    house = House()
    house.deaf.add("u0")
    while not house.pings:
        house.runs(0.5)
    house.deaf.clear()
    house.runs(EVERY)
    assert house.told == []


def test_a_phone_out_of_reach_is_back_when_it_registers_and_rung_after_others() -> None:
    house = House(phones=0)
    one, other = house.binding(0), house.binding(1, aor="sip:u0@example.com")
    for binding in (one, other):
        house.store.save(binding)
        house.nat.registered(binding)
    house.deaf.add("u1")
    house.runs(2 * EVERY)
    assert [binding.token for binding in house.store.find("sip:u0@example.com")] == ["t0", "t1"]
    house.store.save(other)
    assert house.store.is_reachable(other)


def test_no_storm_after_a_start_and_a_bound_on_all() -> None:
    """2,000 phones are spread over the whole distance; where the bound allows fewer, all are asked later."""
    house = House(phones=2_000)
    house.runs(EVERY)
    by_second = [sum(int(at) == second for at, _ in house.pings) for second in range(EVERY)]
    assert sum(by_second) >= 1_900
    assert max(by_second) <= A_SECOND
    assert min(by_second) > 50
    crowd = House(phones=2_000, seconds=5)
    crowd.runs(10)
    assert len(crowd.pings) <= 10 * A_SECOND + 5
    assert len({one.request.uri for _, one in crowd.pings}) > 1_900, "each has its turn"


def test_nothing_is_left_behind_by_phones_that_have_gone_and_at_the_end() -> None:
    house = House(phones=3)
    house.deaf.add("u1")
    house.runs(EVERY)
    for binding in [*house.store.all()]:
        house.store.remove(binding.aor, binding.contact)
    house.runs(2 * EVERY)
    assert len(house.nat) == 0
    house.nat.stop()
    assert house.clock.getDelayedCalls() == []
