"""Probes as jobs: phones, domains, URIs; orders that are refused; the rate, the deadline, and what is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed

from gateway.app.administration.probe_part import own_hosts
from gateway.b2bua.probe.jobs.probe_order import ProbeKind, ProbeOrder, ProbeRefused
from gateway.b2bua.probe.probes import DEADLINE, KEPT, ProbeJob, Probes
from gateway.b2bua.probe.remarks import barred_place
from gateway.b2bua.probe.sentences import ProbeResult
from gateway.config.model import Security
from gateway.registrar.binding import Binding
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.transport.flow import Address, FlowKey, Target, Transport
from tests.support.ladder import BINDING
from tests.support.matrix_world import FAR_TLS, NAME, PROVIDERS, World
from tests.support.probe_world import Probing

PROVIDER = ProbeOrder(ProbeKind.PROVIDER, "main")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authorities")


class Desk:
    """The probes of a world."""

    def __init__(
        self,
        directory: Path,
        provider: str = "TLS and SRTP",
        security: Security = Security.REQUIRED,
        phone: str = "udp",
    ) -> None:
        self.world = World(directory, PROVIDERS[provider], security, phone)
        self.probing = Probing(self.world, {"alice@example.com": "Wonderland-7531"})
        self.metrics = self.world.ladder.metrics
        self.probes = Probes(self.probing.around, self.metrics, directory)

    def done(self, order: ProbeOrder, seconds: float = 60) -> ProbeJob:
        job = self.probes.begin(order)
        for _ in range(int(seconds * 5)):
            self.world.network.settle()
            if job.result is not None:
                break
            self.world.network.advance(0.2)
        return job

    def counted(self, kind: str, result: str) -> float:
        found = self.metrics.probes.labels(kind, result)
        return float(found._value.get())

    def registers(self, aor: str, transport: Transport = Transport.TLS, **more: Any) -> Binding:
        key = FlowKey("phones", transport, Address("192.0.2.11", 5070), 0)
        contact = f"sip:{aor}@192.0.2.11:5070"
        binding = attrs.evolve(
            BINDING, aor=f"sip:{aor}@example.com", contact=contact, flow=key, token=f"{aor}-1", **more
        )
        self.world.ladder.store.save(binding)
        return binding


def test_a_provider_that_is_as_wanted_says_so(directory: Path) -> None:
    desk = Desk(directory)
    job = desk.done(attrs.evolve(PROVIDER, number="600"))
    assert job.result is ProbeResult.AS_WANTED
    assert job.sentence == "Calls to main will be ENCRYPTED_TO_PROVIDER (TLSv1.3, AES_CM_128_HMAC_SHA1_80)."
    assert desk.counted("provider", "as_wanted") == 1
    assert desk.world.ladder.memory.seen(Peer.of(desk.world.ladder.configuration.providers[0])).did_srtp_at is None


def test_it_is_learned_from_where_that_is_wanted(directory: Path) -> None:
    desk = Desk(directory)
    desk.done(attrs.evolve(PROVIDER, number="600", learn=True))
    seen = desk.world.ladder.memory.seen(Peer.of(desk.world.ladder.configuration.providers[0]))
    assert seen.did_tls_at is not None
    assert seen.did_srtp_at is not None


def test_a_provider_with_faults_is_not_as_wanted(directory: Path) -> None:
    job = Desk(directory, "certificate expired").done(PROVIDER)
    assert job.result is ProbeResult.NOT
    assert "REFUSED_CERTIFICATE" in job.sentence
    assert Desk(directory).done(PROVIDER).result is ProbeResult.UNKNOWN


def test_a_target_is_probed_once_in_ten_seconds(directory: Path) -> None:
    desk = Desk(directory)
    desk.done(PROVIDER)
    with pytest.raises(ProbeRefused) as refused:
        desk.probes.begin(PROVIDER)
    assert refused.value.status == 429
    desk.world.network.pass_time(11)
    assert desk.done(PROVIDER).result is not None


def test_four_run_at_once_and_fifty_are_kept(directory: Path) -> None:
    desk = Desk(directory, "TLS port is silent")
    for number in range(4):
        desk.probes.begin(ProbeOrder(ProbeKind.URI, f"sip:a{number}.example;transport=tls", may_go_anywhere=True))
    with pytest.raises(ProbeRefused) as refused:
        desk.probes.begin(PROVIDER)
    assert refused.value.status == 429
    desk.world.network.pass_time(60)
    for number in range(KEPT + 5):
        desk.done(ProbeOrder(ProbeKind.PHONE, f"nobody{number}@example.com"))
    assert len(desk.probes.latest()) == KEPT


def test_one_that_takes_too_long_has_an_end(directory: Path) -> None:
    desk = Desk(directory)
    desk.world._provider_receives = lambda *_: None  # type: ignore[method-assign]
    desk.world.becomes(desk.world.behaviour)
    began = desk.world.network.seconds()
    job = desk.done(attrs.evolve(PROVIDER, number="600", is_full=True))
    assert job.result is not None
    assert desk.world.network.seconds() - began <= DEADLINE + 1
    desk.world.network.pass_time(60)
    assert not [one for one in desk.world.network.connections if FAR_TLS in (one._own, one._peer) and not one.is_over]


def test_the_end_of_the_gateway_ends_them(directory: Path) -> None:
    desk = Desk(directory, "TLS port is silent")
    job = desk.probes.begin(PROVIDER)
    desk.world.network.settle()
    desk.probes.stop()
    assert job.result is ProbeResult.FAILED
    assert "ended with the gateway" in job.sentence


@pytest.mark.parametrize(
    ("order", "status", "words"),
    [
        (ProbeOrder(ProbeKind.PROVIDER, "nobody"), 404, "no provider nobody"),
        (ProbeOrder(ProbeKind.DOMAIN, "nowhere.example"), 404, "no domain"),
        (ProbeOrder(ProbeKind.PHONE, "alice"), 400, "address of record"),
        (ProbeOrder(ProbeKind.URI, "http://x"), 400, "SIP URI"),
        (ProbeOrder(ProbeKind.URI, "sip:alice@x.example"), 400, "host alone"),
        (ProbeOrder(ProbeKind.URI, "sip:x.example", trust="nonsense"), 400, "no PEM"),
        (ProbeOrder(ProbeKind.URI, "sip:x.example", number="600"), 400, "go with a provider"),
        (attrs.evolve(PROVIDER, number="112"), 400, "emergency"),
        (attrs.evolve(PROVIDER, number="911"), 400, "emergency"),
        (attrs.evolve(PROVIDER, number="1;x=y"), 400, "A number has"),
        (attrs.evolve(PROVIDER, number="600\r\nVia: x"), 400, "A number has"),
        (attrs.evolve(PROVIDER, user="alice@elsewhere.example"), 400, "no user of a domain"),
        (attrs.evolve(PROVIDER, user="alice"), 400, "no user of a domain"),
        (attrs.evolve(PROVIDER, trust="x"), 400, "a provider has its own"),
    ],
)
def test_orders_that_cannot_be_are_refused(order: ProbeOrder, status: int, words: str, directory: Path) -> None:
    desk = Desk(directory)
    with pytest.raises(ProbeRefused) as refused:
        desk.probes.begin(order)
    assert refused.value.status == status
    assert words in str(refused.value)
    assert not desk.probes.latest()


def test_a_uri_is_verified_by_the_authorities_that_came_with_it(directory: Path) -> None:
    desk = Desk(directory)
    trust = desk.world.authority.file.read_text()
    uri = f"sip:{NAME};transport=tls"
    job = desk.done(ProbeOrder(ProbeKind.URI, uri, trust=trust))
    assert job.facts["targets"][0]["verified_for"] == NAME
    assert not [*directory.glob("probe-*")]
    desk.world.network.pass_time(11)
    job = desk.done(ProbeOrder(ProbeKind.URI, uri))
    assert job.facts["targets"][0]["failure"] == "certificate"
    assert not desk.world.layer.clients.terms - {one for one in desk.world.layer.clients.terms if one.trust != "system"}


def test_an_operators_uri_may_not_lead_to_us(directory: Path) -> None:
    desk = Desk(directory)
    around = attrs.evolve(desk.probing.around, own_hosts=lambda: frozenset({FAR_TLS[0]}))
    probes = Probes(around, desk.metrics, directory)
    desk.probes = probes
    uri = f"sip:{NAME};transport=tls"
    before = len(desk.world.network.connected)
    job = desk.done(ProbeOrder(ProbeKind.URI, uri))
    assert job.result is ProbeResult.FAILED
    assert "only an admin" in job.sentence
    assert len(desk.world.network.connected) == before
    desk.world.network.pass_time(11)
    assert desk.done(ProbeOrder(ProbeKind.URI, uri, may_go_anywhere=True)).result is not ProbeResult.FAILED


def test_an_operators_uri_may_not_lead_to_the_address_that_we_moved_to(directory: Path) -> None:
    desk = Desk(directory)
    layer, configuration = desk.world.layer, desk.world.ladder.configuration
    around = attrs.evolve(desk.probing.around, own_hosts=lambda: own_hosts(layer.listeners, configuration))
    desk.probes = Probes(around, desk.metrics, directory)
    there = Target(Transport.TLS, Address("192.0.2.77", 5061), NAME)
    desk.world._target = lambda transport: there  # type: ignore[method-assign]
    order = ProbeOrder(ProbeKind.URI, "sip:192.0.2.77:5061")
    assert "only an admin" not in desk.done(order).sentence
    layer.move({"secure phones": "192.0.2.77"})
    desk.world.network.pass_time(11)
    assert "an address of this gateway: only an admin" in desk.done(order).sentence


def test_a_party_of_ours_is_where_media_are_now(directory: Path) -> None:
    desk = Desk(directory)
    now = ["198.51.100.1"]
    around = attrs.evolve(desk.probing.around, media_address=lambda: now[0])
    desk.probes = Probes(around, desk.metrics, directory)
    heard: list[str] = []
    listen = desk.world.network.listenUDP

    def listening(port: int, protocol: Any, interface: str, most: int) -> Any:
        heard.append(interface)
        return listen(port, protocol, interface, most)

    desk.world.network.listenUDP = listening  # type: ignore[method-assign, assignment]
    for place in ("198.51.100.1", "198.51.100.2"):
        now[0] = place
        assert desk.done(attrs.evolve(PROVIDER, number="600")).result is ProbeResult.AS_WANTED
        desk.world.network.pass_time(11)
    assert heard == ["198.51.100.1", "198.51.100.2"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"),
        "169.254.169.254",
    ],
)
def test_places_that_are_no_servers_are_barred(host: str) -> None:
    assert barred_place(host, frozenset())


def test_other_places_are_not() -> None:
    assert not barred_place("192.0.2.66", frozenset({"192.0.2.1"}))
    assert barred_place("192.0.2.1", frozenset({"192.0.2.1"}))
    assert barred_place("::ffff:192.0.2.1", frozenset({"192.0.2.1"}))


@pytest.mark.parametrize("host", ["2001:db8::5", "2001:DB8::5", "2001:db8:0:0:0:0:0:5", "2001:0db8::0005"])
@pytest.mark.parametrize("own", ["2001:db8::5", "2001:db8:0::5"])
def test_our_address_is_ours_however_it_is_spelled(host: str, own: str) -> None:
    assert barred_place(host, frozenset({own})) == "an address of this gateway"
    assert not barred_place("2001:4860::6", frozenset({own}))


def test_a_phone_is_told_by_its_registration_and_its_memory(directory: Path) -> None:
    desk = Desk(directory)
    job = desk.done(ProbeOrder(ProbeKind.PHONE, "alice@example.com"))
    assert job.result is ProbeResult.NOT
    (phone,) = job.facts["phones"]
    assert (phone["transport"], phone["verdict"], phone["sip"]["status"]) == ("udp", "clear", 200)
    assert "it registered over UDP" in job.sentence
    assert desk.world.phone_exchange is None, "nothing rings"
    assert "is not registered" in desk.done(ProbeOrder(ProbeKind.PHONE, "carol@example.com")).sentence


def test_a_phone_over_tls_encrypts_once_a_call_has_shown_it(directory: Path) -> None:
    desk = Desk(directory, phone="tls")
    flow = desk.world._phone_flow
    assert flow is not None
    binding = attrs.evolve(desk.registers("bob", user_agent="Yealink SIP-T46S 66.85.0.5"), flow=flow.key)
    desk.world.ladder.store.save(binding)
    memory = desk.world.ladder.memory
    order = ProbeOrder(ProbeKind.PHONE, "bob@example.com")
    (phone,) = desk.done(order).facts["phones"]
    assert (phone["make"], phone["model"], phone["verdict"]) == ("Yealink", "SIP-T46S", "unknown")
    memory.saw(Peer(binding.aor), Feature.SRTP, did=True)
    desk.world.network.pass_time(11)
    assert desk.done(order).result is ProbeResult.AS_WANTED
    desk.world.network.pass_time(70)
    memory.saw(Peer(binding.aor), Feature.SRTP, did=False)
    assert desk.done(order).facts["phones"][0]["verdict"] == "clear"


def test_a_domain_counts_its_phones_and_names_those_that_would_be_cut_off(directory: Path) -> None:
    desk = Desk(directory, "certificate expired", Security.PREFERRED)
    desk.registers("bob")
    job = desk.done(ProbeOrder(ProbeKind.DOMAIN, "Example.com"))
    facts = job.facts
    assert job.result is ProbeResult.NOT
    assert facts["cut_off_by_required"] == ("sip:alice@example.com", "sip:bob@example.com")
    assert facts["cut_off_by_tls"] == ("sip:alice@example.com",)
    assert (facts["encrypts"], facts["clear"], facts["unknown"]) == (0, 1, 1)
    assert facts["share_encrypted"] == 0.0
    assert "The policy required would cut off all of them: alice@example.com, bob@example.com." in job.sentence


def test_a_domain_is_probed_under_a_policy_that_it_may_have_yet(directory: Path) -> None:
    desk = Desk(directory, "TLS port refuses", Security.OFF)
    order = ProbeOrder(ProbeKind.DOMAIN, "Example.com", security=Security.REQUIRED)
    jobs: list[ProbeJob] = []
    for _ in range(2):
        Deferred.fromCoroutine(desk.probes.done(order)).addCallback(jobs.append)
    desk.world.network.settle()
    for _ in range(50):
        desk.world.network.advance(0.2)
        desk.world.network.settle()
    assert len(jobs) == 2
    assert jobs[0] is jobs[1], "the second serves itself of the first"
    prediction = jobs[0].prediction
    assert prediction is not None
    assert (prediction.verdict, prediction.reason) == ("UNANSWERED", "PROVIDER_UNREACHABLE")
    assert desk.world.ladder.configuration.domains[0].security is Security.OFF
    with pytest.raises(ProbeRefused, match="a domain alone"):
        desk.probes.begin(attrs.evolve(PROVIDER, security=Security.OFF))


def test_a_domain_that_is_encrypted_tells_its_share(directory: Path) -> None:
    desk = Desk(directory)
    binding = desk.registers("bob")
    desk.world.ladder.memory.saw(Peer(binding.aor), Feature.SRTP, did=True)
    job = desk.done(ProbeOrder(ProbeKind.DOMAIN, "example.com", number="600"))
    assert job.result is ProbeResult.AS_WANTED
    assert (job.facts["share_encrypted"], job.facts["share_both_legs"]) == (1.0, 0.5)
    assert job.facts["cut_off_by_required"] == ()
    assert "1 of 2 phones encrypt their own leg, too; alice@example.com does not." in job.sentence


@pytest.mark.parametrize("user", ["al>ice;x=y", 'a"b', "a b", "é", "a\r\nVia: SIP/2.0/TLS evil", "", "x" * 65])
def test_a_user_of_any_text_makes_no_message(user: str, directory: Path) -> None:
    desk = Desk(directory)
    with pytest.raises(ProbeRefused) as refused:
        desk.probes.begin(attrs.evolve(PROVIDER, user=f"{user}@example.com"))
    assert refused.value.status == 400


def test_a_probe_that_is_ended_leaves_no_connection(directory: Path) -> None:
    desk = Desk(directory)
    desk.world._provider_receives = lambda *_: None  # type: ignore[method-assign]
    desk.world.becomes(desk.world.behaviour)
    place = desk.world._target(Transport.TLS)
    others = [place, attrs.evolve(place, address=Address("198.51.100.22", 5061))]
    desk.world._locate = lambda uri, default=None: succeed(others)  # type: ignore[method-assign]
    desk.world.network.silent.add(("198.51.100.22", 5061))
    job = desk.probes.begin(PROVIDER)
    for _ in range(6):
        desk.world.network.settle()
        desk.world.network.advance(1)
    assert job.result is None
    desk.probes.stop()
    desk.world.network.settle()
    assert not [one for one in desk.world.network.connections if FAR_TLS in (one._own, one._peer) and not one.is_over]


def test_a_large_domain_is_counted_whole_and_told_in_part(directory: Path) -> None:
    desk = Desk(directory)
    for number in range(400):
        desk.registers(f"p{number:03}")
    job = desk.done(ProbeOrder(ProbeKind.DOMAIN, "example.com"))
    assert (job.facts["clear"], job.facts["unknown"]) == (1, 400)
    assert (len(job.facts["phones"]), job.facts["left_out"]) == (300, 101)
