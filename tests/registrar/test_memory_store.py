"""The memory store: the seam's promises, its bounds, and a comparison with the simplest store there could be."""

import time

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.registrar.binding import Binding, StoreFull
from gateway.registrar.memory_store import MemoryStore
from gateway.transport.flow import Address, FlowKey, Transport
from tests.support.bindings import NOW, binding


def test_the_highest_q_comes_first_and_the_latest_of_equals() -> None:
    store = MemoryStore(lambda: NOW)
    for contact, q in (("sip:a@h", 0.5), ("sip:b@h", 1.0), ("sip:c@h", 0.5)):
        store.save(binding(contact=contact, token=contact, q=q))
    assert [item.contact for item in store.find("sip:alice@example.com")] == ["sip:b@h", "sip:c@h", "sip:a@h"]


def test_a_refresh_replaces_and_a_token_finds_only_the_latest_contact() -> None:
    store = MemoryStore(lambda: NOW)
    store.save(binding(contact="sip:a@h"))
    store.save(binding(contact="sip:a@h", cseq=2))
    store.save(binding(contact="sip:a@other", cseq=3))
    assert [item.cseq for item in store.find("sip:alice@example.com")] == [3]
    found = store.find_token("alice-00000001")
    assert found is not None
    assert found.contact == "sip:a@other"
    assert len(store) == 1


def test_bindings_of_a_connection_that_ended_are_out_of_reach_until_they_are_saved_again() -> None:
    store = MemoryStore(lambda: NOW)
    gone, other = (FlowKey("tcp", Transport.TCP, Address("192.0.2.7", 5060), number) for number in (1, 2))
    first, second = binding(contact="sip:a@h", token="a", flow=gone), binding(contact="sip:b@h", token="b", q=0.1)
    store.save(first)
    store.save(second)
    assert store.remove_flow(other) == []
    assert store.remove_flow(second.flow) == []  # of UDP nothing is known
    assert store.remove_flow(gone) == [first]
    assert store.remove_flow(gone) == []
    assert store.find(first.aor) == [second, first]
    assert store.find_token("a") == first
    assert (store.is_reachable(first), store.is_reachable(second), store.unreachable) == (False, True, 1)
    store.save(attrs.evolve(first, flow=other))
    assert [item.token for item in store.find(first.aor)] == ["a", "b"]
    assert store.unreachable == 0


def test_expired_bindings_are_not_found_even_before_they_are_swept() -> None:
    now = [NOW]
    store = MemoryStore(lambda: now[0])
    store.save(binding(expires_at=NOW + 60))
    store.save(binding(contact="sip:b@h", token="b", expires_at=NOW + 120))
    now[0] = NOW + 60
    assert [item.contact for item in store.find("sip:alice@example.com")] == ["sip:b@h"]
    assert store.find_token("alice-00000001") is None
    assert store.expire(now[0]) == 1
    assert [item.token for item in store.all()] == ["b"]


def test_a_refreshed_binding_outlives_its_first_expiry() -> None:
    store = MemoryStore(lambda: NOW)
    store.save(binding(expires_at=NOW + 60))
    store.save(binding(expires_at=NOW + 600))
    assert store.expire(NOW + 61) == 0
    assert store.expire(NOW + 601) == 1
    assert len(store) == 0


def test_a_full_store_takes_refreshes_and_nothing_new() -> None:
    store = MemoryStore(lambda: NOW, capacity=1)
    store.save(binding())
    store.save(binding(cseq=2))
    with pytest.raises(StoreFull):
        store.save(binding(contact="sip:b@h", token="b"))
    store.remove("sip:alice@example.com", "sip:alice@192.0.2.7:5060")
    store.save(binding(contact="sip:b@h", token="b"))


def test_many_refreshes_do_not_grow_the_heap() -> None:
    store = MemoryStore(lambda: NOW)
    for second in range(5_000):
        store.save(binding(expires_at=NOW + second))
    assert len(store._expiries) <= 1_003


def test_fifty_thousand_bindings_are_quick() -> None:
    store = MemoryStore(lambda: NOW)
    started = time.process_time()
    for number in range(50_000):
        aor = f"sip:user{number}@example.com"
        store.save(binding(aor=aor, token=f"t{number}", expires_at=NOW + 60 + number % 100))
    for number in range(50_000):
        assert store.find(f"sip:user{number}@example.com")
    assert store.expire(NOW + 200) == 50_000
    assert time.process_time() - started < 5.0


AORS = st.sampled_from("ab")
CONTACTS = st.sampled_from("xyz")
TOKENS = st.sampled_from("12345")
FLOWS = st.builds(FlowKey, st.just("tcp"), st.just(Transport.TCP), st.just(Address("h", 1)), st.integers(0, 2))
"""Two connections, and what is none."""


class StoreComparison(RuleBasedStateMachine):
    """Against a plain list that is searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.store = MemoryStore(lambda: self.now)
        self.plain: list[Binding] = []
        self.lost: list[Binding] = []

    @rule(
        aor=st.sampled_from("ab"),
        contact=st.sampled_from("xyz"),
        token=st.sampled_from("12345"),
        life=st.integers(1, 5),
        flow=FLOWS,
    )
    def save(self, aor: str, contact: str, token: str, life: int, flow: FlowKey) -> None:
        new = binding(aor=aor, contact=contact, token=token, expires_at=self.now + life, flow=flow)
        self.plain = [item for item in self.plain if (item.aor, item.contact) != (aor, contact) and item.token != token]
        self.plain.append(new)
        self.lost = [item for item in self.lost if item in self.plain and item is not new]
        self.store.save(new)

    @rule(aor=AORS, contact=CONTACTS)
    def remove(self, aor: str, contact: str) -> None:
        self.plain = [item for item in self.plain if (item.aor, item.contact) != (aor, contact)]
        self.store.remove(aor, contact)

    @rule(flow=FLOWS)
    def remove_flow(self, flow: FlowKey) -> None:
        lost = [item for item in self.plain if item.flow == flow and flow.connection and not self.is_lost(item)]
        assert sorted(self.store.remove_flow(flow), key=id) == sorted(lost, key=id)
        self.lost += lost

    def is_lost(self, item: Binding) -> bool:
        return any(item is one for one in self.lost)

    @rule(seconds=st.integers(1, 3), sweep=st.booleans())
    def pass_time(self, seconds: int, sweep: bool) -> None:
        self.now += seconds
        if sweep:
            before = len(self.store)
            self.plain = [item for item in self.plain if item.expires_at > self.now]
            assert self.store.expire(self.now) == before - len(self.plain)

    @invariant()
    def both_say_the_same(self) -> None:
        live = [item for item in self.plain if item.expires_at > self.now]
        assert len(self.store) == len(self.plain)
        for aor in "ab":
            found = [item for item in reversed(live) if item.aor == aor]
            assert self.store.find(aor) == sorted(found, key=self.is_lost)
        lost = [item for item in self.plain if self.is_lost(item)]
        assert self.store.unreachable == len(lost)
        assert all(self.store.is_reachable(item) is not self.is_lost(item) for item in self.plain)
        assert len(self.store._tokens_over) <= len(self.plain)
        for flow in {item.came_over for item in self.plain}:
            over = [item for item in live if item.came_over == flow and not self.is_lost(item)]
            assert self.store.over(flow) == over
        for token in "12345":
            assert self.store.find_token(token) == next((item for item in live if item.token == token), None)


TestStoreComparison = StoreComparison.TestCase
TestStoreComparison.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_bindings_are_values() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        binding().cseq = 7  # type: ignore[misc]


def test_a_refresh_changes_the_grant_its_order_and_nothing_else() -> None:
    source = FlowKey("phones", Transport.UDP, Address("192.0.2.1", 5061))
    fields = {"provider_interval": 300, "service_route": "<sip:p;lr>", "source": source, "is_behind_nat": True}
    before = binding(**fields)
    assert before.refreshed(9.0, 8, 0.7) == attrs.evolve(before, expires_at=9.0, cseq=8, q=0.7)
