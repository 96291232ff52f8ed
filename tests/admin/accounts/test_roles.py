"""Each role and each route: the whole table. A route that is added has to be added here, with its role."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.web.iweb import IRequest

from gateway.admin.inspection import Role
from gateway.admin.routes import HttpRoute
from gateway.app.gateway import Gateway
from gateway.config.load import load
from gateway.observe.log import LogOutput
from tests.admin.accounts.support import user
from tests.support.admin_house import FAR, HOST, NEAR, AdminHouse

NOBODY, VIEWER, OPERATOR, ADMIN = Role.NOBODY, Role.VIEWER, Role.OPERATOR, Role.ADMIN

HEALTH: Final = ("/healthz", "/readyz", "/may-hold")

ROLES: Final = {
    "GET /healthz": NOBODY,
    "GET /readyz": NOBODY,
    "GET /login": NOBODY,
    "POST /login": NOBODY,
    "GET /login/code": NOBODY,
    "POST /login/code": NOBODY,
    "POST /logout": VIEWER,
    "GET /account": VIEWER,
    "GET /account/second-factor": VIEWER,
    "POST /account/second-factor": VIEWER,
    "POST /account/second-factor/remove": VIEWER,
    "POST /account/password": VIEWER,
    "POST /account/end-sessions": VIEWER,
    "GET /static/{mark}/{name}": NOBODY,
    "GET /preferences": NOBODY,
    "GET /": VIEWER,
    "GET /calls": VIEWER,
    "GET /calls/{call_id:path}": VIEWER,
    "GET /phones": VIEWER,
    "GET /phones/{aor:path}": VIEWER,
    "GET /domains": VIEWER,
    "GET /domains/{name}": VIEWER,
    "GET /domains/{name}/switch": OPERATOR,
    "POST /domains/{name}/switch": OPERATOR,
    "GET /providers": VIEWER,
    "GET /providers/{name}": VIEWER,
    "GET /certificates": VIEWER,
    "GET /events": VIEWER,
    "GET /audit": VIEWER,
    "GET /settings": VIEWER,
    "GET /security": VIEWER,
    "GET /security/bans/{source:path}": VIEWER,
    "GET /security/add": OPERATOR,
    "POST /security/add": OPERATOR,
    "POST /security/lift": OPERATOR,
    "POST /security/approve": OPERATOR,
    "GET /users": ADMIN,
    "GET /new-user": ADMIN,
    "GET /users/{name}": ADMIN,
    "POST /users": ADMIN,
    "POST /users/{name}/role": ADMIN,
    "POST /users/{name}/enable": ADMIN,
    "POST /users/{name}/disable": ADMIN,
    "POST /users/{name}/second-factor": ADMIN,
    "POST /users/{name}/end-sessions": ADMIN,
    "GET /hangup/{call_id:path}": OPERATOR,
    "GET /api/v1/probes": VIEWER,
    "POST /api/v1/probes": OPERATOR,
    "GET /api/v1/probes/history": VIEWER,
    "GET /api/v1/probes/{identifier}": VIEWER,
    "GET /probes": VIEWER,
    "POST /probes": OPERATOR,
    "GET /probes/{identifier}": VIEWER,
    "GET /probes/history": VIEWER,
    "GET /security/limits": VIEWER,
    "POST /security/limits/lift": OPERATOR,
    "GET /rollouts": VIEWER,
    "GET /rollouts/{number}": VIEWER,
    "GET /rollouts/{number}/{action}": OPERATOR,
    "POST /rollouts/{number}/{action}": OPERATOR,
    "GET /api/v1/limits": VIEWER,
    "POST /api/v1/resync": OPERATOR,
    "GET /api/v1/rollouts": VIEWER,
    "POST /api/v1/rollouts": OPERATOR,
    "GET /api/v1/rollouts/{number}": VIEWER,
    "POST /api/v1/rollouts/{number}/pause": OPERATOR,
    "POST /api/v1/rollouts/{number}/resume": OPERATOR,
    "POST /api/v1/rollouts/{number}/stop": OPERATOR,
    "POST /api/v1/rollouts/{number}/retry": OPERATOR,
    "POST /api/v1/rollouts/{number}/roll-back": OPERATOR,
    "POST /api/v1/limits/lift": OPERATOR,
    "POST /hangup/{call_id:path}": OPERATOR,
    "GET /api/v1/status": VIEWER,
    "GET /metrics": VIEWER,
    "GET /api/calls": VIEWER,
    "GET /api/calls/{call_id:path}": VIEWER,
    "GET /api/cdr": VIEWER,
    "GET /api/phones": VIEWER,
    "GET /api/domains": VIEWER,
    "GET /api/domains/{name}": VIEWER,
    "GET /api/peers": VIEWER,
    "GET /api/certificates": VIEWER,
    "GET /api/counts": VIEWER,
    "GET /api/v1/me": VIEWER,
    "GET /api/v1/audit": VIEWER,
    "GET /api/v1/alerts": VIEWER,
    "GET /api/v1/budgets": VIEWER,
    "GET /api/v1/budgets/{domain}": VIEWER,
    "GET /api/v1/deviations": VIEWER,
    "GET /posture": VIEWER,
    "GET /posture/report.html": VIEWER,
    "GET /api/v1/posture": VIEWER,
    "POST /api/v1/posture": OPERATOR,
    "GET /api/v1/posture/key": VIEWER,
    "GET /api/v1/posture/reports": VIEWER,
    "GET /api/v1/posture/reports/{name}": VIEWER,
    "GET /provisioning": VIEWER,
    "POST /provisioning/adopt": OPERATOR,
    "POST /provisioning/enrol": OPERATOR,
    "POST /provisioning/close": OPERATOR,
    "GET /api/v1/provisioning": VIEWER,
    "GET /api/v1/provisioning/dhcp": VIEWER,
    "POST /api/v1/provisioning/adopt": OPERATOR,
    "POST /api/v1/provisioning/enrol": OPERATOR,
    "POST /api/v1/provisioning/close": OPERATOR,
    "GET /api/v1/provisioning/{device}": VIEWER,
    "GET /api/v1/provisioning/{device}/file": VIEWER,
    "POST /api/v1/provisioning/{device}/rotate": OPERATOR,
    "POST /api/v1/provisioning/{device}/roll-back": OPERATOR,
    "POST /api/v1/provisioning/{device}/drop": OPERATOR,
    "POST /api/v1/provisioning/{device}/render": ADMIN,
    "GET /security/deviations": VIEWER,
    "POST /api/v1/alerts/{receiver}/test": OPERATOR,
    "GET /api/v1/calls": VIEWER,
    "GET /api/v1/calls/{call_id:path}": VIEWER,
    "GET /api/v1/statistics": VIEWER,
    "GET /api/v1/domains": VIEWER,
    "GET /api/v1/domains/{name}": VIEWER,
    "GET /api/v1/providers": VIEWER,
    "GET /api/v1/peers": VIEWER,
    "GET /api/v1/certificates": VIEWER,
    "GET /api/v1/registrations": VIEWER,
    "GET /api/v1/counts": VIEWER,
    "GET /api/v1/drain": VIEWER,
    "GET /api/v1/cluster": VIEWER,
    "GET /may-hold": NOBODY,
    "GET /api/v1/network": VIEWER,
    "POST /api/v1/network/renew": OPERATOR,
    "GET /api/v1/pbxs": VIEWER,
    "GET /api/v1/events": VIEWER,
    "GET /api/v1/phones": VIEWER,
    "GET /api/v1/phones/{name}": VIEWER,
    "GET /api/v1/traces": VIEWER,
    "POST /api/v1/traces": OPERATOR,
    "POST /api/v1/traces/{token}/stop": OPERATOR,
    "GET /api/v1/traces/{token}/pcapng": OPERATOR,
    "GET /api/v1/bans": VIEWER,
    "GET /api/v1/throttled": VIEWER,
    "GET /api/v1/bans/{source:path}": VIEWER,
    "POST /api/v1/bans": OPERATOR,
    "POST /api/v1/bans/{source:path}/lift": OPERATOR,
    "POST /api/v1/bans/{number}/approve": OPERATOR,
    "GET /api/v1/blocklists": VIEWER,
    "POST /api/v1/blocklists/{name}/read": OPERATOR,
    "GET /api/v1/openapi.json": VIEWER,
    "GET /api/v1/audit/verify": OPERATOR,
    "POST /api/v1/calls/{call_id:path}/hangup": OPERATOR,
    "POST /api/v1/domains/{name}": OPERATOR,
    "POST /api/v1/drain": OPERATOR,
    "POST /api/v1/drain/cancel": OPERATOR,
    "POST /api/v1/peers/forget": OPERATOR,
    "POST /api/v1/peers/learn": OPERATOR,
    "POST /api/domains/{name}": OPERATOR,
    "POST /api/peers/forget": OPERATOR,
    "POST /api/peers/learn": OPERATOR,
    "POST /api/v1/reload": ADMIN,
    "POST /api/reload": ADMIN,
    "GET /api/v1/users": ADMIN,
    "POST /api/v1/users": ADMIN,
    "POST /api/v1/users/{name}/role": ADMIN,
    "POST /api/v1/users/{name}/enable": ADMIN,
    "POST /api/v1/users/{name}/disable": ADMIN,
    "POST /api/v1/users/{name}/password": ADMIN,
    "POST /api/v1/users/{name}/end-sessions": ADMIN,
    "POST /api/v1/users/{name}/second-factor": ADMIN,
    "GET /api/v1/sessions": ADMIN,
    "POST /api/v1/sessions/{name}/end": ADMIN,
    "GET /api/v1/tokens": ADMIN,
    "POST /api/v1/tokens": ADMIN,
    "POST /api/v1/tokens/{name}/revoke": ADMIN,
}
"""The least role of each route."""

CONFIGURATION = """
[gateway]
name = "gw"
state_directory = "state"
[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "127.0.0.20"
port = 5060
[[listener]]
name = "trunk"
side = "provider"
transport = "udp"
address = "127.0.0.20"
port = 5061
[media]
address = "127.0.0.20"
[[provider]]
name = "main"
uri = "sip:127.0.0.21;transport=udp"
[[domain]]
name = "example.com"
provider = "main"
"""


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> tuple[HttpRoute, ...]:
    """Those of a whole gateway that is built and never started."""
    file = tmp_path_factory.mktemp("gateway") / "gateway.toml"
    file.write_text(CONFIGURATION)
    gateway = Gateway(load(file), LogOutput(), MemoryReactorClock())
    return tuple(route for route in gateway._admin.front.routes if isinstance(route, HttpRoute))


def test_every_route_of_the_gateway_is_in_this_table_with_its_role(routes: tuple[HttpRoute, ...]) -> None:
    assert {f"{route.method} {route.path}": route.role for route in routes} == ROLES


def path_of(route: HttpRoute) -> str:
    """A path that leads to it."""
    return route.path.replace("{name}", "some").replace("{call_id:path}", "a/b@c")


def stubbed(routes: tuple[HttpRoute, ...]) -> tuple[HttpRoute, ...]:
    """The same routes, whose answers say which one was asked."""

    def answer(route: HttpRoute) -> HttpRoute:
        def told(request: IRequest, **names: str) -> bytes:
            return f"answered {route.method} {route.path}".encode()

        return attrs.evolve(route, answer=told)

    return tuple(map(answer, routes))


@pytest.fixture
def house(tmp_path: Path, routes: tuple[HttpRoute, ...]) -> AdminHouse:
    people = (user("vera", VIEWER), user("olaf", OPERATOR), user("anna", ADMIN))
    return AdminHouse(tmp_path, *people, more=stubbed(routes))


def ask(house: AdminHouse, route: HttpRoute, **proof: Any) -> int:
    """The status of an answer to a right request."""
    if route.method == "GET":
        reply = house.ask(path_of(route), **proof)
    elif route.is_form:
        reply = house.form(path_of(route), {}, **proof)
    else:
        reply = house.post(path_of(route), {}, **proof)
    assert (f"answered {route.method} {route.path}" in reply.text) == (reply.status == 200)
    return reply.status


@pytest.mark.parametrize("kind", ["session", "token"])
@pytest.mark.parametrize("role", [VIEWER, OPERATOR, ADMIN])
def test_each_role_is_answered_by_its_routes_and_no_other(
    house: AdminHouse, routes: tuple[HttpRoute, ...], role: Role, kind: str
) -> None:
    name = {VIEWER: "vera", OPERATOR: "olaf", ADMIN: "anna"}[role]
    if kind == "session":
        proof = {"cookie": f"__Host-session={house.sessions.begin(name, FAR, house.time)}"}
    else:
        proof = {"authorization": f"Bearer {house.token(role)}"}
    for route in routes:
        assert ask(house, route, **proof) == (200 if role >= route.role else 403), (role, route)


@pytest.mark.parametrize("source", [FAR, NEAR])
def test_nobody_is_answered_by_the_routes_for_everybody_alone(
    house: AdminHouse, routes: tuple[HttpRoute, ...], source: str
) -> None:
    for route in routes:
        assert ask(house, route, source=source) == (200 if route.role is NOBODY else 401), route


def test_before_the_first_user_other_machines_are_answered_health_alone(
    tmp_path: Path, routes: tuple[HttpRoute, ...]
) -> None:
    house = AdminHouse(tmp_path, more=stubbed(routes))
    for route in routes:
        assert ask(house, route) == (200 if route.path in HEALTH else 403), route


def test_in_clear_other_machines_are_answered_health_alone(house: AdminHouse, routes: tuple[HttpRoute, ...]) -> None:
    token = house.token(ADMIN)
    for route in routes:
        proof = {"authorization": f"Bearer {token}", "is_secure": False, "origin": f"http://{HOST}"}
        assert ask(house, route, **proof) == (200 if route.path in HEALTH else 403), route


def test_a_page_elsewhere_changes_nothing_with_any_role(house: AdminHouse, routes: tuple[HttpRoute, ...]) -> None:
    cookie = f"__Host-session={house.sessions.begin('anna', FAR, house.time)}"
    for route in routes:
        if route.method == "GET":
            continue
        for elsewhere in (
            {"origin": "http://evil.localhost"},
            {"origin": "null"},
            {"origin": f"https://{HOST}:8443"},
            {"origin": f"http://{HOST}"},
            {"origin": f"https://{HOST}", "sec_fetch_site": "same-site"},
            {"origin": f"https://{HOST}", "sec_fetch_site": "cross-site"},
            {"origin": f"https://{HOST}", "sec_fetch_site": "none"},
        ):
            assert ask(house, route, cookie=cookie, **elsewhere) == 403, (route, elsewhere)
        assert ask(house, route, cookie=cookie, origin=f"https://{HOST}", sec_fetch_site="same-origin") == 200


def test_a_cookie_alone_makes_no_change_without_a_word_of_its_page(
    house: AdminHouse, routes: tuple[HttpRoute, ...]
) -> None:
    """A form of a page elsewhere is one that a browser sends without asking; JSON is not."""
    cookie = f"__Host-session={house.sessions.begin('anna', FAR, house.time)}"
    for route in routes:
        if route.is_form:
            assert house.form(path_of(route), {}, None, cookie=cookie).status == 403, route
        elif route.method == "POST":
            assert house.form(path_of(route), {}, None, cookie=cookie).status == 415, route


def test_paths_with_dots_lead_to_no_other_route(house: AdminHouse) -> None:
    for path in (
        "/healthz/../api/calls",
        "/healthz/%2e%2e/api/calls",
        "//api//calls",
        "/static/0/style.css/../metrics",
        "/../etc/passwd",
    ):
        assert house.ask(path).status in (401, 404), path
        assert "root:" not in house.ask(path).text
