"""The way of a leg: the flows that its peer's messages may come over, and the one that it is reached by."""

from __future__ import annotations

import attrs
import pytest

from gateway.b2bua.legs.flows import LegWay
from gateway.config.model import MovedPhones, Side
from gateway.registrar.binding import Binding
from gateway.registrar.memory_store import MemoryStore
from gateway.registrar.phones import Phones
from gateway.security.access_list import Proof, ProofKind
from gateway.transaction.server import ServerTransaction
from gateway.transport.flow import Address, Flow, FlowKey, PeerIdentity
from gateway.transport.way import Strength
from tests.support.bindings import NOW, binding
from tests.support.flows import RecordingFlow, a_flow, listener_of
from tests.support.transactions import Bench, make_request

IDENTITY = PeerIdentity(names=("provider.example.com",), trust="system")
BY_CERTIFICATE, BY_ADDRESS = (Proof("provider.example.com", kind) for kind in ProofKind)
INSTANCE = '"<urn:uuid:00000000-0000-1000-8000-00aabbccddee>"'


def closed(flow: RecordingFlow) -> RecordingFlow:
    flow.fail()
    return flow


def elsewhere(transport: str, side: Side = Side.PHONES, identity: PeerIdentity | None = None) -> RecordingFlow:
    flow = RecordingFlow(listener_of(transport, side), Address("127.0.0.12", 5060), 99)
    flow.identity = identity
    return flow


def verified(connection: int = 1) -> RecordingFlow:
    flow = a_flow("tls", Side.PROVIDER, connection=connection)
    flow.identity = IDENTITY
    return flow


class Site:
    """A leg's way, registrations, and proofs of the domain's peers as the test gives them."""

    def __init__(self, own: Flow, phone: Binding | None = None, proof: Proof | None = None) -> None:
        self.store = MemoryStore(lambda: NOW)
        self.reached: dict[FlowKey, Flow] = {}
        self.phones = Phones(self.store, self.reached.get)
        self.way = LegWay(own, phone)
        self.proof = proof

    def registers(self, flow: Flow, **more: object) -> Binding:
        """A phone is bound to its flow."""
        bound = binding(flow=flow.key, **more)
        self.store.save(bound)
        self.reached[flow.key] = flow
        return bound

    def takes(self, other: Flow) -> bool:
        return self.way.takes(other, self.phones, lambda flow: self.proof)

    def came(self, other: Flow) -> Flow:
        """A request came over that flow and was taken; where requests of ours go now."""
        bench = Bench()
        bench.layer.receive(make_request("INFO", "z9hG4bK1;rport", to_tag="ours"), other)
        (transaction,) = bench.core.transactions
        assert isinstance(transaction, ServerTransaction)
        self.way.follow(transaction)
        return self.way.flow


def test_an_open_flow_stays() -> None:
    own = a_flow("tls")
    assert Site(own).way.opened(lambda: a_flow("tls", connection=2)) is own


def test_a_lost_flow_is_opened_again() -> None:
    other = a_flow("tls", connection=2)
    assert Site(closed(a_flow("tls"))).way.opened(lambda: other) is other


@pytest.mark.parametrize("other", [None, a_flow("udp")])
def test_a_lost_flow_stays_where_there_is_none_that_protects_as_much(other: RecordingFlow | None) -> None:
    own = closed(a_flow("tls"))
    assert Site(own).way.opened(lambda: other) is own


def test_a_request_over_another_connection_takes_the_place_of_a_lost_one_alone() -> None:
    own, other = a_flow("tls"), a_flow("tls", connection=2)
    assert Site(own).came(other) is own
    assert Site(closed(own)).came(other) is other


def test_a_phone_behind_a_nat_may_change_its_port() -> None:
    own, other = a_flow("udp", port=5060), a_flow("udp", port=5070)
    assert Site(own).takes(other)
    assert Site(own).came(other) is other


def test_a_provider_is_not_followed_to_another_port() -> None:
    own = a_flow("udp", Side.PROVIDER, 5060)
    assert Site(own).came(a_flow("udp", Side.PROVIDER, 5070)) is own


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rfc3261_12_2_2_a_phone_in_clear_stays_with_its_host(transport: str) -> None:
    site = Site(a_flow(transport))
    assert site.takes(a_flow(transport, port=5070, connection=2))
    assert not site.takes(elsewhere(transport))
    assert not site.takes(elsewhere("tls"))
    assert not site.takes(a_flow(transport, Side.PROVIDER))


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("clear", ["udp", "tcp"])
def test_rfc3261_26_a_leg_on_tls_takes_nothing_in_clear(side: Side, clear: str) -> None:
    own = a_flow("tls", side)
    site = Site(own, binding(flow=own.key), BY_CERTIFICATE)
    other = a_flow(clear, side)
    site.registers(other)
    assert not site.takes(other)


def test_rfc3261_12_2_2_a_verified_provider_takes_another_connection_of_the_same_name_alone() -> None:
    site = Site(verified())
    assert site.takes(verified(2))
    assert site.takes(elsewhere("tls", Side.PROVIDER, IDENTITY))
    assert not site.takes(a_flow("tls", Side.PROVIDER, connection=2))
    other = elsewhere("tls", Side.PROVIDER, PeerIdentity(names=("other.example.com",), trust="system"))
    assert not site.takes(other)
    site.proof = BY_ADDRESS
    assert not site.takes(other)
    site.proof = BY_CERTIFICATE
    assert site.takes(other)


def test_rfc3261_12_2_2_the_name_outlives_the_connection_that_proved_it() -> None:
    site = Site(closed(verified()))
    again = a_flow("tls", Side.PROVIDER, connection=2)
    assert site.way.opened(lambda: again) is again  # not up yet: nobody is verified
    assert not site.takes(a_flow("tls", Side.PROVIDER, connection=3))
    assert site.takes(again)
    assert site.takes(verified(4))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rfc3261_12_2_2_a_provider_in_clear_may_have_several_hosts_of_its_domain(transport: str) -> None:
    site = Site(a_flow(transport, Side.PROVIDER))
    assert not site.takes(elsewhere(transport, Side.PROVIDER))
    site.proof = BY_ADDRESS
    assert site.takes(elsewhere(transport, Side.PROVIDER))


@pytest.mark.parametrize("instance", [INSTANCE, None])
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_rfc5626_4_1_a_phone_that_registered_over_another_flow_is_followed(
    transport: str, instance: str | None
) -> None:
    own, other = a_flow(transport, connection=1), elsewhere(transport)
    site = Site(own, binding(flow=own.key, instance=instance))
    assert not site.takes(other)
    site.registers(other, instance=instance)
    assert site.takes(other)
    assert site.came(other) is other
    assert not site.takes(own)


@pytest.mark.parametrize("more", [{"instance": '"<urn:uuid:2>"'}, {"instance": None}, {"aor": "sip:bob@example.com"}])
def test_rfc5626_4_1_another_phone_is_not_followed(more: dict[str, object]) -> None:
    own, other = a_flow("tcp", connection=1), elsewhere("tcp")
    site = Site(own, binding(flow=own.key, instance=INSTANCE))
    site.registers(other, **{"instance": INSTANCE, **more})
    assert not site.takes(other)


def test_rfc5626_4_1_a_leg_of_no_registered_phone_follows_nobody() -> None:
    site = Site(a_flow("tcp", connection=1))
    other = elsewhere("tcp")
    site.registers(other)
    assert not site.takes(other)


def test_rfc5626_5_3_requests_go_to_the_latest_registration_of_the_phone() -> None:
    own, other = a_flow("udp"), elsewhere("udp")
    phone = binding(flow=own.key)
    site = Site(own, phone)
    site.store.save(phone)
    assert site.way.opened(lambda: site.phones.flow_of(phone)) is own
    site.registers(other)
    assert site.way.opened(lambda: site.phones.flow_of(phone)) is other


def test_rfc3261_12_2_2_tags_are_proof_where_the_listener_says_so() -> None:
    own, other = a_flow("udp"), elsewhere("udp")
    other.listener = attrs.evolve(other.listener, moved_phones=MovedPhones.TAGS)
    site = Site(own)
    assert site.takes(other)
    assert site.came(other) is other
    assert not Site(a_flow("tls")).takes(other)


def test_the_weakest_of_all_flows_is_remembered() -> None:
    own = a_flow("tcp", connection=1)
    site = Site(own)
    assert site.way.weakest is Strength.CLEAR
    own.fail()
    assert site.came(a_flow("tls", connection=2)).is_secure
    assert site.way.weakest is Strength.CLEAR


def test_a_request_over_a_weaker_flow_than_the_legs_own_is_remembered() -> None:
    site = Site(verified())
    site.came(a_flow("tls", Side.PROVIDER, connection=2))
    assert site.way.weakest is Strength.TLS


def test_of_two_phones_of_a_user_without_instances_a_leg_keeps_its_own() -> None:
    own = a_flow()
    site = Site(own)
    first = site.registers(own, contact="sip:alice@127.0.0.11:5060", token="alice-1", instance=None)
    site.registers(elsewhere("udp"), contact="sip:alice@127.0.0.12:5060", token="alice-2", instance=None)
    way = LegWay(own, first)
    assert way.opened(lambda: site.phones.flow_of(first)) is own
