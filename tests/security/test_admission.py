"""Requests from the provider's side: unproved ones meet silence, proved ones a challenge where the domain says so."""

import os
from pathlib import Path

import attrs
import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, succeed

from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Listener, Media, Provider, Side
from gateway.ingress.gate import Gate as Door
from gateway.observe.metrics import Metrics
from gateway.routing.locate import Locator, NotFound, resolver_of
from gateway.security.access_list import Proof, Resolved
from gateway.security.admission import WRONG_ANSWERS, DomainAdmission
from gateway.security.authenticator import Authenticator, WrongCredentials
from gateway.security.credentials import CredentialsError
from gateway.security.nonces import Nonces
from gateway.sip import digest
from gateway.sip.digest import Challenge
from gateway.sip.errors import Refused
from gateway.sip.message import Message, Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, PeerIdentity, Target, Transport
from tests.support.flows import a_flow
from tests.support.transactions import make_request

NOW = 1_700_000_000.0
PEER = "127.0.0.11"
"""Where RecordingFlow's requests come from."""


class Gate:
    """An admission with one guarded domain and one that has only its provider."""

    def __init__(self, directory: Path, addresses: dict[str, str] | None = None) -> None:
        credentials = directory / "credentials.toml"
        credentials.write_text('provider = "s3cret"\n')
        credentials.chmod(0o600)
        self.now = NOW
        self.asked: list[str] = []
        self.addresses = {"voiceip.com": PEER} if addresses is None else addresses
        guarded = Domain(
            "Example.com",
            "main",
            challenge=("INVITE",),
            restricted_access_domains=("voiceip.com", "voiceip1.com"),
            credentials=credentials,
        )
        provider = Provider("main", "sip:trunk.example.net;transport=tls", fallback_uri="sip:127.0.0.99")
        self.configuration = Configuration(
            GatewaySection("gw1", directory),
            (Listener("phones", Side.PHONES, "udp", "127.0.0.20", 5060),),
            Media("127.0.0.20"),
            (provider,),
            (guarded, Domain("open.example", "main")),
            Admin(),
            directory / "gateway.toml",
        )
        authenticator = Authenticator(Nonces(b"secret", os.urandom))
        self.admission = DomainAdmission(self.configuration, authenticator, self._resolve, lambda: self.now)
        self.admission.refresh()

    def _resolve(self, name: str) -> Deferred[Resolved]:
        self.asked.append(name)
        found = self.addresses.get(name)
        return succeed(Resolved((found,), 60.0)) if found else fail(NotFound(name))

    def asks(self, request: Request, domain: str = "example.com", identity: PeerIdentity | None = None) -> Proof | None:
        flow = a_flow("tls", Side.PROVIDER)
        flow.identity = identity
        return self.admission.admit(request, flow, domain)

    def answered(self, password: str = "s3cret") -> Request:
        with pytest.raises(Refused) as refused:
            self.asks(make_request("INVITE"))
        challenge = Challenge.parse(refused.value.headers[0][1])
        request = make_request("INVITE")
        answer = digest.answer(
            challenge, username="provider", password=password, method="INVITE", uri="sip:bob@example.com", cnonce="c"
        )
        request.headers.add("Authorization", str(answer))
        return request


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_a_proved_peer_is_challenged_and_then_admitted(gate: Gate) -> None:
    assert gate.asks(gate.answered())


def test_methods_that_are_not_challenged_need_the_proof_alone(gate: Gate) -> None:
    assert gate.asks(make_request("NOTIFY"))


@pytest.mark.parametrize("method", ["INVITE", "NOTIFY", "OPTIONS"])
def test_who_is_no_peer_is_dropped_without_a_challenge(tmp_path: Path, method: str) -> None:
    stranger = Gate(tmp_path, {"voiceip.com": "127.0.0.12"})
    assert not stranger.asks(make_request(method))
    assert not stranger.asks(make_request(method), "unknown.example")


def test_right_credentials_do_not_make_up_for_a_missing_proof(tmp_path: Path) -> None:
    request = Gate(tmp_path).answered()
    assert not Gate(tmp_path, {}).asks(request)


def test_a_verified_certificate_is_a_proof(tmp_path: Path) -> None:
    unresolved = Gate(tmp_path, {})
    assert unresolved.asks(make_request("NOTIFY"), identity=PeerIdentity(trust="system", names=("voiceip1.com",)))
    assert not unresolved.asks(
        make_request("NOTIFY"), identity=PeerIdentity(trust="system", names=("trunk.example.net",))
    )


def test_a_domain_without_a_list_has_its_provider(tmp_path: Path) -> None:
    gate = Gate(tmp_path, {"trunk.example.net": PEER})
    assert gate.asks(make_request("INVITE"), "open.example")
    assert not Gate(tmp_path, {"voiceip.com": PEER}).asks(make_request("INVITE"), "open.example")


def test_guessing_passwords_ends_in_silence_and_a_right_one_still_counts(gate: Gate) -> None:
    for _ in range(WRONG_ANSWERS.burst):
        with pytest.raises(WrongCredentials):
            gate.asks(gate.answered("guess"))
    assert not gate.asks(gate.answered("guess"))
    assert gate.asks(gate.answered())


def test_a_replay_is_no_guess(gate: Gate) -> None:
    request = gate.answered()
    gate.asks(request)
    for _ in range(WRONG_ANSWERS.burst + 5):
        with pytest.raises(Refused) as refused:
            gate.asks(request)
        assert not isinstance(refused.value, WrongCredentials)


def test_challenges_are_told_by_domain_and_result(gate: Gate) -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.asked.add(gate.admission.figures)
    request = gate.answered()
    assert gate.asks(request)
    unreadable = make_request("INVITE")
    unreadable.headers.add("Authorization", "Digest nonsense")
    for refused in (request, make_request("INVITE"), unreadable, *map(gate.answered, ["guess"] * WRONG_ANSWERS.burst)):
        with pytest.raises(Refused):
            gate.asks(refused)
    assert not gate.asks(gate.answered("guess"))
    for result, number in {"right": 1, "stale": 1, "asked": 23, "unreadable": 1, "wrong": 20, "dropped": 1}.items():
        labels = {"domain": "Example.com", "result": result}
        assert metrics.value("gateway_challenges_total", labels) == number, result


def test_a_file_of_passwords_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Gate(tmp_path)
    (tmp_path / "credentials.toml").chmod(0o644)
    path = tmp_path / "credentials.toml"
    with pytest.raises(CredentialsError, match="chmod 600"):
        DomainAdmission(
            Configuration(
                GatewaySection("gw1", tmp_path),
                (),
                Media("127.0.0.20"),
                (Provider("main", "sip:h"),),
                (Domain("example.com", "main", credentials=path),),
                Admin(),
                path,
            ),
            Authenticator(Nonces(b"s", os.urandom)),
            lambda name: succeed(Resolved((), 1.0)),
            lambda: NOW,
        )


class OddLocator(Locator):
    """Finds a name over TLS and TCP only."""

    def __init__(self) -> None:
        pass

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        known = {"tls": ["192.0.2.1"], "tcp": ["192.0.2.2", "192.0.2.1"]}.get(uri.transport or "")
        if known is None or uri.host != "voiceip.com":
            return fail(NotFound(str(uri)))
        return succeed([Target(Transport(uri.transport or ""), Address(host, 5060), uri.host) for host in known])


def test_a_name_leads_to_its_addresses_over_any_transport() -> None:
    found: list[Resolved] = []
    resolver_of(OddLocator())("voiceip.com").addCallback(found.append)
    resolver_of(OddLocator())("unknown.example").addCallback(found.append)
    assert sorted(found[0].addresses) == ["192.0.2.1", "192.0.2.2"]
    assert found[1].addresses == ()


class Gateway:
    """What stands behind a gate: keeps what came through it."""

    def __init__(self, gate: Gate, dialogs: tuple[str, ...] = ()) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.passed: list[Message] = []
        self.door = Door(
            gate.admission,
            lambda request: request.call_id in dialogs,
            lambda message, flow: self.passed.append(message),
            lambda key: None,
            self.metrics,
            lambda: 0.0,
        )

    @property
    def dropped(self) -> float:
        return self.metrics.value("gateway_dropped_requests_total", {"transport": "tls"}) or 0.0


def test_a_stranger_makes_no_transaction_and_is_counted(tmp_path: Path) -> None:
    gateway = Gateway(Gate(tmp_path, {}))
    flow = a_flow("tls", Side.PROVIDER)
    gateway.door.receive(make_request("OPTIONS"), flow)
    gateway.door.receive(make_request("CANCEL"), flow)
    broken = make_request("INVITE")
    broken.headers.set("To", "<")
    gateway.door.receive(broken, flow)
    assert (gateway.passed, gateway.dropped, flow.sent) == ([], 3, [])


def test_peers_phones_responses_and_dialogs_pass_the_gate(tmp_path: Path) -> None:
    request = make_request("INVITE")
    peer = Gateway(Gate(tmp_path))
    peer.door.receive(request, a_flow("tls", Side.PROVIDER))
    stranger = Gateway(Gate(tmp_path, {}), dialogs=(request.call_id,))
    stranger.door.receive(request, a_flow("tls", Side.PROVIDER))
    stranger.door.receive(request.response(200), a_flow("tls", Side.PROVIDER))
    stranger.door.receive(make_request("REGISTER"), a_flow("udp", Side.PHONES))
    assert (len(peer.passed), len(stranger.passed)) == (1, 3)


def test_a_domain_with_challenge_but_without_passwords_challenges_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    careless = attrs.evolve(gate.configuration.domains[0], credentials=None)
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=(careless,))))
    assert gate.asks(make_request("INVITE"))


def test_another_configuration_counts_at_once_and_a_wrong_one_not_at_all(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    guarded, rest = gate.configuration.domains
    gate.addresses.clear()
    gate.admission.adopt(
        gate.admission.prepare(attrs.evolve(gate.configuration, domains=(attrs.evolve(guarded, challenge=()), rest)))
    )
    assert gate.asks(make_request("INVITE")), "its names are resolved still"
    (tmp_path / "credentials.toml").chmod(0o640)
    with pytest.raises(CredentialsError):
        gate.admission.adopt(gate.admission.prepare(gate.configuration))
    assert gate.asks(make_request("INVITE"))
    elsewhere = attrs.evolve(guarded, restricted_access_domains=("elsewhere.example",), credentials=None)
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=(elsewhere, rest))))
    assert not gate.asks(make_request("INVITE"))


def test_an_exempt_peer_is_not_challenged(tmp_path: Path) -> None:
    gate = Gate(tmp_path, {"voiceip1.com": PEER})
    guarded, rest = gate.configuration.domains
    exempting = attrs.evolve(guarded, challenge_exempt=("VoiceIP1.com",))
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=(exempting, rest))))
    assert gate.asks(make_request("INVITE"))
    with pytest.raises(Refused):
        gate.asks(make_request("INVITE"), identity=PeerIdentity(trust="system", names=("voiceip.com",)))


def test_algorithms_are_offered_in_the_domains_order(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    guarded, rest = gate.configuration.domains
    weaker = attrs.evolve(guarded, challenge_algorithms=("MD5", "SHA-256"))
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=(weaker, rest))))
    with pytest.raises(Refused) as refused:
        gate.asks(make_request("INVITE"))
    assert [Challenge.parse(text).algorithm for _, text in refused.value.headers] == ["MD5", "SHA-256"]
    only = attrs.evolve(guarded, challenge_algorithms=("SHA-256",))
    answered = gate.answered()
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=(only, rest))))
    with pytest.raises(Refused):
        gate.asks(answered)


def test_the_last_good_addresses_count_as_long_as_configured(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    guarded, rest = gate.configuration.domains
    brief = attrs.evolve(guarded, restricted_access_domains=("voiceip.com",), restricted_access_keep_hours=0)
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=(brief, rest))))
    gate.admission.refresh()
    assert gate.asks(make_request("NOTIFY"))
    gate.addresses.clear()
    gate.now += 61
    gate.admission.refresh()
    assert not gate.asks(make_request("NOTIFY"))


def test_domains_with_the_same_list_are_resolved_once(tmp_path: Path) -> None:
    gate = Gate(tmp_path, {})
    guarded, _ = gate.configuration.domains
    many = tuple(attrs.evolve(guarded, name=f"d{number}.example") for number in range(50))
    gate.admission.adopt(gate.admission.prepare(attrs.evolve(gate.configuration, domains=many)))
    gate.asked.clear()
    gate.now += 100
    gate.admission.refresh()
    assert gate.asked == ["voiceip.com", "voiceip1.com"]
