"""The pages, asked over HTTP: each is there, escapes, stays small, runs no script of its own, and leads on."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.task import Clock as Timers

from gateway.admin.inspection import Caller, Role, Row
from gateway.admin.pages.call_pages import quality
from gateway.admin.pages.desk import LIKINGS, Desk, local_path
from gateway.admin.pages.drawing import Likings
from gateway.admin.pages.page_routes import PageRoutes
from gateway.admin.turns import Turns
from gateway.base.json_codec import Json
from gateway.observe.events import EventName
from gateway.state.listing.call_filter import cursor_of
from gateway.state.reasons import Reason
from gateway.state.remedies import REMEDIES
from tests.admin.pages.stage import NOW, PageStage
from tests.admin.test_api import CALL, FakePermission
from tests.support.day_of_calls import calls

PAGES = (
    *("/", "/calls", "/phones", "/domains", "/domains/example.com", "/domains/example.com/switch?to=off"),
    *("/providers", "/providers/main", "/certificates", "/events", "/audit", "/settings", "/nothing-here"),
)
ODD = "\udcff\x1b[2J\x9b31m\u202e\u2028<b>"
"""Bytes that are no UTF-8, controls, turned text, markup: as a peer may write them."""


def phone(user: str = "ana", **fields: str) -> Row:
    row: Row = {
        "address_of_record": f"sip:{user}@example.com",
        "contact": f"sip:{user}@10.0.0.1:5060",
        "flow": "phones/udp/10.0.0.1:5060",
        "transport": "udp",
        "reachable": True,
        "user_agent": "Yealink SIP-T54W",
        "expires_in": 1800,
        "provider_expires_in": 1800,
    }
    return {**row, **fields}


@pytest.fixture
def stage(tmp_path: Path) -> PageStage:
    return PageStage(tmp_path, [*calls(NOW, 60)], [phone(), phone("ben")])


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_whole_and_keeps_to_its_bounds(stage: PageStage, path: str) -> None:
    answer = stage.client.ask(path, accept="text/html")
    assert answer.status == (404 if path == "/nothing-here" else 200)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert len(answer.text.encode()) < 64_000
    assert len(re.findall(r"<h1", answer.text)) == 1
    assert "gw-berlin" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_script_or_style_of_its_own(stage: PageStage, path: str) -> None:
    text = stage.client.ask(path, accept="text/html").text
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert all('src="/static/' in tag for tag in re.findall(r"<script[^>]*>", text))
    assert "script-src 'self'" in stage.client.ask(path).headers["content-security-policy"]


def test_a_page_and_its_files_are_below_100_kilobytes(stage: PageStage) -> None:
    page = stage.client.ask("/calls", accept="text/html").text
    files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert len(files) == 4
    answers = [stage.client.ask(file, accept_encoding="gzip, br") for file in files]
    assert {answer.headers["content-encoding"] for answer in answers} == {"gzip"}
    assert len(page.encode()) + sum(answer.size for answer in answers) < 100_000


def test_a_file_may_be_kept_for_its_name_says_its_contents(stage: PageStage) -> None:
    page = stage.client.ask("/", accept="text/html").text
    [style] = re.findall(r'href="(/static/\w+/style.css)"', page)
    assert "immutable" in stage.client.ask(style).headers["cache-control"]
    other = stage.client.ask("/static/other/style.css").headers
    assert (other["cache-control"], other["content-type"]) == ("no-store", "text/css; charset=utf-8")
    assert stage.client.ask("/static/x/..%2fapi.py").status == 404
    assert "content-encoding" not in stage.client.ask(style, accept_encoding="gzip;q=0").headers


def test_the_list_leads_to_each_call(stage: PageStage) -> None:
    first = stage.inspection.calls()[0]
    assert f'href="/calls/{first["id"]}"' in stage.client.ask("/calls").text
    page = stage.client.ask(f"/calls/{first['id']}").text
    assert '<svg class="ladder"' in page
    assert "The wire" in page


def test_a_phone_is_shown_by_make_and_model_with_its_calls(stage: PageStage) -> None:
    assert "Yealink" in stage.client.ask("/phones").text
    page = stage.client.ask("/phones/sip:ana@example.com").text
    assert "sip:ana@example.com is registered with 1 phone." in page
    assert "not seen yet" in page
    assert 'href="/calls/' in page
    stage.client.ask("/phones?q=ben")
    assert "No phone matches" in stage.client.ask("/phones?q=nobody").text


def test_quality_has_a_shape_and_its_score() -> None:
    assert [quality(one) for one in (4.41, 4.0, 3.7, 2.1, None)] == [
        ("up", "4.4"),
        ("up", "4.0"),
        ("degraded", "3.7"),
        ("down", "2.1"),
        None,
    ]


def test_filters_stand_in_the_address(stage: PageStage) -> None:
    stage.client.ask("/calls?verdict=CLEAR&since=24h&direction=inbound&state=ended&answered=yes&domain=example.com")
    [wanted] = stage.looked_for
    assert (wanted.verdict, wanted.domain, wanted.is_up, wanted.is_answered) == ("CLEAR", "example.com", False, True)
    assert (wanted.since, str(wanted.direction)) == (NOW - 86_400, "inbound")


def test_words_that_no_filter_knows_are_left_out(stage: PageStage) -> None:
    assert stage.client.ask("/calls?verdict=%3Cb%3E&since=always&direction=up&state=&nonsense=1").status == 200
    [wanted] = stage.looked_for
    assert (wanted.verdict, wanted.since, wanted.direction, wanted.is_up) == (None, None, None, None)


def test_a_number_is_looked_for_first_then_a_user(stage: PageStage) -> None:
    stage.inspection.lists.found = lambda wanted: wanted.user == "ana"  # type: ignore[attr-defined]
    answer = stage.client.ask("/calls?q=ana")
    assert [(one.number, one.user) for one in stage.looked_for] == [("ana", None), (None, "ana")]
    assert "<tbody>" in answer.text


def test_a_call_id_leads_to_its_call(stage: PageStage) -> None:
    call = stage.inspection.calls()[3]
    answer = stage.client.ask(f"/calls?q={call['id']}")
    assert (answer.status, answer.headers["location"]) == (303, f"/calls/{call['id']}")


def test_a_page_leads_to_older_ones_and_back_to_the_top(stage: PageStage) -> None:
    cursor = cursor_of("1796000000.0", "a")
    stage.inspection.lists.next = cursor  # type: ignore[attr-defined]
    page = stage.client.ask(f"/calls?domain=example.com&after={cursor}").text
    assert f'href="/calls?domain=example.com&amp;after={quote(cursor)}"' in page
    assert 'href="/calls?domain=example.com"' in page


def test_a_cursor_that_no_page_gave_is_an_error_for_people(stage: PageStage) -> None:
    answer = stage.client.ask("/calls?after=xyz", accept="text/html")
    assert answer.status == 400
    assert "<h1>" in answer.text


def test_an_error_is_a_page_for_a_browser_and_json_for_others(stage: PageStage) -> None:
    stage.inspection.lists.found = lambda wanted: False  # type: ignore[attr-defined]
    for path in ("/calls/nobody", "/domains/nobody", "/providers/nobody", "/phones/sip:x@y", "/nothing"):
        page = stage.client.ask(path, accept="text/html")
        assert (page.status, 'href="/calls"' in page.text) == (404, True)
        assert stage.client.ask(path).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/", "/calls", "/calls/x", "/phones", "/phones/sip:x@y", "/%e2%80%ae%1b", "/calls?q=x"]
)
def test_no_byte_of_a_peer_reaches_a_page_as_it_is(tmp_path: Path, path: str) -> None:
    steps: list[Json] = [{"at": 1.5, "leg": "caller", "direction": "sent", "what": ODD}]
    chain: list[Json] = [{"leg": ODD, "step": "policy", "what": ODD, "code": ODD}]
    call: Row = {
        **CALL,
        **dict.fromkeys(("caller", "callee", "ending", "reason", "cause", "verdict", "domain"), ODD),
        "id": "x",
    }
    call |= {"ladder": steps, "chain": chain}
    odd = PageStage(tmp_path, [call], [phone(address_of_record="sip:x@y", user_agent=ODD, contact=ODD, transport=ODD)])
    answer = odd.client.ask(path, accept="text/html")
    assert answer.status in (200, 404)
    assert not [line for line in answer.text.split("\n") if not line.isprintable()]
    assert "<b>" not in answer.text


def test_the_page_of_a_call_that_failed_shows_its_cause_and_the_remedy(tmp_path: Path) -> None:
    said = "certificate is not for <a>; it is for sip.elsewhere.test"
    call: Row = {**CALL, "id": "x", "verdict": "REFUSED", "reason": "REFUSED_CERTIFICATE", "cause": said}
    shown = PageStage(tmp_path, [call], []).client.ask("/calls/x", accept="text/html").text
    text = html.unescape(re.sub(r"<wbr>", "", shown))
    assert said in text
    assert "&lt;a&gt;" in shown
    explained = REMEDIES[Reason.REFUSED_CERTIFICATE]
    assert explained.cause in text
    assert explained.remedy in text


def test_a_switch_asks_first_in_numbers_and_leads_back(stage: PageStage) -> None:
    question = stage.client.ask("/domains/example.com/switch?to=required").text
    assert "2 phones of this domain are registered" in question
    assert stage.client.control.asked == []
    form = {"content_type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.20:8080"}
    answer = stage.client.ask("/domains/example.com/switch", "POST", body=b"to=required&because=audit", **form)
    assert (answer.status, answer.headers["location"]) == (303, "/domains/example.com?switched=preferred")
    assert stage.client.control.asked == [("example.com", "required", "alice (uid 1000)", "audit")]
    assert "Switched from preferred" in stage.client.ask("/domains/example.com?switched=preferred").text


def test_a_call_that_is_up_is_ended_after_a_question(tmp_path: Path) -> None:
    up: Row = {**CALL, "id": "x", "answered_at": NOW - 30, "ended_at": None}
    client = PageStage(tmp_path, [up, {**CALL, "id": "over"}]).client
    assert 'href="/hangup/x"' in client.ask("/calls/x").text
    assert "talking for 0:30" in client.ask("/hangup/x").text
    assert client.ask("/hangup/over").status == client.ask("/hangup/nobody").status == 404
    assert client.control.asked == []
    form = {"content_type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.20:8080"}
    answer = client.ask("/hangup/x", "POST", body=b"really=yes", **form)
    assert (answer.status, answer.headers["location"]) == (303, "/calls/x")
    assert client.control.asked == [("hangup", "x", "alice (uid 1000)")]


def test_a_form_of_another_site_switches_nothing(stage: PageStage) -> None:
    form = {"content_type": "application/x-www-form-urlencoded", "origin": "http://evil.localhost"}
    assert stage.client.ask("/domains/example.com/switch", "POST", body=b"to=off", **form).status == 403
    assert stage.client.control.asked == []


def test_a_viewer_sees_no_button_to_switch(tmp_path: Path) -> None:
    class Viewing(FakePermission):
        def admit(self, request: object, role: Role, path: str) -> Caller:
            return Caller("vera", Role.VIEWER, "127.0.0.1", "vera")

    page = PageStage(tmp_path, permission=Viewing()).client.ask("/domains/example.com").text
    assert "Switch to" not in page
    assert "An operator switches it" in page
    assert '<a href="/account">vera</a>, viewer' in page
    assert 'action="/logout"' in page


def test_events_are_those_that_matter_unless_a_kind_is_asked_for(stage: PageStage) -> None:
    stage.events.note(EventName.CALL_STARTED, call="c1", who="sip:ana@example.com")
    stage.events.note(EventName.PROVIDER_DOWN, who="main", why="it refuses connections")
    notable = stage.client.ask("/events").text
    assert "Provider down" in notable
    assert 'href="/providers/main"' in notable
    assert "it refuses connections" in notable
    assert "Call started" not in notable
    assert 'href="/calls/c1"' in stage.client.ask("/events?kind=call").text
    assert "Call started" in stage.client.ask("/events?kind=all").text
    assert "No event of this kind" in stage.client.ask("/events?kind=%3Cb%3E").text


def test_a_stranger_is_not_told_the_version(tmp_path: Path) -> None:
    client = PageStage(tmp_path).client
    assert "1.2.3" in client.ask("/").text
    assert "1.2.3" not in client.ask("/nothing", accept="text/html").text


def test_likings_are_kept_in_cookies_and_lead_back_to_this_host_only(stage: PageStage) -> None:
    answer = stage.client.ask("/preferences?theme=dark&back=%2Fcalls%3Fq%3D1")
    assert (answer.status, answer.headers["location"]) == (303, "/calls?q=1")
    assert answer.headers["set-cookie"].startswith("theme=dark;")
    assert 'data-theme="dark"' in stage.client.ask("/", cookie="theme=dark; times=local; zone=Europe%2FBerlin").text
    assert "data-theme" not in stage.client.ask("/", cookie='theme="><script>; zone=../../etc/passwd').text
    for back in ("//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", ""):
        assert local_path(back) == "/"
    assert "set-cookie" not in stage.client.ask("/preferences?theme=purple").headers


def test_local_times_are_those_of_the_browsers_zone(stage: PageStage) -> None:
    call = stage.inspection.calls()[0]["id"]
    assert " UTC</time>" in stage.client.ask(f"/calls/{call}").text
    assert " CET</time>" in stage.client.ask(f"/calls/{call}", cookie="times=local; zone=Europe%2FBerlin").text
    assert stage.client.ask(f"/calls/{call}", cookie="times=local; zone=../../../etc").status == 200


def test_an_empty_gateway_teaches(tmp_path: Path) -> None:
    empty = PageStage(tmp_path).client
    for path in ("/", "/phones"):
        assert "sip:192.0.2.10:5060;transport=udp" in empty.ask(path).text
    assert "Nothing needs a look." in empty.ask("/").text
    assert "No call yet" in empty.ask("/calls").text
    assert "No call matches" in empty.ask("/calls?q=1").text
    assert "Nothing was changed yet" in empty.ask("/audit").text


def test_settings_have_the_line_of_the_file(stage: PageStage) -> None:
    page = stage.client.ask("/settings").text
    row = re.search(r'data-label="Key" class="mono">uri</td>.*?class="soft">(\d+)</td>', page, re.DOTALL)
    assert row
    assert row[1] == "25"


def test_pages_that_are_kept_depend_on_their_address_and_the_likings_of_their_reader(tmp_path: Path) -> None:
    stage = PageStage(tmp_path)
    routes = PageRoutes(stage.inspection, stage.client.control, Desk(stage.gathering, "gw", Turns(Timers())))
    kept = {route.path for route in routes.routes() if route.drawn_by is not None}
    assert all(route.method == "GET" for route in routes.routes() if route.drawn_by is not None)
    assert {"/", "/calls", "/domains/{name}", "/settings"} <= kept
    assert not {path for path in kept if path.startswith(("/account", "/users", "/login", "/static", "/preferences"))}
    read: set[str] = set()

    class Cookies(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return default

    Likings.of(Cookies())
    assert {name.encode() for name in read} == set(LIKINGS)
