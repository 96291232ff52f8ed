"""Bans over HTTP: the API and the pages, by role, with their audit, and whatever a peer may have written in them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock as Timers

from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk
from gateway.admin.security.bans.ban_office import BanOffice
from gateway.admin.security.bans.ban_pages import ban_routes
from gateway.admin.turns import Turns
from gateway.base.clock import Clock
from gateway.config.tables.blocklist_table import Blocklist
from gateway.observe.events import EventName, Events, fit_text
from gateway.observe.figures import DefenceFigures, Figures, StoppedGuesser
from gateway.observe.observations import Kind, Observation
from gateway.security.blocklists.blocklists import Blocklists
from gateway.security.blocklists.list_reader import ListReader
from gateway.security.defence.bans import HOUR, Ban, Bans, BanState
from gateway.security.defence.evidence import EvidenceLines
from gateway.security.defence.throttled import Throttled
from gateway.security.firewall.nftables import KernelStanding
from gateway.state.audit import AuditLog
from gateway.transport.banned import Banned
from tests.admin.accounts.support import user
from tests.support.admin_house import FAR, AdminHouse, Reply

PROVIDER = "203.0.113.5"
ODD = "\x1b[2J\u202e<script>alert(1)</script>"
REGISTER = "2026-11-30 03:00:01 udp REGISTER sip:example.com"


class Defence:
    """A defence without a judge."""

    def __init__(self, now: Any) -> None:
        self.now = now
        self.evidence = EvidenceLines(now, lambda aor: False)
        self.throttled = Throttled(self, self.evidence, now, lambda one, line: None)
        self.bans = Bans(now, lambda source: source != PROVIDER)
        self.mode = "defend"

    def ban(self, source: str, state: BanState = BanState.ACTIVE, **more: Any) -> Ban:
        """A ban of its own."""
        told = {"evidence": (REGISTER,), "users": ("100", "101"), **more}
        return self.bans.ban(Ban(source, "scan", self.now(), self.now() + HOUR, state=state, **told))

    def order(self, address: str, seconds: float, by: str, words: str = "") -> Ban:
        now = self.now()
        return self.bans.ban(Ban(address, "operator", now, now + seconds, by=by, words=fit_text(words)))

    def slowed_for(self, source: str) -> tuple[float, bool]:
        return 600.0, False

    def slow(self, source: str, line: str = "OPTIONS sip:100@192.0.2.1") -> None:
        """A source that scans, and proves nothing."""
        seen = Observation(Kind.SCAN, source, False, "phones", "udp", "100@example.com", line)
        self.evidence.note(source, seen)
        self.throttled.observed(seen)

    def figures(self) -> DefenceFigures:
        states = [ban.state for ban in self.bans.current()]
        active, waiting, would_be = map(states.count, (BanState.ACTIVE, BanState.WAITING, BanState.WOULD_BE))
        return DefenceFigures(self.mode, None, active, waiting, would_be)


class Office:
    """The routes of bans in a house with people of each role."""

    def __init__(self, directory: Path) -> None:
        self.time = 1_700_000_000.0
        self.defence = Defence(lambda: self.time)
        self.kernel: KernelStanding | None = None
        self.events = Events(lambda: self.time)
        timers = Timers()
        clock = Clock(timers, lambda: self.time, lambda: 0.0)
        (directory / "list").write_text("198.51.100.0/24\n")
        reader = ListReader(lambda url: succeed(b""), lambda work: succeed(work()), timers)
        lists = Blocklists(reader, Banned(), lambda: (PROVIDER,), clock, self.events)
        lists.adopt([Blocklist("office", file=directory / "list"), Blocklist("web", url="https://lists.example/")])
        for _ in range(20):
            timers.advance(0)
        self.stopped = (StoppedGuesser(f"ana@{ODD}", "192.0.2.77:5060", "pair", 1e9),)
        self.audit = AuditLog(directory / "bans-audit.jsonl", lambda: self.time)
        office = BanOffice(self.defence, lists, lambda: self.kernel, self.audit, lambda: self.time)
        gathering: Any = SimpleNamespace(
            now=lambda: self.time,
            version="1.2.3",
            events=self._events,
            watched=SimpleNamespace(figures=lambda: Figures(stopped_guessers=self.stopped)),
        )
        at_once: Any = SimpleNamespace(callLater=lambda seconds, work: work())
        routes = ban_routes(office, Desk(gathering, "gw", Turns(at_once)))
        people = (user("vera", Role.VIEWER), user("olaf", Role.OPERATOR))
        self.house = AdminHouse(directory, *people, more=routes)
        self.tokens = {role: self.house.token(role) for role in (Role.VIEWER, Role.OPERATOR)}

    def get(self, path: str, role: Role = Role.VIEWER) -> Reply:
        return self.house.ask(path, authorization=f"Bearer {self.tokens[role]}")

    def page(self, path: str, name: str = "vera") -> Reply:
        cookie = f"__Host-session={self.house.sessions.begin(name, FAR, self.house.time)}"
        return self.house.ask(path, cookie=cookie, accept="text/html")

    def post(self, path: str, change: object, role: Role = Role.OPERATOR) -> Reply:
        return self.house.post(path, change, authorization=f"Bearer {self.tokens[role]}")

    def form(self, path: str, name: str = "olaf", **values: str) -> Reply:
        cookie = f"__Host-session={self.house.sessions.begin(name, FAR, self.house.time)}"
        return self.house.form(path, values, cookie=cookie)

    @property
    def audited(self) -> list[tuple[Any, ...]]:
        return [(entry["who"], entry["what"], entry["of"]) for entry in self.audit.about(None)]

    def _events(self, is_wanted: Any) -> tuple[list[Any], set[str]]:
        return [event.as_json() for _, event in self.events.after(0) if is_wanted(event)], {"security"}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_the_list_has_those_that_wait_first_and_says_how_the_defence_stands(office: Office) -> None:
    office.defence.ban("192.0.2.1")
    office.defence.ban("192.0.2.2", BanState.WAITING)
    office.defence.ban("192.0.2.3")
    office.kernel = KernelStanding(2, "Operation not permitted")
    told = office.get("/api/v1/bans").json
    assert [ban["source"] for ban in told["bans"]] == ["192.0.2.2", "192.0.2.3", "192.0.2.1"]
    assert "evidence" not in told["bans"][0]
    assert (told["mode"], told["in_force"], told["waiting"]) == ("defend", 2, 1)
    assert told["kernel"] == {"elements": 2, "why": "Operation not permitted"}
    assert [one["source"] for one in office.get("/api/v1/bans?state=waiting").json["bans"]] == ["192.0.2.2"]


def test_pages_of_the_list_go_on_where_the_last_one_ended(office: Office) -> None:
    for number in range(7):
        office.defence.ban(f"192.0.2.{number}")
    seen, place = [], ""
    for _ in range(3):
        told = office.get(f"/api/v1/bans?limit=3{place}").json
        seen += [ban["source"] for ban in told["bans"]]
        place = f"&next={told['next']}"
    assert len(seen) == len(set(seen)) == 7
    assert told["next"] is None
    assert office.get("/api/v1/bans?next=..").status == 400


def test_all_that_is_known_of_a_source(office: Office) -> None:
    office.defence.ban("2001:db8:1:2::/64")
    for text in ("2001:db8:1:2::9", quote("2001:db8:1:2::/64", safe="")):
        told = office.get(f"/api/v1/bans/{text}").json
        assert told["source"] == "2001:db8:1:2::/64"
        assert told["ban"]["evidence"] == [REGISTER]
        assert told["ban"]["users"] == ["100", "101"]
    listed = office.get("/api/v1/bans/198.51.100.9").json
    assert (listed["ban"], listed["lists"], listed["is_spared"]) == (None, ["office"], False)
    assert office.get("/api/v1/bans/nobody").status == 400


def test_an_order_a_lift_and_an_approval_are_made_and_audited(office: Office) -> None:
    made = office.post("/api/v1/bans", {"source": "2001:db8::1", "seconds": 600, "because": "it rang at night"})
    assert made.status == 200, made.text
    assert (made.json["source"], made.json["state"], made.json["words"]) == (
        *("2001:db8::/64", "active", "it rang at night"),
    )
    waiting = office.defence.ban("192.0.2.2", BanState.WAITING)
    assert office.post(f"/api/v1/bans/{waiting.id}/approve", {}).json["state"] == "active"
    lifted = office.post("/api/v1/bans/192.0.2.2/lift", {})
    assert lifted.json["state"] == "lifted"
    assert office.get("/api/v1/bans/192.0.2.2").json["is_spared"] is True
    token = "token token-operator"
    assert office.audited == [
        (token, "ban", "2001:db8::/64"),
        (token, "ban approved", "192.0.2.2"),
        (token, "ban lifted", "192.0.2.2"),
    ]


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/api/v1/bans", {"source": PROVIDER}, 409),
        ("/api/v1/bans", {"source": "192.0.2.0/24"}, 400),
        ("/api/v1/bans", {"source": "0.0.0.0/0"}, 400),
        ("/api/v1/bans", {"source": "example.com"}, 400),
        ("/api/v1/bans", {"source": "192.0.2.1", "seconds": 1}, 400),
        ("/api/v1/bans", {"source": "192.0.2.1", "seconds": 10**9}, 400),
        ("/api/v1/bans/192.0.2.1/lift", {}, 404),
        ("/api/v1/bans/7/approve", {}, 404),
        ("/api/v1/bans/x/approve", {}, 404),
        ("/api/v1/blocklists/nobody/read", {}, 404),
    ],
)
def test_what_cannot_be_ordered_is_refused_and_not_audited(
    office: Office, path: str, change: dict[str, Any], status: int
) -> None:
    reply = office.post(path, change)
    assert reply.status == status, reply.text
    assert reply.json["detail"] if "detail" in reply.json else reply.json["error"]
    assert office.audited == []


def test_slowed_sources_are_told_with_their_evidence(office: Office) -> None:
    for number in range(5):
        office.defence.slow(f"192.0.2.{number}")
    told = office.get("/api/v1/throttled?limit=3").json
    assert [row["source"] for row in told["throttled"]] == ["192.0.2.4", "192.0.2.3", "192.0.2.2"]
    row = told["throttled"][0]
    assert (row["state"], row["address"], row["reason"], row["seen"]) == ("throttled", "not_proved", "scan", 1)
    assert row["evidence"][0].endswith("udp scan: OPTIONS sip:100@192.0.2.1")
    assert "users" not in row
    rest = office.get(f"/api/v1/throttled?limit=3&next={told['next']}").json
    assert ([row["source"] for row in rest["throttled"]], rest["next"]) == (["192.0.2.1", "192.0.2.0"], None)
    assert office.get("/api/v1/throttled?next=..").status == 400
    office.defence.mode = "report"
    known = office.get("/api/v1/bans/192.0.2.4").json
    assert (known["ban"], known["throttled"]["state"]) == (None, "would_be")
    assert known["throttled"]["users"][0].startswith("unknown-")
    assert office.get("/api/v1/bans/192.0.2.99").json["throttled"] is None


def test_pages_show_slowed_sources_as_text(office: Office) -> None:
    assert "Slowed" not in office.page("/security").text
    office.defence.slow("192.0.2.4", f"OPTIONS sip:{ODD}")
    for path in ("/security", "/security/bans/192.0.2.4"):
        page = office.page(path).text
        for text in ("Slowed", "192.0.2.4", "A scan for telephones", "not proved", "udp scan: OPTIONS"):
            assert text in page, text
        assert "<script>alert" not in page
        assert "\x1b" not in page


def test_a_page_of_many_slowed_sources_stays_small(office: Office) -> None:
    for number in range(3000):
        office.defence.slow(f"10.0.{number >> 8}.{number & 255}")
    page = office.page("/security").text
    assert len(page) < 100_000
    assert "900 more: " in page


def test_block_lists_say_how_they_stand(office: Office) -> None:
    told = {row["name"]: row for row in office.get("/api/v1/blocklists").json}
    assert (told["office"]["entries"], told["office"]["why"]) == (1, "")
    assert told["web"]["why"] == "it is empty"
    assert office.post("/api/v1/blocklists/office/read", {}).status == 200


def test_the_page_shows_bans_waits_stops_lists_and_events_and_nothing_of_a_peer_as_markup(office: Office) -> None:
    office.defence.ban("192.0.2.1", evidence=(f"REGISTER {ODD}",), words=ODD)
    office.defence.ban("192.0.2.2", BanState.WAITING, users=(ODD,))
    office.defence.ban("192.0.2.3", BanState.WOULD_BE)
    office.events.note(EventName.SECURITY_WRONG_PASSWORD, source="192.0.2.9:5060", who=f"sip:{ODD}")
    page = office.page("/security").text
    for text in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.77:5060", "office", "it is empty", "Wrong password"):
        assert text in page, text
    assert "1 source banned; 1 ban waits for approval." in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "<script>alert" not in office.page("/security/bans/192.0.2.1").text


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("report", "0 sources banned. The defence only reports: 1 source would be banned."),
        ("off", "The defence is off"),
        ("defend", "0 sources"),
    ],
)
def test_the_page_says_in_which_mode_the_defence_is(office: Office, mode: str, told: str) -> None:
    office.defence.mode = mode
    office.defence.ban("192.0.2.3", BanState.WOULD_BE)
    assert told in office.page("/security").text


def test_operators_alone_have_buttons(office: Office) -> None:
    office.defence.ban("192.0.2.2", BanState.WAITING)
    for path in ("/security", "/security/bans/192.0.2.2"):
        assert '<form method="post" action="/security' not in office.page(path).text
        page = office.page(path, "olaf").text
        assert re.findall(r'action="/security/(\w+)"', page) == ["approve", "lift"]
    assert office.page("/security/add").status == 403
    assert 'action="/security/add"' in office.page("/security/add", "olaf").text


def test_forms_order_and_lead_back(office: Office) -> None:
    made = office.form("/security/add", source="192.0.2.7", seconds="600", because="")
    assert (made.status, made["location"]) == (303, "/security/bans/192.0.2.7")
    waiting = office.defence.ban("192.0.2.2", BanState.WAITING)
    assert office.form("/security/approve", number=str(waiting.id))["location"] == "/security"
    assert office.form("/security/lift", source="192.0.2.7")["location"] == "/security"
    assert [what for _, what, _ in office.audited] == ["ban", "ban approved", "ban lifted"]
    assert office.form("/security/add", source="192.0.2.7", seconds="7").status == 400
    assert office.form("/security/lift", "vera", source="192.0.2.2").status == 403
    assert [ban.source for ban in office.defence.bans.current()] == ["192.0.2.2"]


def test_a_source_that_is_not_banned_has_a_page_too(office: Office) -> None:
    assert "it is in a block list" in office.page("/security/bans/198.51.100.9").text
    assert "Not banned." in office.page("/security/bans/192.0.2.99").text
    office.defence.ban("192.0.2.9")
    office.defence.bans.lift("192.0.2.9", "olaf")
    assert "leaves it alone" in office.page("/security/bans/192.0.2.9").text


def test_a_page_of_many_bans_stays_small(office: Office) -> None:
    for number in range(3000):
        office.defence.ban(f"10.0.{number >> 8}.{number & 255}")
    page = office.page("/security").text
    assert len(page) < 100_000
    assert "2,900 more: " in page
