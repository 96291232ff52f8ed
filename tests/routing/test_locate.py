"""RFC 3263: which targets a URI has, by parameter, NAPTR, SRV, address records and the hosts file."""

import random
from collections import Counter
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from gateway.routing.dns_records import Service
from gateway.routing.locate import Locator, NotFound, all_of, in_order
from gateway.routing.names import OLD_AFTER, Names
from gateway.sip.uri import Uri
from gateway.transport.flow import Address, FailureKind, Target, Transport
from tests.support.dns_zone import Zone

FULL = """
    example.com 300 NAPTR 10 50 s SIPS+D2T _sips._tcp.example.com
    example.com 300 NAPTR 20 50 s SIP+D2U _sip._udp.example.com
    example.com 300 NAPTR 15 50 s SIP+D2T _sip._tcp.example.com
    example.com 300 NAPTR 5 50 s E2U+sip _other.example.com
    _sips._tcp.example.com 300 SRV 10 0 5061 one.example.com
    _sips._tcp.example.com 300 SRV 20 0 5081 two.example.com
    _sip._tcp.example.com 300 SRV 10 0 5060 one.example.com
    _sip._udp.example.com 300 SRV 10 0 5060 two.example.com
    example.com 300 A 192.0.2.80
    one.example.com 300 A 192.0.2.1
    one.example.com 300 AAAA 2001:db8::1
    two.example.com 300 A 192.0.2.2
"""
NO_NAPTR = "\n".join(line for line in FULL.splitlines() if "NAPTR" not in line)
ONLY_ADDRESS = """
    example.com 300 A 192.0.2.80
"""


class Scene:
    """A locator over a zone, with a clock."""

    def __init__(self, zone: str = FULL, hosts: Path = Path("/nowhere")) -> None:
        self.clock = Clock()
        self.zone = Zone(zone)
        self.names = Names(self.zone, self.clock, hosts)
        self.locator = Locator(self.names, random.Random(1))

    def locate(self, uri: str, default: Transport | None = None) -> list[str]:
        """The targets as text, after waiting for the slowest resolver."""
        return [f"{target.transport} {target.address}" for target in self.targets(uri, default)]

    def targets(self, uri: str, default: Transport | None = None) -> list[Target]:
        """The targets; NotFound is raised."""
        found = self.begin(uri, default)
        self.clock.pump([1.0] * 30)
        return result(found)

    def begin(self, uri: str, default: Transport | None = None) -> Deferred[list[Target]]:
        """The question without the waiting."""
        return self.locator.locate(Uri.parse(uri), default)


def result(found: Deferred[list[Target]]) -> list[Target]:
    """What the Deferred has; a failure is raised."""
    outcome: list[object] = []
    found.addBoth(outcome.append)
    assert outcome, "still waiting"
    (value,) = outcome
    if isinstance(value, list):
        return value
    value.raiseException()  # type: ignore[attr-defined]
    raise AssertionError


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        # Section 4.2: a numeric host is not asked for; a port forbids SRV.
        ("sip:192.0.2.7", ["udp 192.0.2.7:5060"]),
        ("sip:192.0.2.7:5070", ["udp 192.0.2.7:5070"]),
        ("sips:192.0.2.7", ["tls 192.0.2.7:5061"]),
        ("sip:192.0.2.7;transport=tls", ["tls 192.0.2.7:5061"]),
        ("sip:[2001:db8::7];transport=tcp", ["tcp [2001:db8::7]:5060"]),
        ("sip:example.com:5070", ["udp 192.0.2.80:5070"]),
        ("sip:example.com:5070;transport=tls", ["tls 192.0.2.80:5070"]),
        ("sip:one.example.com:5060", ["udp 192.0.2.1:5060", "udp [2001:db8::1]:5060"]),
        # Section 4.1: NAPTR by order, and only what we speak.
        (
            "sip:example.com",
            [
                "tls 192.0.2.1:5061",
                "tls [2001:db8::1]:5061",
                "tls 192.0.2.2:5081",
                "tcp 192.0.2.1:5060",
                "tcp [2001:db8::1]:5060",
                "udp 192.0.2.2:5060",
            ],
        ),
        ("sips:example.com", ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061", "tls 192.0.2.2:5081"]),
        # The transport parameter decides, SRV the rest.
        ("sip:example.com;transport=tls", ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061", "tls 192.0.2.2:5081"]),
        ("sip:example.com;transport=UDP", ["udp 192.0.2.2:5060"]),
        ("sips:example.com;transport=tcp", ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061", "tls 192.0.2.2:5081"]),
        # maddr takes the place of the host, not of the name.
        ("sip:elsewhere.com;maddr=192.0.2.9", ["udp 192.0.2.9:5060"]),
    ],
)
def test_targets_of_a_uri(uri: str, expected: list[str]) -> None:
    assert Scene().locate(uri) == expected


def test_the_name_to_verify_is_the_original_domain() -> None:
    assert {target.name for target in Scene().targets("sips:Example.com")} == {"Example.com"}
    assert {target.name for target in Scene().targets("sips:192.0.2.7")} == {"192.0.2.7"}


def test_without_naptr_tls_is_tried_first() -> None:
    assert [text.split()[0] for text in Scene(NO_NAPTR).locate("sip:example.com")] == [
        "tls",
        "tls",
        "tls",
        "udp",
        "tcp",
        "tcp",
    ]


@pytest.mark.parametrize(
    ("uri", "default", "expected"),
    [
        ("sip:example.com", None, "udp 192.0.2.80:5060"),
        ("sip:example.com", Transport.TLS, "tls 192.0.2.80:5061"),
        ("sip:example.com;transport=tcp", Transport.TLS, "tcp 192.0.2.80:5060"),
        ("sips:example.com", Transport.UDP, "tls 192.0.2.80:5061"),
        ("sip:192.0.2.9", Transport.TLS, "tls 192.0.2.9:5061"),
    ],
)
def test_without_srv_the_address_and_the_default_transport(uri: str, default: Transport | None, expected: str) -> None:
    assert Scene(ONLY_ADDRESS).locate(uri, default) == [expected]


def test_numeric_hosts_are_found_at_once_and_without_dns() -> None:
    scene = Scene()
    assert len(result(scene.begin("sip:192.0.2.7"))) == 1
    assert scene.zone.asked == []


@pytest.mark.parametrize(
    "uri", ["sips:example.com;transport=udp", "sip:example.com;transport=sctp", "sip:none.example.com"]
)
def test_what_has_no_target(uri: str) -> None:
    with pytest.raises(NotFound) as caught:
        Scene().locate(uri)
    assert caught.value.failure.kind is FailureKind.DNS


def test_a_domain_that_says_no_service_has_none() -> None:
    zone = "_sips._tcp.example.com 60 SRV 0 0 0 .\n" + ONLY_ADDRESS
    with pytest.raises(NotFound):
        Scene(zone).locate("sip:example.com;transport=tls")
    assert Scene(zone).locate("sip:example.com;transport=udp") == ["udp 192.0.2.80:5060"]


# -- the hosts file


def test_the_hosts_file_is_honoured_without_asking(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.21 Example.com www # the provider\n::1 example.com\n")
    scene = Scene(hosts=hosts)
    assert scene.locate("sip:example.com;transport=tls") == ["tls 127.0.0.21:5061", "tls [::1]:5061"]
    assert scene.locate("sip:www") == ["udp 127.0.0.21:5060"]
    assert scene.zone.asked == []


def test_a_changed_hosts_file_is_noticed(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.21 example.com\n")
    scene = Scene(hosts=hosts)
    assert scene.locate("sip:example.com") == ["udp 127.0.0.21:5060"]
    hosts.write_text("127.0.0.22 example.com\n")
    scene.clock.advance(6)
    assert scene.locate("sip:example.com") == ["udp 127.0.0.22:5060"]


def test_srv_may_lead_to_a_host_of_the_hosts_file(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 two.example.com\n")
    assert "udp 127.0.0.9:5060" in Scene(hosts=hosts).locate("sip:example.com;transport=udp")


# -- slow and broken resolvers


def test_a_silent_resolver_is_given_up() -> None:
    scene = Scene()
    scene.zone.is_silent = True
    found = scene.begin("sip:example.com;transport=tls")
    scene.clock.pump([1.0] * 16)
    with pytest.raises(NotFound, match="does not answer"):
        result(found)


def test_silence_about_tls_is_not_absence_of_tls() -> None:
    scene = Scene(NO_NAPTR)
    scene.zone.silent = {"SRV _sips._tcp.example.com"}
    with pytest.raises(NotFound):
        scene.locate("sip:example.com")


@pytest.mark.parametrize("question", ["NAPTR example.com", "AAAA one.example.com"])
def test_a_resolver_that_ignores_rare_types_still_serves(question: str) -> None:
    scene = Scene(FULL)
    scene.zone.silent = {question}
    assert "tls 192.0.2.1:5061" in scene.locate("sip:example.com")


def test_a_broken_srv_of_the_transport_asked_for_leaves_the_address() -> None:
    scene = Scene()
    scene.zone.broken = {"SRV _sips._tcp.example.com"}
    assert scene.locate("sip:example.com;transport=tls") == ["tls 192.0.2.80:5061"]


# -- answers are kept


def test_answers_are_kept_for_their_ttl() -> None:
    scene = Scene(ONLY_ADDRESS)
    result(scene.begin("sip:example.com:5060"))
    result(scene.begin("sip:EXAMPLE.com:5060"))
    assert scene.zone.asked == ["A example.com", "AAAA example.com"]
    scene.clock.advance(299)
    result(scene.begin("sip:example.com:5060"))
    assert scene.zone.asked.count("A example.com") == 1
    scene.clock.advance(1)
    result(scene.begin("sip:example.com:5060"))
    assert scene.zone.asked.count("A example.com") == 2


def test_absence_is_kept_briefly() -> None:
    scene = Scene("")
    for _ in range(2):
        with pytest.raises(NotFound):
            result(scene.begin("sip:nobody.example.com:5060"))
    assert scene.zone.asked == ["A nobody.example.com", "AAAA nobody.example.com"]
    scene.clock.advance(31)
    with pytest.raises(NotFound):
        result(scene.begin("sip:nobody.example.com:5060"))
    assert len(scene.zone.asked) == 4


def test_an_old_answer_serves_while_dns_is_silent() -> None:
    scene = Scene(ONLY_ADDRESS)
    scene.locate("sip:example.com:5060")
    scene.zone.is_silent = True
    scene.clock.advance(1800)
    assert scene.locate("sip:example.com:5060") == ["udp 192.0.2.80:5060"]
    scene.clock.advance(3600)
    with pytest.raises(NotFound):
        scene.locate("sip:example.com:5060")


def test_rfc8767_5_an_old_answer_serves_after_half_a_second_and_the_question_goes_on() -> None:
    scene = Scene(ONLY_ADDRESS)
    scene.locate("sip:example.com:5060")
    scene.clock.advance(400)
    scene.zone.is_silent = True
    waiting = scene.begin("sip:example.com:5060")
    scene.clock.advance(OLD_AFTER - 0.01)
    assert not waiting.called
    scene.clock.advance(0.02)
    assert result(waiting)
    assert result(scene.begin("sip:example.com:5060")), "and the next one at once"
    assert scene.zone.asked.count("A example.com") == 2
    changed = Zone("example.com 300 A 192.0.2.81")
    for question, late in scene.zone.waiting:
        changed.give(question, late)
    assert scene.locate("sip:example.com:5060") == ["udp 192.0.2.81:5060"], "its late answer counts"


def test_a_question_that_fails_after_an_old_answer_served_leaves_it_in_place() -> None:
    scene = Scene(ONLY_ADDRESS)
    scene.locate("sip:example.com:5060")
    scene.clock.advance(400)
    scene.zone.is_silent = True
    assert scene.locate("sip:example.com:5060") == ["udp 192.0.2.80:5060"]
    scene.clock.advance(3600)
    with pytest.raises(NotFound, match="does not answer"):
        scene.locate("sip:example.com:5060")


def test_a_call_that_gives_up_leaves_the_question_alone() -> None:
    scene = Scene(ONLY_ADDRESS)
    scene.locate("sip:example.com:5060")
    scene.clock.advance(400)
    scene.zone.is_silent = True
    waiting = scene.begin("sip:example.com:5060")
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    scene.clock.pump([1.0] * 10)
    assert result(scene.begin("sip:example.com:5060"))


def test_a_dead_dns_costs_one_wait_in_half_a_minute_and_not_one_a_call() -> None:
    scene = Scene(ONLY_ADDRESS)
    assert scene.locate("sip:example.com;transport=udp") == ["udp 192.0.2.80:5060"]
    scene.zone.is_silent = True
    scene.clock.advance(1800)
    slow = scene.begin("sip:example.com;transport=udp")
    scene.clock.pump([1.0] * 8)
    assert result(slow)
    scene.zone.asked.clear()
    for _ in range(4):
        # No time passes: neither the address nor that there is no SRV record is asked for again.
        assert result(scene.begin("sip:example.com;transport=udp"))
        scene.clock.advance(5)
    assert scene.zone.asked == []
    scene.clock.advance(15)
    scene.locate("sip:example.com;transport=udp")
    assert scene.zone.asked, "it is looked again whether DNS is back"


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.routing.names.MAX_KEPT", 50)
    scene = Scene("")
    for number in range(200):
        with pytest.raises(NotFound):
            result(scene.begin(f"sip:host{number}.example.com:5060"))
    assert scene.names.kept == {"SRV": 0, "NAPTR": 0, "A": 50, "AAAA": 50}


# -- RFC 2782


def service(priority: int, weight: int, host: str) -> Service:
    return Service(priority, weight, host, 5060)


def test_lower_priorities_come_first() -> None:
    services = [service(20, 0, "backup"), service(10, 0, "first"), service(30, 0, "last")]
    assert [one.host for one in in_order(services, random.Random(1))] == ["first", "backup", "last"]


def test_weights_share_the_load() -> None:
    services = [service(10, 75, "big"), service(10, 25, "small"), service(10, 0, "rare")]
    chance = random.Random(7)
    firsts = Counter(in_order(services, chance)[0].host for _ in range(4000))
    assert 2800 < firsts["big"] < 3200
    assert 800 < firsts["small"] < 1200
    assert 0 < firsts["rare"] < 120


def test_every_server_is_tried_once() -> None:
    services = [service(priority, weight, f"{priority}-{weight}") for priority in (1, 2) for weight in (0, 0, 5, 10)]
    assert sorted(map(str, in_order(services, random.Random(3)))) == sorted(map(str, services))


ONE, TWO = (Target(Transport.TLS, Address(f"192.0.2.{number}", 5061), "example.com") for number in (1, 2))


class Uris:
    """Look-ups of two URIs, which are answered when the test says so."""

    def __init__(self, is_up: bool = True) -> None:
        self.asked: dict[str, Deferred[list[Target]]] = {"one": Deferred(), "two": Deferred()}
        self.is_up = is_up

    def begin(self) -> Deferred[list[Target]]:
        return all_of(self.asked.__getitem__, ["one", "two"], lambda targets: self.is_up)


def test_no_call_waits_for_the_names_behind_a_server_that_answers() -> None:
    uris = Uris()
    found = uris.begin()
    assert not found.called
    uris.asked["one"].callback([ONE])
    assert result(found) == [ONE]
    uris.asked["two"].callback([TWO])


def test_names_that_are_known_are_taken_whichever_server_answers() -> None:
    uris = Uris()
    for name, target in (("one", ONE), ("two", TWO)):
        uris.asked[name].callback([target])
    assert result(uris.begin()) == [ONE, TWO]


def test_a_server_that_is_not_known_to_answer_has_those_behind_it_looked_up() -> None:
    uris = Uris(is_up=False)
    found = uris.begin()
    uris.asked["one"].callback([ONE])
    assert not found.called
    uris.asked["two"].callback([TWO])
    assert result(found) == [ONE, TWO]


def test_a_second_name_does_not_stand_in_while_the_first_may_still_be_found() -> None:
    uris = Uris()
    found = uris.begin()
    uris.asked["two"].callback([TWO])
    assert not found.called
    uris.asked["one"].errback(NotFound("no such name"))
    assert result(found) == [TWO]


def test_the_first_names_failure_is_told_where_none_leads_anywhere() -> None:
    uris = Uris()
    found = uris.begin()
    uris.asked["two"].errback(NotFound("the second"))
    uris.asked["one"].errback(NotFound("the first"))
    with pytest.raises(NotFound, match="the first"):
        result(found)


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_fault_of_ours_in_a_look_up_is_told_as_it_is(name: str) -> None:
    uris = Uris()
    found = uris.begin()
    uris.asked[name].errback(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        result(found)


def test_a_look_up_of_several_names_that_is_cancelled_ends_each() -> None:
    uris = Uris()
    found = uris.begin()
    found.cancel()
    with pytest.raises(CancelledError):
        result(found)
    assert all(one.called for one in uris.asked.values())
