"""Log-in, log-out and a user's own account, as a browser sees them: byte by byte, over HTTPS."""

from __future__ import annotations

import json
import re
from base64 import b32decode
from pathlib import Path
from typing import Any

import attrs
import pytest

from gateway.admin.accounts.hashing import AT_ONCE, WAITING
from gateway.admin.accounts.log_in import TRIES
from gateway.admin.accounts.log_in_pages import NOTES
from gateway.admin.accounts.second_factor import code_at, kept_of
from gateway.admin.inspection import Role
from gateway.observe.observations import Kind, Observation
from tests.admin.accounts.support import DISK_FULL, PASSWORD, SECRET, done, user
from tests.support.admin_house import FAR, HOST, NEAR, AdminHouse

NEW = "another horse battery"


@pytest.fixture
def house(tmp_path: Path) -> AdminHouse:
    return AdminHouse(tmp_path, user(), user("bob", Role.VIEWER), user("carol", second_factor=SECRET))


def code(house: AdminHouse, steps: int = 0) -> str:
    return code_at(SECRET, int(house.time) // 30 + steps)


def test_a_page_leads_to_the_log_in_and_the_log_in_back_to_it(house: AdminHouse) -> None:
    led = house.ask("/calls/a%20b?x=1", accept="text/html")
    assert (led.status, led["location"]) == (303, "/login?next=%2Fcalls%2Fa%2520b%3Fx%3D1")
    form = house.ask(led["location"])
    assert form.status == 200
    assert 'name="next" value="/calls/a%20b?x=1"' in form.text
    proved = house.form("/login", {"name": "alice", "password": PASSWORD, "next": "/calls/a%20b?x=1"})
    assert (proved.status, proved["location"]) == (303, "/calls/a%20b?x=1")
    value, _, marks = proved.cookies["__Host-session"].partition("; ")
    assert len(value) == 43
    assert marks == "Path=/; Secure; HttpOnly; SameSite=Strict"
    assert house.ask("/api/calls", cookie=f"theme=dark; __Host-session={value}").status == 200


def test_pages_of_accounts_look_as_their_reader_chose(house: AdminHouse) -> None:
    cookie = house.log_in("alice", PASSWORD)
    for path in ("/login", "/account", "/account/second-factor"):
        dark = house.ask(path, cookie=f"{cookie}; theme=dark; times=local; zone=Asia/Tokyo").text
        assert '<html lang="en" data-theme="dark">' in dark, path
        assert '<html lang="en">' in house.ask(path, cookie=f"{cookie}; theme=<b>").text, path
        assert ("07:13:20 JST" in dark) is (path == "/account")
    assert "2023-11-14 22:13:20 UTC" in house.ask("/account", cookie=cookie).text


def test_programs_are_not_led_to_a_page(house: AdminHouse) -> None:
    refused = house.ask("/api/calls")
    assert (refused.status, refused["www-authenticate"]) == (401, "Bearer")
    assert "error" in refused.json


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example/x",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "",
        "x",
        "/\t/evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/login",
        "/logout",
        "/api/calls",
        "/" + "x" * 3_000,
        '"><script>alert(1)</script>',
    ],
)
def test_a_log_in_leads_nowhere_else(house: AdminHouse, elsewhere: str) -> None:
    proved = house.form("/login", {"name": "alice", "password": PASSWORD, "next": elsewhere})
    assert proved["location"] == "/"
    wrong = house.form("/login", {"name": "alice", "password": "wrong", "next": elsewhere})
    assert 'name="next" value="/"' in wrong.text
    assert "<script" not in wrong.text


def test_unknown_names_and_wrong_passwords_get_the_same_answer(house: AdminHouse) -> None:
    answers = {
        (reply.status, tuple(field for field in reply.fields if field[0] != "date"), reply.text)
        for reply in (house.form("/login", {"name": name, "password": "wrong"}) for name in ("alice", "nobody"))
    }
    assert len(answers) == 1
    assert house.hashed == 2


def test_a_session_that_was_planted_is_not_the_one_that_logs_in(house: AdminHouse) -> None:
    planted = "__Host-session=" + "A" * 43
    proved = house.form("/login", {"name": "alice", "password": PASSWORD}, cookie=planted)
    assert proved.cookies["__Host-session"].split(";")[0] != "A" * 43
    assert house.ask("/api/calls", cookie=planted).status == 401


def test_logging_in_again_ends_the_session_before(house: AdminHouse) -> None:
    before = house.log_in("alice", PASSWORD)
    after = house.log_in("alice", PASSWORD, cookie=before)
    assert house.ask("/api/calls", cookie=before).status == 401
    assert house.ask("/api/calls", cookie=after).status == 200


def test_a_log_out_ends_the_session_and_the_cookie(house: AdminHouse) -> None:
    cookie = house.log_in("alice", PASSWORD)
    over = house.form("/logout", {}, cookie=cookie)
    assert (over.status, over["location"]) == (303, "/login")
    assert "Max-Age=0" in over.cookies["__Host-session"]
    assert house.ask("/api/calls", cookie=cookie).status == 401


def test_a_log_in_from_a_page_elsewhere_is_none(house: AdminHouse) -> None:
    wanted = {"name": "alice", "password": PASSWORD}
    assert house.form("/login", wanted, "http://evil.localhost").status == 403
    assert house.form("/login", wanted, None).status == 403
    assert house.sessions.count(house.time) == 0


def test_a_password_in_clear_from_another_machine_is_not_looked_at(house: AdminHouse) -> None:
    wanted = {"name": "alice", "password": PASSWORD}
    assert house.form("/login", wanted, f"http://{HOST}", is_secure=False).status == 403
    assert house.ask("/login", is_secure=False).status == 403
    assert house.hashed == 0
    assert house.form("/login", wanted, f"http://{HOST}", is_secure=False, source=NEAR).status == 303


def test_the_second_factor_is_a_step_with_a_cookie_of_its_own(house: AdminHouse) -> None:
    step = house.form("/login", {"name": "carol", "password": PASSWORD, "next": "/account"})
    assert (step.status, step["location"]) == (303, "/login/code?next=%2Faccount")
    assert [*step.cookies] == ["__Host-login"]
    cookie = f"__Host-login={step.cookies['__Host-login'].split(';')[0]}"
    assert house.ask("/api/calls", cookie=cookie.replace("login", "session")).status == 401
    assert house.ask("/login/code?next=%2Faccount", cookie=cookie).status == 200
    assert house.form("/login/code", {"code": "000000"}, cookie=cookie).status == 401
    proved = house.form("/login/code", {"code": code(house), "next": "/account"}, cookie=cookie)
    assert (proved.status, proved["location"]) == (303, "/account")
    assert "Max-Age=0" in proved.cookies["__Host-login"]
    assert (
        house.ask("/account", cookie=f"__Host-session={proved.cookies['__Host-session'].split(';')[0]}").status == 200
    )
    assert house.form("/login/code", {"code": code(house, 1)}, cookie=cookie).status == 401, "the step is over"


def test_the_code_without_the_password_is_nothing(house: AdminHouse) -> None:
    assert house.ask("/login/code")["location"] == "/login"
    assert house.form("/login/code", {"code": code(house)}).status == 401


def test_a_change_of_the_password_ends_the_other_sessions_and_rotates_this_one(house: AdminHouse) -> None:
    here, there, of_bob = (house.log_in(name, PASSWORD) for name in ("alice", "alice", "bob"))
    wanted = {"current": PASSWORD, "new": NEW, "again": NEW}
    assert house.form("/account/password", {**wanted, "current": "wrong"}, cookie=here).status == 401
    assert house.form("/account/password", {**wanted, "again": "x"}, cookie=here).status == 400
    for weak in ("short", "qwerty123456", "alice-alice-alice"):
        reply = house.form("/account/password", {**wanted, "new": weak, "again": weak}, cookie=here)
        assert reply.status == 400, weak
    assert house.ask("/account", cookie=there).status == 200, "nothing is changed so far"
    changed = house.form("/account/password", wanted, cookie=here)
    assert changed.status == 200
    assert [house.ask("/account", cookie=cookie).status for cookie in (here, there, of_bob)] == [401, 401, 200]
    now = f"__Host-session={changed.cookies['__Host-session'].split(';')[0]}"
    assert house.ask("/account", cookie=now).status == 200
    assert house.form("/login", {"name": "alice", "password": PASSWORD}).status == 401
    house.log_in("alice", NEW)


def test_an_administrators_change_of_a_password_ends_all_sessions(house: AdminHouse) -> None:
    bob = house.log_in("bob", PASSWORD)
    bearer: dict[str, Any] = {"authorization": f"Bearer {house.token(Role.ADMIN)}"}
    assert house.post("/api/v1/users/bob/password", {"password": NEW}, **bearer).status == 200
    assert house.ask("/account", cookie=bob).status == 401
    house.log_in("bob", NEW)


def test_a_second_factor_is_set_up_used_and_removed(house: AdminHouse) -> None:
    cookie = house.log_in("alice", PASSWORD)
    offered = house.ask("/account/second-factor", cookie=cookie)
    key = re.search(r"<code class=\"mono\">([A-Z2-7]{32})</code>", offered.text)
    assert key is not None
    assert f"otpauth://totp/gw:alice?secret={key[1]}&amp;issuer=gw" in offered.text
    secret = b32decode(key[1])
    wrong = house.form("/account/second-factor", {"code": "000000"}, cookie=cookie)
    assert wrong.status == 400
    assert key[1] in wrong.text, "the same key is offered"
    done = house.form("/account/second-factor", {"code": code_at(secret, int(house.time) // 30)}, cookie=cookie)
    recovery = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", done.text)
    assert len(recovery) == 8
    assert house.ask("/account", cookie=cookie).status == 401, "the id is another now"
    step = house.form("/login", {"name": "alice", "password": PASSWORD})
    assert step["location"].startswith("/login/code")
    stepped = f"__Host-login={step.cookies['__Host-login'].split(';')[0]}"
    proved = house.form("/login/code", {"code": recovery[0]}, cookie=stepped)
    assert proved.status == 303
    now = f"__Host-session={proved.cookies['__Host-session'].split(';')[0]}"
    assert "7 recovery codes" in house.ask("/account", cookie=now).text
    assert house.form("/account/second-factor/remove", {"current": "wrong"}, cookie=now).status == 401
    removed = house.form("/account/second-factor/remove", {"current": PASSWORD}, cookie=now)
    assert removed.status == 200
    house.log_in("alice", PASSWORD)


def test_a_role_that_needs_a_second_factor_is_led_to_it_and_cannot_remove_it(tmp_path: Path) -> None:
    house = AdminHouse(tmp_path, user(), user("carol", second_factor=SECRET), needs_second=frozenset({Role.ADMIN}))
    cookie = house.log_in("alice", PASSWORD)
    led = house.ask("/", accept="text/html", cookie=cookie)
    assert led["location"] == "/account/second-factor?next=%2F"
    assert house.ask("/api/v1/users", cookie=cookie).status == 403
    assert house.post("/api/v1/users/alice/second-factor", {"to": "none"}, cookie=cookie).status == 403
    assert house.ask("/account/second-factor", cookie=cookie).status == 200
    step = house.form("/login", {"name": "carol", "password": PASSWORD})
    stepped = f"__Host-login={step.cookies['__Host-login'].split(';')[0]}"
    proved = house.form("/login/code", {"code": code(house)}, cookie=stepped)
    carol = f"__Host-session={proved.cookies['__Host-session'].split(';')[0]}"
    assert house.form("/account/second-factor/remove", {"current": PASSWORD}, cookie=carol).status == 403


def test_a_role_that_needs_a_second_factor_needs_it_of_a_session_that_is_open_already(tmp_path: Path) -> None:
    house = AdminHouse(tmp_path, user(), user("bob", Role.VIEWER), needs_second=frozenset({Role.ADMIN}))
    cookie = house.log_in("bob", PASSWORD)
    assert house.ask("/api/calls", cookie=cookie).status == 200
    done(house.register.change_user("bob", lambda found: attrs.evolve(found, role=Role.ADMIN)))
    assert house.ask("/api/v1/users", cookie=cookie).status == 403
    assert house.ask("/account/second-factor", cookie=cookie).status == 200


def test_a_user_that_is_enabled_again_logs_in_again(house: AdminHouse) -> None:
    admin, before = house.log_in("alice", PASSWORD), house.sessions.begin("bob", FAR, house.time)
    house.post("/api/v1/users/bob/disable", {}, cookie=admin)
    during = house.sessions.begin("bob", FAR, house.time)  # by a request that was under way
    house.post("/api/v1/users/bob/enable", {}, cookie=admin)
    for identifier in (before, during):
        assert house.ask("/", cookie=f"__Host-session={identifier}").status == 401


def test_tokens_and_users_of_the_machine_have_no_account(house: AdminHouse) -> None:
    bearer: dict[str, Any] = {"authorization": f"Bearer {house.token(Role.ADMIN)}"}
    for path in ("/account", "/account/second-factor"):
        assert house.ask(path, **bearer).status == 403
    for path in ("password", "second-factor", "second-factor/remove", "end-sessions"):
        assert house.form(f"/account/{path}", {"current": PASSWORD}, **bearer).status == 403


def test_the_others_are_ended_and_this_one_rotates(house: AdminHouse) -> None:
    here, there = house.log_in("alice", PASSWORD), house.log_in("alice", PASSWORD)
    ended = house.form("/account/end-sessions", {}, cookie=here)
    now = f"__Host-session={ended.cookies['__Host-session'].split(';')[0]}"
    assert [house.ask("/account", cookie=cookie).status for cookie in (here, there, now)] == [401, 401, 200]


def test_wrong_log_ins_are_limited_counted_and_told_without_what_was_typed(house: AdminHouse, tmp_path: Path) -> None:
    typed = "my password in the wrong field"
    observed: list[Observation] = []
    house.metrics.observations.read(observed.append)
    for _ in range(TRIES.burst):
        assert house.form("/login", {"name": typed, "password": "wrong-secret"}).status == 401
    limited = house.form("/login", {"name": "alice", "password": PASSWORD})
    assert (limited.status, limited["retry-after"]) == (429, "60")
    assert house.metrics.value("gateway_admin_logins_total", {"result": "wrong_password"}) == TRIES.burst
    assert house.metrics.value("gateway_admin_logins_total", {"result": "limited"}) == 1
    audit = (tmp_path / "audit.jsonl").read_text()
    told = [event for _, event in house.metrics.events.after(0)]
    assert [event.name for event in told] == ["security.log_in_refused"] * (TRIES.burst + 1)
    assert [event.fields["result"] for event in told][-2:] == ["wrong_password", "limited"]
    assert typed not in repr(told)
    assert [(one.kind, one.is_proved) for one in observed] == [(Kind.ADMIN_LOGIN, True)] * (TRIES.burst + 1)
    assert typed not in repr(observed)
    assert audit.count('"log-in-refused"') == TRIES.burst + 1
    assert typed not in audit
    assert "wrong-secret" not in audit
    for number in range(1000):
        house.form("/login", {"name": "alice", "password": "wrong"}, source=f"198.51.{number // 250}.{number % 250}")
    assert (tmp_path / "audit.jsonl").read_text().count("log-in-refused") == NOTES.burst, "no flood fills the disk"
    assert house.hashed <= TRIES.burst * 2


def test_too_many_passwords_at_once_are_told_to_come_again(house: AdminHouse) -> None:
    house.is_slow = True
    body = f"name=alice&password={PASSWORD}".encode()
    form = f"origin: https://{HOST}\r\ncontent-type: application/x-www-form-urlencoded"
    request = f"POST /login HTTP/1.1\r\nhost: {HOST}\r\n{form}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    answers = [house.raw(request, f"192.0.2.{number}") for number in range(20)]
    assert [answer[9:12] for answer in answers].count(b"429") == 20 - AT_ONCE - WAITING
    assert len(house.running) == AT_ONCE


@pytest.mark.parametrize(
    "body", [b"", b"name=alice", b"%ff=%ff&name=%00", b"&&&&", b"name=\xff", b"=" * 4096, b"a=1&" * 1_000]
)
def test_forms_of_nonsense_are_refused_and_break_nothing(house: AdminHouse, body: bytes) -> None:
    fields: dict[str, Any] = {"content_type": "application/x-www-form-urlencoded", "origin": f"https://{HOST}"}
    assert house.ask("/login", "POST", body, **fields).status in (400, 401)


def test_long_heads_and_bodies_are_cut_off(house: AdminHouse) -> None:
    long = house.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-session=" + b"x" * 1_048_576 + b"\r\n\r\n")
    assert long[9:12] in (b"400", b"")
    fields: dict[str, Any] = {"content_type": "application/x-www-form-urlencoded", "origin": f"https://{HOST}"}
    assert house.ask("/login", "POST", b"x" * 5_000, **fields).status == 413


def test_every_answer_over_https_has_each_header(house: AdminHouse) -> None:
    cookie = house.log_in("alice", PASSWORD)
    for reply in (
        house.ask("/login"),
        house.ask("/account", cookie=cookie),
        house.ask("/api/calls"),
        house.ask("/nothing"),
        house.form("/login", {"name": "alice", "password": "wrong"}),
    ):
        assert reply["strict-transport-security"] == "max-age=31536000"
        assert reply["cache-control"] == "no-store"
        assert reply["x-frame-options"] == "DENY"
        assert reply["x-content-type-options"] == "nosniff"
        assert reply["referrer-policy"] == "same-origin"
        assert reply["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in reply["content-security-policy"]
        assert "form-action 'self'" in reply["content-security-policy"]
        assert "access-control-allow-origin" not in dict(reply.fields)
    assert house.ask("/login", is_secure=False, source=NEAR)["strict-transport-security"] == ""


def test_changes_over_the_api_are_made_told_and_without_secrets(house: AdminHouse, tmp_path: Path) -> None:
    bearer: dict[str, Any] = {"authorization": f"Bearer {house.token(Role.ADMIN, 'ci')}"}

    def change(path: str, asked: object, status: int = 200) -> object:
        reply = house.post(path, asked, **bearer)
        assert reply.status == status, (path, reply.text)
        return reply.json

    change("/api/v1/users", {"name": "dave", "role": "operator", "password": NEW})
    change("/api/v1/users", {"name": "dave", "role": "operator", "password": NEW}, 409)
    change("/api/v1/users", {"name": "eve", "role": "root", "password": NEW}, 400)
    change("/api/v1/users", {"name": "eve", "role": "viewer", "password": "short"}, 400)
    change("/api/v1/users/dave/role", {"role": "viewer"})
    dave = house.log_in("dave", NEW)
    told = change("/api/v1/users/dave/second-factor", {"to": "set"})
    assert isinstance(told, dict)
    assert len(told["recovery_codes"]) == 8
    assert house.ask("/account", cookie=dave).status == 401
    change("/api/v1/users/dave/second-factor", {"to": "none"})
    house.log_in("dave", NEW)
    change("/api/v1/users/dave/end-sessions", {})
    change("/api/v1/users/dave/disable", {})
    assert house.form("/login", {"name": "dave", "password": NEW}).status == 401
    change("/api/v1/users/dave/enable", {})
    change("/api/v1/users/nobody/disable", {}, 404)
    shown = change("/api/v1/tokens", {"name": "prometheus", "role": "viewer", "days": 1})
    assert isinstance(shown, dict)
    for days in (0, 91, -1, 1.5, True, "x"):
        change("/api/v1/tokens", {"name": "long", "role": "viewer", "days": days}, 400)
    assert house.ask("/metrics", authorization=f"Bearer {shown['token']}").status == 200
    house.time += 86_400
    assert house.ask("/metrics", authorization=f"Bearer {shown['token']}").status == 401, "it has expired"
    change("/api/v1/tokens/prometheus/revoke", {})
    change("/api/v1/tokens/prometheus/revoke", {}, 404)
    said = "".join(house.ask(path, **bearer).text for path in ("/api/v1/users", "/api/v1/tokens", "/api/v1/sessions"))
    audit = (tmp_path / "audit.jsonl").read_text()
    for secret in (NEW, PASSWORD, "scrypt", shown["token"], told["secret"], *told["recovery_codes"], kept_of("x")[:8]):
        assert secret not in said + audit
    entries = [json.loads(line) for line in audit.splitlines()]
    assert {entry["who"] for entry in entries} == {"token ci", "dave"}
    assert {entry["source"] for entry in entries} == {FAR}
    role = next(entry for entry in entries if entry["what"] == "user-role")
    assert (role["user"], role["from"], role["to"]) == ("dave", "operator", "viewer")
    assert house.ask("/api/v1/audit/verify", **bearer).json["faults"] == []
    assert entries[-1]["what"] == "token-revoked"


def test_one_session_is_ended_by_its_name(house: AdminHouse) -> None:
    cookie = house.log_in("bob", PASSWORD)
    bearer: dict[str, Any] = {"authorization": f"Bearer {house.token(Role.ADMIN)}"}
    (session,) = house.ask("/api/v1/sessions", **bearer).json
    assert (session["user"], session["source"]) == ("bob", FAR)
    assert cookie.partition("=")[2] not in json.dumps(session)
    assert house.post(f"/api/v1/sessions/{session['name']}/end", {}, **bearer).status == 200
    assert house.ask("/account", cookie=cookie).status == 401
    assert house.post(f"/api/v1/sessions/{session['name']}/end", {}, **bearer).status == 404


def test_a_full_disk_changes_nothing_and_lets_users_in(house: AdminHouse) -> None:
    bearer: dict[str, Any] = {"authorization": f"Bearer {house.token(Role.ADMIN)}"}
    house.file.error = DISK_FULL
    reply = house.post("/api/v1/users/bob/disable", {}, **bearer)
    assert reply.status == 409
    assert "disk is full" in reply.text
    house.log_in("bob", PASSWORD)


def test_the_log_in_before_the_first_user_says_how_to_make_one(tmp_path: Path) -> None:
    house = AdminHouse(tmp_path)
    page = house.ask("/login", source=NEAR, is_secure=False)
    assert "gatewayctl users add" in page.text
    assert "<form" not in page.text


def test_requests_are_counted_by_their_routes(house: AdminHouse) -> None:
    house.ask("/api/calls/some-secret-number")
    house.ask("/nothing/of/ours")
    value = house.metrics.value
    assert value("gateway_admin_requests_total", {"route": "/api/calls/{call_id:path}", "status_class": "4xx"}) == 1
    assert value("gateway_admin_requests_total", {"route": "none", "status_class": "4xx"}) == 1
    assert "some-secret-number" not in house.metrics.exposition().decode()


def test_a_user_whose_name_or_place_is_hostile_is_escaped(house: AdminHouse) -> None:
    hostile = attrs.evolve(user(), name="<b>")
    house.register._users["<b>"] = hostile
    cookie = f"__Host-session={house.sessions.begin('<b>', '<i>', house.time)}"
    page = house.ask("/account", cookie=cookie).text
    assert "<b>" not in page
    assert "<i>" not in page
