"""The lookout: what passes a ban, and what the sieve lets go no further."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.config.tables.defence_table import DefenceTerms
from gateway.ingress.lookout import Lookout
from gateway.observe.metrics import Metrics
from gateway.observe.observations import Kind
from gateway.security.defence.rates import CAPACITY
from gateway.security.defence.sieve import Sieve
from gateway.sip.message import Message, Request
from gateway.transport.banned import Banned
from gateway.transport.flow import Flow, FlowKey
from tests.security.defence.court import Court
from tests.support.flows import RecordingFlow, a_flow
from tests.support.transactions import make_request

HELP = "sip:112@example.com"


OFFICE = "198.51.100.7"


class Site:
    """A lookout with a court behind it, a phone's flow, and a gate that notes all that goes on."""

    def __init__(self, mode: str = "defend", host: str = "192.0.2.66") -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.court = Court(DefenceTerms(mode=mode))
        self.metrics.observations.read(self.court.judge.observed)
        court, observations = self.court, self.metrics.observations
        seconds = court.times.seconds
        sieve = Sieve(court.terms, court.mode, court.trusts, court.judge, observations, seconds)
        self.banned = Banned()
        self.flow = a_flow(host=host)
        self.registered: set[Flow] = set()
        self.dialogs: set[str] = set()
        self.passed: list[Message] = []
        self.lookout = Lookout(self, self.banned, sieve, self, self.is_in_dialog)

    def receive(self, message: Message, flow: Flow) -> None:
        self.passed.append(message)

    def may_answer(self, flow: Flow) -> bool:
        return True

    def connection_ended(self, key: FlowKey) -> None:
        """Nothing."""

    def is_in_dialog(self, request: Request) -> bool:
        return request.to.tag in self.dialogs

    def is_registered(self, request: Request, flow: Flow) -> bool:
        return flow in self.registered

    def is_emergency(self, request: Request, flow: Flow) -> bool:
        return request.uri == HELP

    def passes(self, message: Message) -> bool:
        before = len(self.passed)
        self.lookout.receive(message, self.flow)
        return len(self.passed) > before


def request(method: str = "INVITE", uri: str = "sip:bob@example.com", tag: str | None = None, **more: str) -> Request:
    made = make_request(method)
    made.uri = uri
    made.headers.set("To", f"<{uri}>" + (f";tag={tag}" if tag else ""))
    for name, value in more.items():
        made.headers.set(name.replace("_", "-"), value)
    return made


class TestBanned:
    def site(self) -> Site:
        site = Site()
        site.banned.keep_out(site.flow.source)
        site.dialogs.add("ours")
        return site

    @pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"])
    def test_nothing_new_goes_on_and_nothing_is_answered(self, method: str) -> None:
        site = self.site()
        assert not site.passes(request(method))
        assert isinstance(site.flow, RecordingFlow)
        assert site.flow.take() == []
        assert not site.lookout.may_answer(site.flow)
        assert site.banned.dropped == {"udp": 1}

    @pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "ACK", "REFER"])
    def test_a_call_that_is_up_goes_on(self, method: str) -> None:
        assert self.site().passes(request(method, tag="ours"))

    def test_a_tag_that_is_not_ours_opens_nothing(self) -> None:
        assert not self.site().passes(request("BYE", tag="forged"))

    @pytest.mark.parametrize("method", ["ACK", "CANCEL"])
    def test_what_has_begun_is_ended(self, method: str) -> None:
        assert self.site().passes(request(method))

    def test_answers_pass(self) -> None:
        assert self.site().passes(request().response(200))

    def test_a_registered_phone_calls_for_help(self) -> None:
        site = self.site()
        assert not site.passes(request(uri=HELP))
        site.registered.add(site.flow)
        assert site.passes(request(uri=HELP))
        assert not site.passes(request())
        assert not site.passes(request("OPTIONS", uri=HELP))

    def test_a_request_that_cannot_be_judged_is_dropped(self) -> None:
        assert not self.site().passes(request(To="<<nonsense"))


class TestSieve:
    def test_a_scanners_look_is_dropped_over_any_transport_and_from_any_source(self) -> None:
        for host in ("192.0.2.66", "198.51.100.7"):  # a stranger, and the office of the court
            site = Site(host=host)
            assert not site.passes(request("OPTIONS", User_Agent="friendly-scanner"))
            assert site.passes(request("OPTIONS", User_Agent="Snom"))

    def test_of_a_provider_nothing_is_dropped(self) -> None:
        site = Site(host="203.0.113.1")
        assert all(site.passes(request("OPTIONS", User_Agent="friendly-scanner")) for _ in range(500))

    @pytest.mark.parametrize("mode", ["report", "off"])
    def test_unless_it_defends_nothing_is_dropped(self, mode: str) -> None:
        site = Site(mode)
        assert all(site.passes(request("OPTIONS", User_Agent="friendly-scanner")) for _ in range(500))
        counted = site.court.judge.points("192.0.2.66")[1]
        assert (counted > 0) is (mode == "report")

    def test_one_user_more_of_twenty_is_dropped_and_one_with_a_password_is_not(self) -> None:
        site = Site()
        for user in range(20):
            site.court.sees(Kind.CHALLENGED, proved=False, who=f"{user}@example.com")
        assert not site.passes(request("REGISTER", "sip:20@example.com"))
        site = Site()
        for user in range(20):
            site.court.sees(Kind.CHALLENGED, proved=False, who=f"{user}@example.com")
        assert site.passes(request("REGISTER", "sip:5@example.com"))
        credentials = 'Digest username="20", realm="r", nonce="n", uri="sip:e", response="0"'
        assert site.passes(request("REGISTER", "sip:20@example.com", Authorization=credentials))
        for user in range(20, 40):
            site.court.sees(Kind.USER_UNKNOWN, proved=False, who=f"{user}@example.com")
        assert site.passes(request("REGISTER", "sip:39@example.com", Authorization=credentials))
        assert not site.passes(request("REGISTER", "sip:40@example.com", Authorization=credentials))

    def test_only_the_excess_of_a_flood_is_dropped(self) -> None:
        site = Site()
        passed = sum(site.passes(request("REGISTER")) for _ in range(500))
        assert passed == 20 + 8  # by then it is throttled: another bucket, with little in it
        assert site.passes(request("OPTIONS"))
        site.court.passes(3_600)
        assert site.passes(request("REGISTER"))

    def test_a_source_with_points_has_next_to_nothing(self) -> None:
        site = Site()
        for _ in range(20):
            site.court.sees(Kind.STRANGER, proved=False)
        assert sum(site.passes(request("REGISTER")) for _ in range(50)) == 8
        site.court.passes(10)
        assert sum(site.passes(request("REGISTER")) for _ in range(50)) == 2

    def test_requests_of_calls_are_not_counted(self) -> None:
        site = Site()
        site.dialogs.add("ours")
        for _ in range(20):
            site.court.sees(Kind.STRANGER, proved=False)
        assert all(site.passes(request("INFO", tag="ours")) for _ in range(500))
        assert all(site.passes(request("ACK", tag="any")) for _ in range(500))
        assert not all(site.passes(request("INFO", tag="forged")) for _ in range(30))

    def test_a_registered_phone_calls_for_help_through_a_flood(self) -> None:
        site = Site()
        site.registered.add(site.flow)
        assert all(site.passes(request(uri=HELP)) for _ in range(5_000))

    def test_a_message_that_cannot_be_read_is_left_to_the_gate(self) -> None:
        site = Site()
        broken = request()
        broken.headers.set("From", "<<nonsense")
        assert site.passes(broken)


class TestForger:
    """Somebody writes a phone's address into datagrams. Its calls for help go through in any case."""

    @pytest.mark.parametrize("host", ["192.0.2.66", OFFICE])
    def test_a_flood_takes_nothing_of_the_rate_over_tls(self, host: str) -> None:
        site = Site(host=host)
        for method in ("REGISTER", "INVITE"):
            assert not all(site.passes(request(method)) for _ in range(3_000))
        site.flow = a_flow("tls", host=host)
        assert all(site.passes(request(method)) for method in ("REGISTER", "INVITE") for _ in range(20))

    def test_users_that_it_asks_for_make_no_scanner_of_a_phone_over_tls(self) -> None:
        site = Site()
        for user in range(20):
            site.court.sees(Kind.CHALLENGED, proved=False, who=f"{user}@example.com")
        assert not site.passes(request("REGISTER", "sip:20@example.com"))
        site.flow = a_flow("tls", host="192.0.2.66")
        assert site.passes(request("REGISTER", "sip:20@example.com"))

    def test_an_offices_phones_over_udp_register_and_call_through_a_flood_with_their_address(self) -> None:
        site = Site(host=OFFICE)
        phone, forger = a_flow(host=OFFICE, port=41_234), a_flow(host=OFFICE, port=666)
        site.court.bound.add(phone.key)
        passed = 0
        for _ in range(60):
            site.court.passes(1)
            site.flow = forger
            for _ in range(50):
                site.passes(request("REGISTER"))
            for _ in range(300):
                site.passes(request("INVITE"))
            site.flow = phone
            passed += site.passes(request("REGISTER")) and site.passes(request("INVITE"))
        assert passed == 60
        site.flow = forger
        assert not all(site.passes(request("REGISTER")) for _ in range(20))

    def test_many_sources_leave_room_for_those_over_tls(self) -> None:
        site = Site()
        for number in range(CAPACITY + 100):
            site.flow = a_flow(host=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
            site.passes(request("REGISTER"))
        site.flow = a_flow("tls", host="192.0.2.66")
        assert all(site.passes(request("REGISTER")) for _ in range(20))

    def test_a_scanner_over_tls_is_found_by_its_own_tries_and_points(self) -> None:
        site = Site()
        site.flow = a_flow("tls", host="192.0.2.66")
        for user in range(20):
            site.court.sees(Kind.CHALLENGED, who=f"{user}@example.com")
        assert not site.passes(request("REGISTER", "sip:20@example.com"))
        for _ in range(20):
            site.court.sees(Kind.STRANGER)
        assert sum(site.passes(request("REGISTER", "sip:1@example.com")) for _ in range(50)) == 8
