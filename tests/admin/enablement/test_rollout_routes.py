"""Roll-outs and orders over HTTP: a plan, a roll-out, its phones, changes, the pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed

from gateway.admin.enablement.one_phone_routes import OnePhoneRoutes
from gateway.admin.enablement.resync_routes import ResyncRoutes
from gateway.admin.enablement.rollout_office import OfficeMeans, RolloutOffice
from gateway.admin.enablement.rollout_pages import RolloutPages
from gateway.admin.enablement.rollout_routes import RolloutRoutes
from gateway.admin.inspection import Role
from gateway.admin.pages.desk import Desk
from gateway.admin.turns import Turns
from gateway.b2bua.probe.found import PhoneFacts
from gateway.b2bua.probe.jobs.probe_order import ProbeKind, ProbeRefused
from gateway.b2bua.probe.outlook.domain_outlook import DomainOutlook
from gateway.b2bua.probe.phone_look import leg_of, remembered_phone
from gateway.b2bua.probe.prediction import Prediction
from gateway.b2bua.probe.probes import ProbeJob
from gateway.b2bua.probe.sentences import ProbeResult
from gateway.config.model import Domain, PhonesSecurity, Security
from gateway.registrar.binding import Binding
from gateway.registrar.enablement.surroundings import NoFiles, ServedFile
from gateway.security.policy.peer_memory import Feature, Peer
from gateway.state.audit import AuditLog
from tests.admin.accounts.support import user
from tests.registrar.enablement.world import NOW, ScriptedPhone, World
from tests.support.admin_house import HOST, AdminHouse, Reply
from tests.support.flows import listener_of


class AtOnce(Turns):
    """Nobody waits for a turn."""

    def next(self) -> Deferred[None]:
        return succeed(None)


class FarProvider:
    """Looks ahead at a provider that was probed with a result of the test's own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.prediction: Prediction | None = Prediction("ENCRYPTED_TO_PROVIDER", "", 200, True, "")
        self.refused: ProbeRefused | None = None
        self.asked: list[Domain] = []

    def phone(self, binding: Binding) -> PhoneFacts:
        around: Any = SimpleNamespace(memory=self.world.memory, store=self.world.store, wall=self.world.wall)
        return remembered_phone(around, binding)

    def leg(self, binding: Binding) -> tuple[str, str]:
        return leg_of(binding, self.world.memory)

    async def look(self, domain: Domain) -> DomainOutlook:
        if self.refused is not None:
            raise self.refused
        self.asked.append(domain)
        job = ProbeJob("probe-1", ProbeKind.DOMAIN, domain.name, NOW, result=ProbeResult.AS_WANTED)
        job.prediction = self.prediction
        around: Any = SimpleNamespace(memory=self.world.memory)
        return DomainOutlook(domain, job, around)


class House:
    """A site with roll-outs, and phones around it."""

    def __init__(self, directory: Path, **terms: Any) -> None:
        (directory / "world").mkdir()
        self.world = world = World(directory / "world", **terms)
        world.settings.current.listeners = (listener_of("tls"), listener_of("udp"))
        world.add(ScriptedPhone("alice"), ScriptedPhone("bob", "Fanvil X4 2.12.1", comes_back="never"))
        world.add(ScriptedPhone("carol", "Nobody 1.0", (481,)))
        self.outlooks = FarProvider(world)
        means = OfficeMeans(AtOnce(world.clock).next, self.outlooks)  # type: ignore[arg-type]
        office = RolloutOffice(world.rollouts, world.book, world.around, means)
        self.audit = AuditLog(directory / "rollout-audit.jsonl", world.wall)
        routes = RolloutRoutes(office, self.audit, world.wall)
        gathering: Any = SimpleNamespace(version="1", now=lambda: NOW)
        desk = Desk(gathering, "gw", AtOnce(world.clock))
        pages = RolloutPages(office, routes, desk)
        one = OnePhoneRoutes(world.rollouts.list, world.around, means)
        more = (*routes.routes(), *one.routes(), *ResyncRoutes(office, self.audit).routes(), *pages.routes())
        self.site = AdminHouse(directory, user("olga", Role.ADMIN), more=more)
        self.viewer, self.operator = self.site.token(Role.VIEWER), self.site.token(Role.OPERATOR)

    def get(self, path: str) -> Reply:
        return self.site.ask(path, authorization=f"Bearer {self.viewer}")

    def post(self, path: str, **change: Any) -> Reply:
        return self.site.post(path, change, authorization=f"Bearer {self.operator}")

    def press(self, action: str) -> Reply:
        """The operator's button on the page of roll-out 1."""
        return self.site.form(f"/rollouts/1/{action}", {}, authorization=f"Bearer {self.operator}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, canary=3, attempts=1)


def test_a_plan_says_who_follows_and_changes_nothing(house: House) -> None:
    told = house.post("/api/v1/rollouts", domain="example.com", security="required", dry_run=True).json

    assert told["rollout"] is None
    assert {row["address_of_record"]: row["make"] for row in told["plan"]} == {
        "sip:alice@example.com": "yealink",
        "sip:bob@example.com": "fanvil",
        "sip:carol@example.com": "other",
    }
    assert any("not known" in row["words"] for row in told["plan"])
    assert not house.world.switched
    assert house.get("/api/v1/rollouts").json == []


def plan_of(house: House, **wish: Any) -> tuple[Any, dict[str, Any]]:
    """The outlook of a plan, and its phones by their user."""
    told = house.post("/api/v1/rollouts", domain="example.com", dry_run=True, **wish).json
    return told["outlook"], {row["address_of_record"][4:].partition("@")[0]: row for row in told["plan"]}


def test_a_plan_tells_the_verdict_that_each_phones_calls_would_get(house: House) -> None:
    world = house.world
    world.add(ScriptedPhone("dave", transport="tls"), ScriptedPhone("erin", transport="tls"))
    world.memory.saw(Peer("sip:dave@example.com"), Feature.SRTP, did=True)
    world.memory.saw(Peer("sip:erin@example.com"), Feature.SRTP, did=False)
    outlook, phones = plan_of(house, security="required", phones="required")

    assert [one.security for one in house.outlooks.asked] == [Security.REQUIRED]
    assert {user: (row["verdict"], row["best"]) for user, row in phones.items()} == {
        "alice": ("ENCRYPTED_TO_PROVIDER", "ENCRYPTED"),
        "bob": ("ENCRYPTED_TO_PROVIDER", "ENCRYPTED"),
        "carol": ("ENCRYPTED_TO_PROVIDER", "ENCRYPTED"),
        "dave": ("ENCRYPTED", "ENCRYPTED"),
        "erin": ("ENCRYPTED_TO_PROVIDER", "ENCRYPTED"),
    }
    assert "took no SRTP in its last call" in phones["erin"]["why"]
    assert "UDP" in phones["alice"]["why"]
    assert outlook["verdicts"] == {"ENCRYPTED": 1, "ENCRYPTED_TO_PROVIDER": 4}
    assert outlook["result"] == "not", "erin is over TLS and does no SRTP: no roll-out mends that"
    assert "Calls of its 5 phones: 1 ENCRYPTED, 4 ENCRYPTED_TO_PROVIDER." in outlook["sentence"]


def test_a_plan_without_a_goal_for_phones_is_judged_by_the_provider_alone(house: House) -> None:
    current = house.world.settings.current
    current.domains = (attrs.evolve(current.domains[0], phones_security=PhonesSecurity.OFF),)
    outlook, phones = plan_of(house, security="required")
    assert (outlook["result"], {row["order"] for row in phones.values()}) == ("as_wanted", {""})
    house.outlooks.prediction = Prediction("CLEAR", "CLEAR_PEER_NO_TLS", 200, True, "its TLS port refuses")
    outlook, phones = plan_of(house, security="preferred")
    assert (outlook["result"], outlook["reasons"]) == ("not", {"CLEAR_PEER_NO_TLS": 3})
    assert {(row["verdict"], row["best"], row["why"]) for row in phones.values()} == {
        ("CLEAR", "CLEAR", "its TLS port refuses")
    }


def test_a_plan_claims_nothing_that_nobody_can_tell(house: House) -> None:
    outlook, _ = plan_of(house)
    assert outlook["result"] == "unknown", "whether phones obey, and take SRTP, nobody knows before"
    house.outlooks.prediction = Prediction("", "", 0, False, "nobody has seen whether it does SRTP")
    outlook, phones = plan_of(house)
    assert (outlook["result"], outlook["verdicts"]) == ("unknown", {"unknown": 3})
    assert {row["verdict"] for row in phones.values()} == {""}
    house.outlooks.prediction = None
    assert plan_of(house)[0]["result"] == "failed"
    house.outlooks.refused = ProbeRefused(429, "It was probed a moment ago: again in 7 s.")
    assert house.post("/api/v1/rollouts", domain="example.com", dry_run=True).status == 429
    assert house.get("/api/v1/rollouts").json == []


def test_a_phone_in_clear_that_was_led_to_tls_is_refused_and_the_plan_says_so(house: House) -> None:
    house.world.memory.saw(Peer("sip:alice@example.com"), Feature.TLS, did=True)
    house.world.memory.lead(Peer("sip:alice@example.com"))
    outlook, phones = plan_of(house)
    assert (phones["alice"]["verdict"], phones["alice"]["status"], outlook["result"]) == ("REFUSED", 403, "not")


def test_a_roll_out_begins_and_is_seen_with_the_reason_of_each_phone(house: House) -> None:
    begun = house.post("/api/v1/rollouts", domain="EXAMPLE.com.", security="required").json
    assert begun["rollout"]["phones"] == 3
    assert house.world.switched == [("example.com", "required")]

    house.world.pass_time(700)
    told = house.get("/api/v1/rollouts/1").json
    found = {row["address_of_record"][4:].partition("@")[0]: (row["state"], row["reason"]) for row in told["rows"]}

    assert found == {
        "alice": ("confirmed", ""),
        "bob": ("failed", "NO_RETURN"),
        "carol": ("unsupported", "NOT_UNDERSTOOD"),
    }
    failed = house.get("/api/v1/rollouts/1?state=failed").json["rows"]
    assert [row["address_of_record"] for row in failed] == ["sip:bob@example.com"]
    assert failed[0]["remedy"]
    assert [entry["what"] for entry in house.audit.about(None)] == ["rollout"]


def test_a_page_of_phones_goes_on_after_the_number_that_is_named_though_a_row_could_not_be_read(house: House) -> None:
    house.post("/api/v1/rollouts", domain="example.com")
    (rollout,) = house.world.rollouts.list
    del rollout.phones[0]  # its row in the file is of another version
    first = house.get("/api/v1/rollouts/1?limit=1").json["rows"]
    rest = house.get(f"/api/v1/rollouts/1?limit=5&after={first[0]['number']}").json["rows"]
    assert [row["number"] for row in (*first, *rest)] == [2, 3]


def test_a_domain_that_is_served_no_more_is_not_switched_back_and_that_is_said(house: House) -> None:
    house.post("/api/v1/rollouts", domain="example.com", security="required")
    house.world.served = False
    reply = house.post("/api/v1/rollouts/1/roll-back")
    assert (reply.status, "no domain example.com" in reply.text) == (409, True), reply.text
    assert house.get("/api/v1/rollouts/1").json["stage"] == "running"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"domain": "example.org"}, 404, "no domain"),
        ({"domain": "example.com", "only": "nobody*"}, 409, "No phone"),
        ({"domain": "example.com", "at": "yesterday"}, 400, "no time"),
        ({"domain": "example.com", "at": "2001-01-01T00:00"}, 400, "year to come"),
        ({"domain": "example.com", "phones": "off"}, 400, "Nothing is to be done"),
        ({"domain": "example.com", "phones": "maybe"}, 400, "one of"),
        ({}, 400, "domain is missing"),
    ],
)
def test_wishes_that_do_not_fit_get_a_clear_error(house: House, change: Any, status: int, words: str) -> None:
    reply = house.post("/api/v1/rollouts", **change)
    assert (reply.status, words in reply.text) == (status, True), reply.text
    assert house.get("/api/v1/rollouts").json == []


def test_no_more_than_the_file_says_is_required_of_phones(house: House) -> None:
    current = house.world.settings.current
    current.domains = (attrs.evolve(current.domains[0], phones_security=PhonesSecurity.PREFERRED),)
    assert house.post("/api/v1/rollouts", domain="example.com", phones="required").status == 409
    assert house.post("/api/v1/rollouts", domain="example.com").json["rollout"]["goal"] == "tls"


def test_without_a_listener_for_tls_nothing_begins(house: House) -> None:
    house.world.settings.current.listeners = (listener_of("udp"),)
    reply = house.post("/api/v1/rollouts", domain="example.com")
    assert (reply.status, "find no TLS" in reply.text) == (409, True)


def test_a_domain_without_a_goal_for_phones_is_switched_alone(house: House) -> None:
    current = house.world.settings.current
    current.domains = (attrs.evolve(current.domains[0], phones_security=PhonesSecurity.OFF),)
    told = house.post("/api/v1/rollouts", domain="example.com", security="required").json
    assert (told["rollout"], told["security"]) == (None, "required")
    assert house.world.switched == [("example.com", str(Security.REQUIRED))]


def test_changes_are_carried_out_and_audited_and_refused_where_they_do_not_fit(house: House) -> None:
    house.post("/api/v1/rollouts", domain="example.com")
    assert house.post("/api/v1/rollouts", domain="example.com").status == 409
    assert house.post("/api/v1/rollouts/1/pause").json["rollout"]["stage"] == "paused"
    assert house.post("/api/v1/rollouts/1/pause").status == 409
    assert house.post("/api/v1/rollouts/1/pause", phone="alice").status == 400
    assert house.post("/api/v1/rollouts/1/resume").json["rollout"]["stage"] == "running"
    house.world.pass_time(700)
    assert house.post("/api/v1/rollouts/1/retry", phone="bob").json["phones"] == 1
    assert house.post("/api/v1/rollouts/1/retry", phone="nobody").status == 404
    assert house.post("/api/v1/rollouts/9/retry").status == 404
    assert house.post("/api/v1/rollouts/x/retry").status == 404
    assert house.post("/api/v1/rollouts/1/roll-back", phone="alice").json["phones"] == 1
    assert house.post("/api/v1/rollouts/1/roll-back").json["rollout"]["stage"] == "rolling_back"
    told = [entry["what"] for entry in house.audit.about(None)]
    assert told == [
        "rollout",
        "rollout pause",
        "rollout resume",
        "rollout retry",
        "rollout roll-back",
        "rollout roll-back",
    ]


def test_one_phone_is_ordered_by_hand_and_its_outcome_told(house: House) -> None:
    body = b'{"phone": "alice"}'
    head = (
        f"POST /api/v1/resync HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {house.operator}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    asking = house.site.begin(head.encode() + body)
    assert not asking.answered
    house.world.pass_time(1)

    (row,) = json.loads(asking.answered.partition(b"\r\n\r\n")[2])["phones"]
    assert (row["make"], row["result"]) == ("yealink", "accepted")
    assert house.post("/api/v1/resync", phone="nobody").status == 404
    assert house.post("/api/v1/resync").status == 400
    house.world.busy.add(house.world.phones["alice"].flow.remote)
    assert house.post("/api/v1/resync", phone="alice@example.com").status == 409


def test_the_pages_show_it(house: House) -> None:
    house.post("/api/v1/rollouts", domain="example.com")
    house.world.pass_time(700)
    text = house.get("/rollouts/1").text
    assert "bob@example.com" in text
    assert "What to do" in text
    assert house.site.form("/rollouts/1/stop", {}, authorization=f"Bearer {house.viewer}").status == 403
    assert "/rollouts/1" in house.get("/rollouts").text
    assert house.get("/rollouts/7").status == 404


def test_the_buttons_of_the_pages_work(house: House) -> None:
    house.post("/api/v1/rollouts", domain="example.com")
    stages = {"pause": "paused", "resume": "running", "stop": "stopped", "roll-back": "rolling_back"}
    for action, stage in stages.items():
        assert house.press(action).status == 303
        assert house.get("/api/v1/rollouts/1").json["stage"] == stage
    assert house.press("explode").status == 404
    house.world.pass_time(700)
    assert house.press("pause").status == 409, "it is over"


MAC = "0015651a2b3c"


class ServesOne(NoFiles):
    """One device has its file here."""

    def file_of(self, device: str) -> ServedFile | None:
        return ServedFile("behind", "required", 4, 3, NOW, "token") if device == f"mac:{MAC}" else None


def test_one_phone_tells_its_registration_its_order_its_course_and_its_file(tmp_path: Path) -> None:
    house = House(tmp_path, canary=3, attempts=1)
    world = house.world
    object.__setattr__(world.around, "files", ServesOne())
    world.add(ScriptedPhone("102", agent=f"Yealink SIP-T46G 28.83.0.30 {MAC}", comes_back="never"))
    world.busy.add(world.phones["102"].flow.remote)
    (told,) = house.get("/api/v1/phones/102").json["registrations"]
    assert (told["make"], told["model"], told["firmware"]) == ("Yealink", "SIP-T46G", "28.83.0.30")
    assert (told["order"], told["reboot_order"]) == ("check-sync;reboot=false", "check-sync;reboot=true")
    assert (told["leg"], told["transport"], told["in_call"], told["is_led"]) == ("clear", "udp", True, False)
    assert told["device"] == f"mac:{MAC}"
    world.busy.clear()

    house.post("/api/v1/rollouts", domain="example.com", only="102")
    world.pass_time(700)
    for name in ("102", "102@example.com", "sip:102@EXAMPLE.com", "00:15:65:1A:2b:3c", "0015.651a.2b3c", MAC):
        one = house.get(f"/api/v1/phones/{name}").json
        (course,), (file,) = one["rollouts"], one["files"]
        assert (course["rollout"], course["phone"]["state"], course["phone"]["reason"]) == (1, "failed", "NO_RETURN")
        assert course["phone"]["remedy"]
        assert (file["state"], file["generation"], file["fetched"]) == ("behind", 4, 3)


def test_a_phone_that_is_gone_is_told_of_by_its_roll_out_and_its_file(tmp_path: Path) -> None:
    house = House(tmp_path, canary=3, attempts=1)
    world = house.world
    object.__setattr__(world.around, "files", ServesOne())
    world.add(ScriptedPhone("102", agent=f"Yealink SIP-T46G 28.83.0.30 {MAC}", comes_back="never"))
    house.post("/api/v1/rollouts", domain="example.com", only="102")
    (binding,) = world.store.find("sip:102@example.com")
    world.store.remove(binding.aor, binding.contact)
    for name in ("102", MAC):
        one = house.get(f"/api/v1/phones/{name}").json
        assert (one["registrations"], len(one["rollouts"]), len(one["files"])) == ([], 1, 1)


@pytest.mark.parametrize("name", ["nobody", "nobody@example.com", "00:00:00:00:00:01", "%00", "a" * 300])
def test_a_phone_that_nobody_knows_is_said_to_be_so(name: str, house: House) -> None:
    reply = house.get(f"/api/v1/phones/{name}")
    assert reply.status == 404, reply.text
    assert "\x00" not in reply.text


def test_a_user_of_two_domains_is_to_be_named_with_one(house: House) -> None:
    current = house.world.settings.current
    current.domains = (*current.domains, attrs.evolve(current.domains[0], name="example.org"))
    (binding,) = house.world.store.find("sip:alice@example.com")
    house.world.store.save(attrs.evolve(binding, aor="sip:alice@example.org", token="another"))
    assert house.get("/api/v1/phones/alice").status == 409
    assert len(house.get("/api/v1/phones/alice@example.org").json["registrations"]) == 1


def test_stop_and_roll_back_say_first_how_many_phones_they_are_about(house: House) -> None:
    house.post("/api/v1/rollouts", domain="example.com", security="required")

    def asked(action: str, token: str = house.operator) -> Reply:
        return house.site.ask(f"/rollouts/1/{action}", authorization=f"Bearer {token}")

    assert "3 phones that wait for their turn will not be asked." in asked("stop").text
    assert "3 phones that were never asked will not be." in asked("roll-back").text
    house.world.pass_time(700)
    house.site.time += 1  # pages are kept shortly
    told = asked("roll-back").text
    assert "3 phones that were asked will be asked to go back." in told
    assert "The domain is switched back to preferred." in told
    assert asked("stop", house.viewer).status == 403
    assert [asked(action).status for action in ("pause", "resume", "explode")] == [404] * 3
    assert house.get("/api/v1/rollouts/1").json["stage"] == "done", "nothing has happened yet"


def test_a_name_that_is_no_hardware_address_has_nobody_look_through_all_phones(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[None] = []
    store = house.world.store

    def every(_: object) -> Iterator[Binding]:
        looked.append(None)
        return iter(())

    monkeypatch.setattr(type(store), "all", every)
    assert house.get("/api/v1/phones/nobody").status == 404
    assert looked == []
    assert house.get("/api/v1/phones/0015651a2b3d").status == 404
    assert looked == [None]
