"""Microsoft Teams Direct Routing, played from its public pages: a name in Contact, OPTIONS first, three names in turn,
SRTP with lifetimes (Teams/direct-routing-protocols-sip.md, -media.md and -plan.md of
MicrosoftDocs/OfficeDocs-SkypeForBusiness)."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.defer import Deferred, fail, succeed

from gateway.config.model import Provider, Security, Side
from gateway.routing.locate import NotFound
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, FailureKind, Flow, Target, TlsTerms, Transport, is_ip_address
from tests.support.flows import RecordingFlow
from tests.support.ladder import AVP, KEY, PROVIDER, Ladder, Party

HOSTS = tuple(f"{name}.pstnhub.microsoft.com" for name in ("sip", "sip2", "sip3"))
URIS = tuple(f"sip:{host}:5061;transport=tls" for host in HOSTS)
SBC = "sbc1.contoso.com"
TEAMS = Provider(
    "teams", URIS[0], suites=("AES_CM_128_HMAC_SHA1_80",), more_uris=URIS[1:], contact_host=SBC, ping_seconds=60
)
BY_ADDRESS = attrs.evolve(PROVIDER, advertised_host=None)
"""A listener with an address alone: its name has to be the provider's."""
HEAD = b"v=0\r\no=- 2 2 IN IP4 52.112.0.1\r\ns=-\r\nc=IN IP4 52.112.0.1\r\nt=0 0\r\nm=audio 52884 RTP/SAVP 0\r\n"
KEYS = (
    b"a=crypto:0 AES_CM_128_HMAC_SHA1_32 inline:" + KEY.encode() + b"|2^31\r\n",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY.encode() + b"|2^31\r\n",
)


class House(Ladder):
    """A gateway between one phone and Teams, whose three names lead to three places."""

    def __init__(self, provider: Provider = TEAMS, **more: object) -> None:
        self.flows: dict[str, RecordingFlow] = {}
        self.is_unknown: set[str] = set()
        self.is_refusing: set[str] = set()
        super().__init__(provider=attrs.evolve(provider, name="main"), security=Security.REQUIRED, **more)  # type: ignore[arg-type]

    def locate(self, uri: Uri, default: Transport | None = None) -> Deferred[list[Target]]:
        if uri.host in self.is_unknown:
            return fail(NotFound(uri.host))
        place = Address(f"52.112.0.{HOSTS.index(uri.host) + 1}", 5061)
        return succeed([Target(Transport.TLS, place, uri.host)])

    def flow_to(self, target: Target, side: Side, tls: TlsTerms | None = None) -> Flow:
        """As the connector does: the terms of TLS say our name."""
        flow = self.flows.get(target.name)
        if flow is None or not flow.open:
            assert tls is not None
            listener = attrs.evolve(BY_ADDRESS, advertised_host=tls.own_host)
            flow = self.flows[target.name] = RecordingFlow(listener, target.address)
            flow.name = target.name
            if target.name in self.is_refusing:
                self.clock.callLater(0, flow.fail, FailureKind.REFUSED)
        return flow


class Teams:
    """The SIP proxy behind one of the names."""

    def __init__(self, house: House, host: str = HOSTS[0]) -> None:
        self.house, self.host = house, host
        self.has_options = False
        """Whether an OPTIONS was answered 200: it takes no call before."""

    @property
    def party(self) -> Party:
        return Party(self.house, self.house.flows[self.host], f"52.112.0.{HOSTS.index(self.host) + 1}:5061")

    def judges(self, request: Request) -> int:
        """Its answer to a request: 403 where Contact has no name of the certificate, or no OPTIONS came first."""
        (contact,) = request.contacts
        is_named = contact.uri.host == SBC and not is_ip_address(contact.uri.host)
        is_well = is_named and contact.uri.scheme == "sip" and "Replaces" not in request.headers
        if request.method == "OPTIONS":
            self.has_options = self.has_options or is_well
        return 200 if is_well and self.has_options else 403

    def is_asked(self) -> int:
        """It is asked with OPTIONS: its answer."""
        request = self.party.receives_request("OPTIONS")
        status = self.judges(request)
        self.party.answers(request, status)
        return status


def begun(house: House, *hosts: str) -> list[Teams]:
    """The proxies, each asked with OPTIONS as the gateway starts."""
    house.trunk.health.start(house.configuration.providers)
    proxies = [Teams(house, host) for host in hosts or HOSTS]
    for one in proxies:
        one.is_asked()
    return proxies


def dial(house: House, number: str = "+18338006777") -> None:
    house.phone.sends(house.phone.invite(f"sip:{number}@example.com"))
    house.phone.receives(100)


def answered(house: House, proxy: Teams) -> Request:
    invite = proxy.party.receives_request("INVITE")
    assert proxy.judges(invite) == 200
    proxy.party.answers(invite, 200, sdp=HEAD + KEYS[1])
    proxy.party.receives("ACK")
    house.phone.receives(200)
    return invite


def test_each_name_is_asked_with_our_name_in_via_and_contact_before_any_call() -> None:
    house = House()
    proxies = begun(house)
    assert all(one.has_options for one in proxies)
    dial(house)
    invite = answered(house, proxies[0])
    assert str(invite.contacts[0].uri).endswith(f"@{SBC}:5061;transport=tls")
    assert invite.top_via.host == SBC
    (record,) = house.calls.records()
    assert record.verdict == "ENCRYPTED_TO_PROVIDER"


def test_an_address_in_contact_is_refused_with_403() -> None:
    house = House(attrs.evolve(TEAMS, contact_host=None))
    proxies = begun(house)
    assert not any(one.has_options for one in proxies)
    dial(house)
    invite = proxies[0].party.receives_request("INVITE")
    assert invite.contacts[0].uri.host == BY_ADDRESS.address
    proxies[0].party.answers(invite, proxies[0].judges(invite))
    house.phone.receives(403)
    (record,) = house.calls.records()
    assert record.reason == "PROVIDER_FORBIDS"


def test_a_call_before_options_is_refused() -> None:
    house = House()
    dial(house)
    proxy = Teams(house)
    assert proxy.judges(proxy.party.receives_request("INVITE")) == 403


def test_a_call_of_teams_is_answered_with_our_name_though_it_came_to_an_address() -> None:
    house = House()
    begun(house)
    came = RecordingFlow(BY_ADDRESS, Address("52.112.0.1", 40000), 7)
    house.provider_flow = house.provider.flow = came
    house.provider.sends(house.provider.invite("sip:alice-1@sbc1.contoso.com", sdp=HEAD + b"".join(KEYS)))
    house.provider.receives(100)
    assert house.relay.offers == [HEAD + KEYS[1]]  # of our suites alone, with its lifetime
    invite = house.phone.receives_request("INVITE")
    house.phone.answers(invite, 180)
    house.phone.answers(invite, 200, sdp=AVP)
    house.phone.receives("ACK")
    for status in (180, 200):
        (contact,) = house.provider.receives_response(status).contacts
        assert (contact.uri.host, contact.uri.port, contact.uri.transport) == (SBC, 5061, "tls")


def test_requests_in_a_call_keep_the_name() -> None:
    house = House()
    proxies = begun(house)
    house.phone.sends(house.phone.invite("sip:+18338006777@example.com"))
    house.phone.receives(100)
    invite = proxies[0].party.receives_request("INVITE")
    proxies[0].party.answers(invite, 200, sdp=HEAD + KEYS[1])
    proxies[0].party.receives("ACK")
    answer = house.phone.receives_response(200)
    house.phone.sends(house.phone.within(answer, "UPDATE", sdp=AVP))
    assert proxies[0].party.receives_request("UPDATE").contacts[0].uri.host == SBC


@pytest.mark.parametrize("unreached", [1, 2])
def test_names_are_tried_in_their_order(unreached: int) -> None:
    house = House()
    house.is_refusing = set(HOSTS[:unreached])
    dial(house)
    house.clock.pump([0.01] * 10)
    assert [*house.flows] == [*HOSTS[: unreached + 1]]
    assert house.flows[HOSTS[unreached]].sent


def test_rfc3263_4_3_a_name_that_answers_503_has_the_next_one_called() -> None:
    house = House()
    proxies = begun(house)
    dial(house)
    invite = proxies[0].party.receives_request("INVITE")
    proxies[0].party.answers(invite, 503)
    proxies[0].party.receives("ACK")
    answered(house, proxies[1])


def test_a_name_that_is_down_is_tried_last() -> None:
    house = House()
    house.is_refusing = {HOSTS[0]}
    proxies = begun(house, *HOSTS[1:])
    house.clock.pump([0.01] * 10)
    assert house.trunk.health.targets()[("main", False)] == 1
    dial(house)
    answered(house, proxies[0])


def test_a_name_that_dns_does_not_know_leaves_the_others() -> None:
    house = House()
    house.is_unknown = {HOSTS[0]}
    proxies = begun(house, *HOSTS[1:])
    assert house.trunk.health.lost() == set()
    dial(house)
    answered(house, proxies[0])


def test_names_that_dns_does_not_know_at_all_are_told() -> None:
    house = House()
    house.is_unknown = {*HOSTS}
    house.trunk.health.start(house.configuration.providers)
    assert house.trunk.health.lost() == {"main"}
    house.phone.sends(house.phone.invite())
    house.phone.receives(100)
    house.phone.receives(503)
    (record,) = house.calls.records()
    assert record.reason == "PROVIDER_NOT_FOUND"
