"""Pages kept for a moment: each reader gets a page of its own rights and likings, and every change is seen at once."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected, see_other
from gateway.admin.http_bodies import as_page
from gateway.admin.inspection import Role, caller_of
from gateway.admin.kept_pages import IN_WORK, KEPT_SECONDS, MOST, WAITING
from gateway.admin.routes import HttpRoute
from tests.admin.accounts.support import PASSWORD, done, user
from tests.support.admin_house import HOST, AdminHouse, Asking

LIKINGS = (b"theme",)


class Drawer:
    """Routes whose pages tell their reader, and how many were drawn before."""

    def __init__(self) -> None:
        self.drawn = 0
        self.later: list[Deferred[None]] | None = None
        """Drawings that wait, once there is a list for them."""

    def routes(self) -> tuple[HttpRoute, ...]:
        return (
            HttpRoute("GET", "/seen", self.page, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", "/seen/users", self.page, Role.ADMIN, drawn_by=LIKINGS),
            HttpRoute("GET", "/seen/missing", self.missing, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", "/seen/elsewhere", self.elsewhere, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("GET", "/seen/account", self.page, Role.VIEWER),
        )

    async def page(self, request: IRequest) -> bytes:
        self.drawn += 1
        text = f"{self.drawn} for {caller_of(request).name}"
        if self.later is not None:
            self.later.append(Deferred())
            await self.later[-1]
        return as_page(request, text)

    async def missing(self, request: IRequest) -> bytes:
        self.drawn += 1
        raise Rejected(404, "There is no such page.")

    async def elsewhere(self, request: IRequest) -> bytes:
        self.drawn += 1
        return see_other(request, "/seen")


class Shown:
    """A house with these pages, three users, and a token."""

    def __init__(self, directory: Path) -> None:
        self.drawer = Drawer()
        people = (user("vera", Role.VIEWER), user("otto", Role.OPERATOR), user("ada", Role.ADMIN))
        self.house = AdminHouse(directory, *people, more=self.drawer.routes())
        self.cookies = {one.name: self.house.log_in(one.name, PASSWORD) for one in people}

    def text(self, name: str, path: str = "/seen", more: str = "") -> str:
        """The page as that user sees it."""
        reply = self.house.ask(path, cookie=self.cookies[name] + more)
        return reply.text if reply.status == 200 else str(reply.status)

    def later(self, path: str = "/seen") -> Asking:
        """vera asks for a page that takes its time."""
        head = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {self.cookies['vera']}\r\n\r\n"
        return self.house.begin(head.encode())


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


def test_a_page_is_drawn_once_for_those_who_ask_for_the_same(shown: Shown) -> None:
    assert [shown.text("vera") for _ in range(3)] == ["1 for vera"] * 3
    shown.house.time += KEPT_SECONDS * 0.99
    assert shown.text("vera") == "1 for vera"
    shown.house.time += KEPT_SECONDS * 0.01 + 1e-6
    assert shown.text("vera") == "2 for vera"


def test_nobody_gets_the_page_of_another(shown: Shown) -> None:
    assert [shown.text(name) for name in ("ada", "vera", "otto", "ada")] == [
        *("1 for ada", "2 for vera", "3 for otto", "1 for ada")
    ]
    token = shown.house.token(Role.VIEWER, "ada")  # the name alone says nothing
    assert shown.house.ask("/seen", authorization=f"Bearer {token}").text == "4 for token ada"


def test_the_page_of_an_admin_is_none_for_others(shown: Shown) -> None:
    assert shown.text("ada", "/seen/users") == "1 for ada"
    assert shown.text("vera", "/seen/users") == shown.text("otto", "/seen/users") == "403"
    assert shown.house.ask("/seen/users").status == 401


def test_a_page_is_of_its_address_and_of_the_likings_of_its_reader(shown: Shown) -> None:
    asked = [
        ("/seen", ""),
        ("/seen?q=1", ""),
        ("/seen", "; theme=dark"),
        ("/seen", "; theme=light"),
        ("/seen", "; x=y"),
    ]
    assert [shown.text("vera", *one)[0] for one in asked] == ["1", "2", "3", "4", "1"]


def test_after_a_log_out_nothing_is_shown(shown: Shown) -> None:
    shown.text("vera")
    shown.house.form("/logout", {}, cookie=shown.cookies["vera"])
    assert shown.text("vera") == "401"


def test_a_role_that_was_taken_away_counts_at_once(shown: Shown) -> None:
    assert shown.text("otto") == "1 for otto"
    done(shown.house.register.change_user("otto", lambda found: attrs.evolve(found, role=Role.VIEWER)))
    assert shown.text("otto") == "2 for otto"


@pytest.mark.parametrize("path", ["/api/domains/example.com", "/api/domains/nowhere.example"])
def test_who_changes_something_sees_it_at_once_and_so_do_all_others(shown: Shown, path: str) -> None:
    assert (shown.text("otto"), shown.text("vera")) == ("1 for otto", "2 for vera")
    shown.house.post(path, {"security": "required"}, cookie=shown.cookies["otto"], origin="https://gw.example.com")
    assert (shown.text("otto"), shown.text("vera")) == ("3 for otto", "4 for vera")


def test_a_change_that_is_refused_forgets_nothing(shown: Shown) -> None:
    assert shown.text("vera") == "1 for vera"
    refused = shown.house.post(
        "/api/domains/example.com", {"security": "off"}, cookie=shown.cookies["vera"], origin="https://gw.example.com"
    )
    assert refused.status == 403
    assert shown.text("vera") == "1 for vera"


def test_a_page_in_work_at_a_change_is_kept_for_nobody(shown: Shown) -> None:
    shown.drawer.later = []
    shown.later()
    (waiting,) = shown.drawer.later
    shown.drawer.later = None
    shown.house.post(
        "/api/domains/example.com", {"security": "off"}, cookie=shown.cookies["otto"], origin="https://gw.example.com"
    )
    assert shown.text("vera") == "2 for vera"
    waiting.callback(None)
    assert shown.text("vera") == "2 for vera"


def test_errors_are_told_and_not_kept_and_other_answers_are_whole(shown: Shown) -> None:
    assert [shown.text("vera", "/seen/missing") for _ in range(2)] == ["404", "404"]
    assert shown.drawer.drawn == 2
    replies = [shown.house.ask("/seen/elsewhere", cookie=shown.cookies["vera"]) for _ in range(2)]
    assert [(one.status, one["location"], one["cache-control"]) for one in replies] == [(303, "/seen", "no-store")] * 2
    assert shown.drawer.drawn == 3


def test_pages_that_are_not_meant_for_it_are_drawn_for_each_request(shown: Shown) -> None:
    assert [shown.text("vera", "/seen/account")[0] for _ in range(2)] == ["1", "2"]


def test_few_pages_are_in_work_and_few_are_kept(shown: Shown) -> None:
    shown.drawer.later = []
    replies = [shown.later(f"/seen?{number}") for number in range(IN_WORK + 3)]
    assert shown.drawer.drawn == IN_WORK
    for _ in replies:
        shown.drawer.later.pop(0).callback(None)
        shown.house.clock.advance(0)
    assert [reply.answered.endswith(f"{number + 1} for vera".encode()) for number, reply in enumerate(replies)] == [
        True
    ] * 7
    shown.drawer.later = None
    for number in range(MOST):
        shown.text("vera", f"/seen?more={number}")
    assert shown.text("vera", "/seen?0") == f"{shown.drawer.drawn} for vera"


def test_readers_that_leave_make_no_endless_line(shown: Shown) -> None:
    shown.drawer.later = []
    for number in range(IN_WORK + WAITING):
        shown.later(f"/seen?{number}").leave()
    assert shown.text("vera", "/seen?more") == "503"
    shown.drawer.later.pop(0).callback(None)
    shown.house.clock.advance(0)
    assert not shown.later("/seen?more").answered
    assert shown.text("vera", "/seen?others") == "503"


def test_equal_requests_wait_for_one_drawing_whose_first_reader_has_gone(shown: Shown) -> None:
    shown.drawer.later = []
    replies = [shown.later() for _ in range(3)]
    (waiting,) = shown.drawer.later
    replies.pop(0).leave()
    waiting.callback(None)
    assert [reply.answered[-10:] for reply in replies] == [b"1 for vera"] * 2
