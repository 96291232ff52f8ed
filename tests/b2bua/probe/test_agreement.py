"""Every prediction of a probe is the verdict of the call that follows, for all stand-in providers of the matrix."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from gateway.b2bua.probe.jobs.probe_order import ProbeKind
from gateway.b2bua.probe.outlook.call_outlook import CallOutlook
from gateway.b2bua.probe.outlook.domain_outlook import DomainOutlook
from gateway.b2bua.probe.prediction import Prediction
from gateway.b2bua.probe.probes import ProbeJob
from gateway.config.model import Downgrade, Security
from gateway.security.policy.peer_memory import Peer
from tests.support.matrix_table import ATTACKS
from tests.support.matrix_world import PROVIDERS, World
from tests.support.probe_world import Probing

ENCRYPTED = ("ENCRYPTED", "ENCRYPTED_TO_PROVIDER")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authorities")


def of_phone(world: World, provider: Prediction) -> CallOutlook:
    """The outlook of the phone of a world."""
    domain = world.ladder.configuration.domains[0]
    job = ProbeJob("1", ProbeKind.DOMAIN, domain.name, 0.0, prediction=provider)
    (binding,) = world.ladder.store.all()
    return DomainOutlook(domain, job, Probing(world).around).of(binding)


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_gets_the_verdict_that_was_predicted(provider: str, security: Security, directory: Path) -> None:
    world = World(directory, PROVIDERS[provider], security)
    facts = Probing(world).provider(number="600", is_full=True)
    predicted = facts.row(str(security))
    assert predicted is not None
    assert world.ladder.memory.seen(Peer.of(world.ladder.configuration.providers[0])).did_tls_at is None
    world.call_out("sip:bob@example.com")
    verdict, reason, status = world.claim()
    assert (predicted.verdict, predicted.reason, predicted.status) == (verdict, reason, status)
    assert facts.domains[0].prediction == predicted
    call = of_phone(world, predicted)
    assert (call.verdict, call.reason, call.status) == (verdict, reason, status)
    world.end()


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_a_call_nothing_is_called_encrypted_that_is_not(
    provider: str, security: Security, directory: Path
) -> None:
    world = World(directory, PROVIDERS[provider], security, "tls")
    probing = Probing(world)
    unseen = probing.provider().row(str(security))
    assert b"INVITE sip:" not in world.in_clear_to_provider()
    assert world.provider_exchange is None, "an INVITE came to the provider"
    assert unseen is not None
    assert unseen.verdict not in ENCRYPTED
    world.call_out("sip:bob@example.com")
    world.end()
    remembered = probing.provider().row(str(security))
    assert remembered is not None
    world.network.pass_time(400)  # a lack of TLS counts for five minutes
    world.call_out("sip:bob@example.com")
    verdict, _, _ = world.claim()
    if remembered.verdict in ENCRYPTED:
        assert verdict == of_phone(world, remembered).verdict == "ENCRYPTED"
    world.end()


@pytest.mark.parametrize("downgrade", Downgrade)
@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("attack", ATTACKS)
def test_somebody_in_between_is_predicted_as_well(
    attack: str, security: Security, downgrade: Downgrade, directory: Path
) -> None:
    world = World(directory, PROVIDERS["TLS and SRTP"], security, "udp", downgrade)
    world.call_out("sip:bob@example.com")
    world.ladder.calls.end_all("the first call")
    world.becomes(attrs.evolve(ATTACKS[attack]))
    predicted = Probing(world).provider(number="600", is_full=True).row(str(security))
    assert predicted is not None
    world.call_out("sip:bob@example.com")
    assert (predicted.verdict, predicted.reason, predicted.status) == world.claim()
    world.end()
