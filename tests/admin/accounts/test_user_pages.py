"""Users changed from their pages: each change with its page, its place in the audit, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.admin.inspection import Role
from tests.admin.accounts.support import DISK_FULL, PASSWORD, SECRET, user
from tests.support.admin_house import HOST, AdminHouse

NEW = "another horse battery"


@pytest.fixture
def house(tmp_path: Path) -> AdminHouse:
    return AdminHouse(tmp_path, user(), user("bob", Role.VIEWER), user("carol", Role.OPERATOR, second_factor=SECRET))


def admin(house: AdminHouse) -> str:
    return house.log_in("alice", PASSWORD)


def told(house: AdminHouse) -> list[dict[str, Any]]:
    """The audit, less the log-ins."""
    entries: list[dict[str, Any]] = [dict(one) for one in house.audit.about(None)]
    return [one for one in entries if one["what"] != "log-in"]


def test_a_user_is_added_and_can_log_in(house: AdminHouse) -> None:
    cookie = admin(house)
    form = house.ask("/new-user", cookie=cookie)
    assert 'minlength="12"' in form.text
    asked = {"name": "dora", "role": "operator", "password": NEW, "again": NEW}
    added = house.form("/users", asked, cookie=cookie)
    assert (added.status, added["location"]) == (303, "/users/dora?done=added")
    page = house.ask(added["location"], cookie=cookie).text
    assert "The user is made, and can log in." in page
    assert "Operator, can log in, without a second factor; 0 sessions open." in page
    assert house.ask("/api/calls", cookie=house.log_in("dora", NEW)).status == 200
    [entry] = told(house)
    assert (entry["what"], entry["who"], entry["user"], entry["to"]) == ("user-added", "alice", "dora", "operator")
    assert NEW not in str(entry)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("again", "x", "The passwords are not the same."),
        ("name", "Dora!", "name has small letters"),
        ("name", "bob", "There is a user bob already."),
        ("role", "king", "role: found king"),
        ("password", "short", "12 characters"),
    ],
)
def test_a_mistake_leads_back_to_the_form_with_all_but_the_passwords(
    house: AdminHouse, field: str, value: str, problem: str
) -> None:
    asked = {"name": "dora", "role": "operator", "password": NEW, "again": NEW} | {field: value}
    asked |= {"again": value} if field == "password" else {}
    refused = house.form("/users", asked, cookie=admin(house))
    assert refused.status in (400, 409)
    assert problem in refused.text
    assert f'value="{asked["name"]}"' in refused.text
    assert NEW not in refused.text
    assert told(house) == []


def test_each_change_of_a_user_is_made_told_and_in_the_audit(house: AdminHouse) -> None:
    cookie, bob = admin(house), house.log_in("bob", PASSWORD)
    changed = house.form("/users/bob/role", {"role": "operator"}, cookie=cookie)
    assert "It counts from the next request on." in house.ask(changed["location"], cookie=cookie).text
    assert house.register.user("bob") == user("bob", Role.OPERATOR)
    house.form("/users/bob/end-sessions", {}, cookie=cookie)
    assert house.ask("/api/calls", cookie=bob).status == 401
    again = house.log_in("bob", PASSWORD)
    disabled = house.form("/users/bob/disable", {}, cookie=cookie)
    assert "Operator, cannot log in" in house.ask(disabled["location"], cookie=cookie).text
    assert house.ask("/api/calls", cookie=again).status == 401
    house.form("/users/bob/enable", {}, cookie=cookie)
    assert house.ask("/api/calls", cookie=house.log_in("bob", PASSWORD)).status == 200
    house.form("/users/carol/second-factor", {}, cookie=cookie)
    assert house.ask("/api/calls", cookie=house.log_in("carol", PASSWORD)).status == 200
    assert [(one["what"], one["user"], one["who"]) for one in told(house)] == [
        ("user-role", "bob", "alice"),
        ("sessions-ended", "bob", "alice"),
        ("user-disabled", "bob", "alice"),
        ("user-enabled", "bob", "alice"),
        ("user-second-factor", "carol", "alice"),
    ]


def test_the_last_administrator_stays_one(house: AdminHouse) -> None:
    cookie = admin(house)
    for path, form in (("role", {"role": "viewer"}), ("disable", {})):
        refused = house.form(f"/users/alice/{path}", form, cookie=cookie)
        assert (refused.status, "last administrator" in refused.text) == (409, True)
    assert "This is your own user." in house.ask("/users/alice", cookie=cookie).text


def test_a_change_that_cannot_be_written_is_none(house: AdminHouse) -> None:
    cookie = admin(house)
    house.file.error = DISK_FULL
    assert house.form("/users/bob/role", {"role": "admin"}, cookie=cookie).status == 409
    assert house.register.user("bob") == user("bob", Role.VIEWER)
    assert told(house) == []


@pytest.mark.parametrize("name", ["bob", "carol"])
@pytest.mark.parametrize("path", ["", "/carol/role", "/carol/disable", "/carol/second-factor", "/carol/end-sessions"])
def test_nobody_but_an_administrator_changes_users(house: AdminHouse, name: str, path: str) -> None:
    cookie = "__Host-session=" + house.sessions.begin(name, "127.0.0.1", house.now())
    asked = {"name": "eve", "role": "admin", "password": NEW, "again": NEW}
    assert house.form(f"/users{path}", asked, cookie=cookie).status == 403
    assert house.form(f"/users{path}", asked).status in (303, 401)
    assert [one.name for one in house.register.users()] == ["alice", "bob", "carol"]


@pytest.mark.parametrize("path", ["", "/bob/role", "/bob/disable", "/carol/second-factor", "/bob/end-sessions"])
def test_a_form_from_elsewhere_changes_nothing(house: AdminHouse, path: str) -> None:
    cookie, before = admin(house), house.register.users()
    body = f"name=eve&role=admin&password={NEW}&again={NEW}".replace(" ", "+")
    head = f"POST /users{path} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://evil.example\r\nCookie: {cookie}\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    assert house.raw((head + body).encode()).startswith(b"HTTP/1.1 403")
    assert house.register.users() == before
    assert told(house) == []


def test_a_name_of_nobody_is_a_page_that_leads_back(house: AdminHouse) -> None:
    cookie = admin(house)
    assert house.ask("/users/eve", cookie=cookie).status == 404
    assert house.form("/users/eve/role", {"role": "admin"}, cookie=cookie).status == 404
