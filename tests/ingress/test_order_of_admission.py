"""Nobody learns which phones are registered before being admitted and having answered the challenge."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.config.model import Admin, Configuration, Domain, GatewaySection, Listener, Media, Provider, Side
from gateway.ingress.drain import Drain
from gateway.ingress.overload import Overload
from gateway.ingress.sender_rights import Screening
from gateway.observe.metrics import Metrics
from gateway.registrar.callers import Callers
from gateway.registrar.memory_store import MemoryStore
from gateway.routing.router import Router
from gateway.security.access_list import Resolved
from gateway.security.admission import DomainAdmission
from gateway.security.authenticator import Authenticator
from gateway.security.guesses import Guesses
from gateway.security.nonces import Nonces
from gateway.sip.digest import Challenge, answer
from gateway.sip.errors import Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.transport.flow import Address, Flow
from tests.support.bindings import NOW, binding
from tests.support.flows import RecordingFlow
from tests.support.parts import NoCrowd

PEER_OF_A, PEER_OF_B, PEER_OF_BOTH = "198.51.100.1", "198.51.100.2", "198.51.100.3"
TRUNK = Listener("provider", Side.PROVIDER, "udp", "192.0.2.1", 5070)
METHODS = ("INVITE", "MESSAGE", "SUBSCRIBE", "NOTIFY", "OPTIONS", "PUBLISH", "INFO")
ALICE = binding(aor="sip:alice@b.example", token="alice-00000001")


class NoCalls:
    """A gateway without calls."""

    def __len__(self) -> int:
        return 0

    def end_all(self, why: str) -> None:
        """There is none."""


class Site:
    """Two domains; the second challenges its peers. Alice is registered there."""

    def __init__(self, directory: Path) -> None:
        credentials = directory / "credentials.toml"
        credentials.write_text('provider = "s3cret"\n')
        credentials.chmod(0o600)
        open_to = Domain("a.example", "main", restricted_access_domains=(PEER_OF_A, PEER_OF_BOTH))
        guarded = Domain(
            "b.example",
            "main",
            restricted_access_domains=(PEER_OF_B, PEER_OF_BOTH),
            challenge=METHODS,
            credentials=credentials,
        )
        configuration = Configuration(
            GatewaySection("gw", directory),
            (TRUNK,),
            Media("192.0.2.1"),
            (Provider("main", "sip:198.51.100.9"),),
            (open_to, guarded),
            Admin(),
            directory / "gateway.toml",
        )
        store = MemoryStore(lambda: NOW)
        store.save(ALICE)
        router = Router(configuration, store)
        authenticator = Authenticator(Nonces(b"secret", os.urandom))
        admission = DomainAdmission(configuration, authenticator, _resolve, lambda: NOW)
        admission.refresh()
        callers = Callers(store, router.domain_named)
        drain = Drain(Clock(), NoCalls())
        guesses = Guesses(configuration.limits, lambda: NOW, Metrics(CollectorRegistry()), callers)
        self.screening = Screening(router, callers, admission, Overload(Clock(), NoCrowd()), drain, guesses)

    def told(self, request: Request, source: str) -> object:
        """The status, "silence", or the contact that the request goes on to."""
        flow: Flow = RecordingFlow(TRUNK, Address(source, 5060))
        try:
            route = self.screening.route(request, flow)
        except Refused as refused:
            return refused.status, refused.reason, [name for name, _ in refused.headers]
        return "silence" if route is None else route.request_uri


def _resolve(name: str) -> Deferred[Resolved]:
    raise AssertionError(f"{name} is asked for")


def request(method: str, uri: str, to: str) -> Request:
    headers = Headers(
        [("From", "<sip:s@s.example>;tag=f"), ("To", f"<{to}>"), ("Call-ID", "c"), ("CSeq", f"1 {method}")]
    )
    return Request(method, uri, headers)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("source", [PEER_OF_A, PEER_OF_B, PEER_OF_BOTH])
@pytest.mark.parametrize(
    ("uri", "to"),
    [
        ("sip:{}@b.example", "sip:{}@b.example"),
        ("sip:{}@192.0.2.1:5070", "sip:{}@b.example"),
        ("sip:192.0.2.1", "sip:{}@b.example"),
        ("sip:{}@b.example", "sip:x@a.example"),
        ("sip:{}@192.0.2.1", "sip:x@elsewhere.example"),
    ],
)
def test_registered_or_not_is_told_the_same_before_admission(
    site: Site, method: str, source: str, uri: str, to: str
) -> None:
    told = {str(site.told(request(method, uri.format(user), to.format(user)), source)) for user in ("alice", "nobody")}
    assert len(told) == 1
    assert ALICE.contact not in told


@pytest.mark.parametrize("uri", ["sip:{}@192.0.2.1", "sip:{}@a.example"])
def test_a_token_of_another_domain_is_as_good_as_none(site: Site, uri: str) -> None:
    for to in ("sip:x@a.example", "sip:x@elsewhere.example"):
        told = [site.told(request("INVITE", uri.format(one), to), PEER_OF_A) for one in (ALICE.token, "alice-00000002")]
        assert told[0] == told[1]


def test_after_the_challenge_a_phone_is_found_or_said_to_be_away(site: Site) -> None:
    for user, told in (("alice", ALICE.contact), ("nobody", (480, "", []))):
        invite = request("INVITE", f"sip:{user}@b.example", f"sip:{user}@b.example")
        flow = RecordingFlow(TRUNK, Address(PEER_OF_B, 5060))
        with pytest.raises(Refused) as refused:
            site.screening.route(invite, flow)
        assert refused.value.status == 401
        challenge = Challenge.parse(refused.value.headers[0][1])
        proof = answer(challenge, username="provider", password="s3cret", method="INVITE", uri=invite.uri, cnonce=user)
        invite.headers.add("Authorization", str(proof))
        assert site.told(invite, PEER_OF_B) == told
