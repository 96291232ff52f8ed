"""The door: the socket, the time before users, tokens, sessions, and ways that prove nothing."""

from __future__ import annotations

import os
from ipaddress import ip_network
from typing import Any

import attrs
import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.web.http_headers import Headers

from gateway.admin.accounts import door as door_module
from gateway.admin.accounts.door import METRICS, RELOAD, SECOND_FACTOR, STREAM, Door
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.users import Register
from gateway.admin.hardening import Elsewhere, NotLoggedIn, NotPermitted, Rejected
from gateway.admin.inspection import Role
from gateway.admin.permission import LocalUser, Operators
from tests.admin.accounts.support import DISK_FULL, MemoryFile, done, register_of, user

OPERATOR, STRANGER = 4711, 4712


@attrs.define
class Request:
    """The part of a request that a door looks at."""

    source: str = "192.0.2.1"
    secure: bool = True
    method: bytes = b"GET"
    cookies: tuple[str, ...] = ()
    token: str | None = None

    @property
    def requestHeaders(self) -> Headers:
        return Headers({b"cookie": [cookie.encode() for cookie in self.cookies]})

    def getHeader(self, name: bytes) -> bytes | None:
        return f"Bearer {self.token}".encode() if name == b"authorization" and self.token is not None else None

    def getClientAddress(self) -> Any:
        return UNIXAddress(None) if self.source == "socket" else IPv4Address("TCP", self.source, 1)

    def isSecure(self) -> bool:
        return self.secure


def door_of(register: Register, *monitors: str, sessions: UserSessions | None = None) -> Door:
    networks = tuple(map(ip_network, monitors))
    return Door(register, sessions or UserSessions(12, 30), Operators(frozenset({OPERATOR})), networks, lambda: 100.0)


def ask(door: Door, request: Request, role: Role = Role.VIEWER, path: str = "/api/calls") -> Any:
    return door.admit(request, role, path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "role"),
    [(0, Role.ADMIN), (os.geteuid(), Role.ADMIN), (OPERATOR, Role.OPERATOR), (STRANGER, None), (None, None)],
)
@pytest.mark.parametrize("users", [0, 1])
def test_the_socket_is_for_root_the_gateways_user_and_operators(
    monkeypatch: pytest.MonkeyPatch, number: int | None, role: Role | None, users: int
) -> None:
    monkeypatch.setattr(door_module, "user_of_socket", lambda _: number)
    door = door_of(register_of(*[user()][:users]))
    if role is None:
        with pytest.raises(NotPermitted):
            ask(door, Request("socket"))
        return
    assert ask(door, Request("socket")).role is role
    if role is Role.OPERATOR:
        with pytest.raises(NotPermitted, match="takes the role admin"):
            ask(door, Request("socket"), Role.ADMIN)


def test_before_the_first_user_loopback_reads_and_others_get_nothing() -> None:
    door = door_of(register_of())
    for source in ("127.0.0.1", "127.9.9.9"):
        assert ask(door, Request(source, secure=False)).role is Role.VIEWER
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        with pytest.raises(Rejected, match="no user yet"):
            ask(door, Request("192.0.2.1"), role)
    assert ask(door, Request("192.0.2.1", secure=False), Role.NOBODY, "/healthz").role is Role.NOBODY


def test_before_the_first_user_operators_change_what_they_could(monkeypatch: pytest.MonkeyPatch) -> None:
    door, asked = door_of(register_of()), list[object]()

    def asking(self: object, request: object) -> LocalUser:
        asked.append(request)
        return LocalUser("olaf (uid 4711)", Role.OPERATOR)

    monkeypatch.setattr(Operators, "asking", asking)
    post = Request("127.0.0.1", secure=False, method=b"POST")
    assert ask(door, post, Role.OPERATOR).name == "olaf (uid 4711)"
    for path in RELOAD:
        assert ask(door, post, Role.ADMIN, path).role is Role.ADMIN
    for path in ("/api/v1/users", "/api/v1/tokens"):
        with pytest.raises(NotPermitted):
            ask(door, post, Role.ADMIN, path)
        with pytest.raises(NotPermitted):
            ask(door, Request("127.0.0.1", secure=False), Role.ADMIN, path)
    assert len(asked) == 1 + len(RELOAD) + 4, "the kernel is asked for each of these"


@pytest.mark.parametrize("source", ["127.0.0.1", "192.0.2.1"])
def test_with_a_user_nothing_is_answered_without_a_proof(source: str) -> None:
    door = door_of(register_of(user()))
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        with pytest.raises(NotLoggedIn):
            ask(door, Request(source), role)
    assert ask(door, Request(source), Role.NOBODY, "/healthz").role is Role.NOBODY


def test_of_a_damaged_file_nobody_is_let_in_but_over_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    file = MemoryFile(user())
    file.error = DISK_FULL
    register = Register(file)
    done(register.read())
    door = door_of(register)
    for request in (Request("127.0.0.1", secure=False), Request(token="gwt_x"), Request(cookies=("__Host-session=x",))):
        with pytest.raises(NotLoggedIn):
            ask(door, request)
    monkeypatch.setattr(door_module, "user_of_socket", lambda _: 0)
    assert ask(door, Request("socket"), Role.ADMIN).role is Role.ADMIN


@pytest.mark.parametrize(("role", "may"), [(Role.VIEWER, (True, False, False)), (Role.ADMIN, (True, True, True))])
def test_a_token_has_its_role_and_no_more(role: Role, may: tuple[bool, ...]) -> None:
    register = register_of(user())
    shown = done(register.add_token("ci", role, "alice", 0.0, 90))
    door = door_of(register)
    for wanted, is_allowed in zip((Role.VIEWER, Role.OPERATOR, Role.ADMIN), may, strict=True):
        if is_allowed:
            assert ask(door, Request(token=shown), wanted).name == "token ci"
        else:
            with pytest.raises(NotPermitted, match="token ci is"):
                ask(door, Request(token=shown), wanted)


@pytest.mark.parametrize("token", ["", "gwt_" + "x" * 40, "x" * 10_000, "gwt_\x00"])
def test_a_wrong_token_is_refused_even_beside_a_good_cookie(token: str) -> None:
    sessions = UserSessions(12, 30)
    cookie = f"__Host-session={sessions.begin('alice', '', 100.0)}"
    door = door_of(register_of(user()), sessions=sessions)
    assert ask(door, Request(cookies=(cookie,))).user == "alice"
    with pytest.raises(NotLoggedIn, match="token"):
        ask(door, Request(cookies=(cookie,), token=token))


def test_a_token_or_cookie_in_clear_from_another_machine_is_not_looked_at() -> None:
    register, sessions = register_of(user()), UserSessions(12, 30)
    shown = done(register.add_token("ci", Role.ADMIN, "alice", 0.0, 90))
    cookie = f"__Host-session={sessions.begin('alice', '', 100.0)}"
    door = door_of(register, sessions=sessions)
    for request in (Request(token=shown, secure=False), Request(cookies=(cookie,), secure=False)):
        with pytest.raises(Rejected, match="HTTPS"):
            ask(door, request)
        assert ask(door, attrs.evolve(request, source="127.0.0.1")).role is Role.ADMIN


def test_a_cookie_counts_by_its_whole_name_and_once() -> None:
    sessions = UserSessions(12, 30)
    good = sessions.begin("alice", "", 100.0)
    door = door_of(register_of(user()), sessions=sessions)
    for right in (
        f"__Host-session={good}; other=1",
        f"theme=dark;__Host-session={good}",
        f"x=__Host-session={good}; __Host-session={good}",
    ):
        assert ask(door, Request(cookies=(right,))).user == "alice"
    wrong: tuple[tuple[str, ...], ...] = (
        (f"session={good}",),
        (f"__host-session={good}",),
        (f"__Host-session={good}; __Host-session=planted",),
        (f"__Host-session={good}", "__Host-session=planted"),
        (f"__Host-session={good}x",),
        (f"__Host-session={good}" + "x" * 1_000_000,),
        ("__Host-session=",),
        ("__Host-session",),
    )
    for cookies in wrong:
        with pytest.raises(NotLoggedIn):
            ask(door, Request(cookies=cookies))


def test_a_change_of_role_and_an_end_count_at_the_next_request() -> None:
    register, sessions = register_of(user(), user("bob")), UserSessions(12, 30)
    request = Request(cookies=(f"__Host-session={sessions.begin('bob', '', 100.0)}",))
    door = door_of(register, sessions=sessions)
    assert ask(door, request, Role.ADMIN).role is Role.ADMIN
    done(register.change_user("bob", lambda found: attrs.evolve(found, role=Role.VIEWER)))
    with pytest.raises(NotPermitted):
        ask(door, request, Role.ADMIN)
    assert ask(door, request).role is Role.VIEWER
    done(register.change_user("bob", lambda found: attrs.evolve(found, is_enabled=False)))
    with pytest.raises(NotLoggedIn):
        ask(door, request)


def test_a_limited_session_sets_up_its_second_factor_and_nothing_else() -> None:
    sessions = UserSessions(12, 30)
    request = Request(cookies=(f"__Host-session={sessions.begin('alice', '', 100.0, is_limited=True)}",))
    door = door_of(register_of(user()), sessions=sessions)
    assert ask(door, request, path=SECOND_FACTOR).user == "alice"
    assert ask(door, request, path="/logout").user == "alice"
    for path in ("/", "/api/calls", METRICS):
        with pytest.raises(Elsewhere, match="second factor"):
            ask(door, request, path=path)


def test_an_open_stream_does_not_keep_a_session_from_being_idle() -> None:
    sessions, now = UserSessions(12, 30), [100.0]
    request = Request(cookies=(f"__Host-session={sessions.begin('alice', '', 100.0)}",))
    door = attrs.evolve(door_of(register_of(user()), sessions=sessions), now=lambda: now[0])
    for _ in range(3):
        now[0] += 599
        assert ask(door, request, path=STREAM).user == "alice"
    now[0] += 599
    with pytest.raises(NotLoggedIn):
        ask(door, request, path=STREAM)


def test_metrics_are_for_the_addresses_that_are_named_for_them() -> None:
    door = door_of(register_of(user()), "192.0.2.0/28", "2001:db8::/64")
    for source in ("192.0.2.1", "192.0.2.15", "::ffff:192.0.2.3"):
        assert ask(door, Request(source, secure=False), path=METRICS).role is Role.NOBODY
    with pytest.raises(Rejected):
        ask(door, Request("192.0.2.16", secure=False), path=METRICS)
    with pytest.raises(Rejected):
        ask(door, Request("192.0.2.1", secure=False), path="/api/calls")
    with pytest.raises(NotLoggedIn):
        ask(door_of(register_of(user())), Request("127.0.0.1", secure=False), path=METRICS)
