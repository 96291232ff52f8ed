"""Proxies in front of the interface: whose word counts, and for what, byte by byte."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.accounts.log_in import TRIES
from gateway.admin.inspection import Role
from gateway.config.structuring import Unacceptable
from gateway.config.tables.admin_table import proxy
from gateway.observe.observations import Kind, Observation
from tests.admin.accounts.support import PASSWORD, user
from tests.support.admin_house import HOST, NEAR, AdminHouse, Reply

PROXY, FAR_PROXY, CLIENT = "127.0.0.2", "192.0.2.8", "198.51.100.7"
PROXIES = (ip_network(PROXY), ip_network("192.0.2.8/31"))


@pytest.fixture
def house(tmp_path: Path) -> AdminHouse:
    return AdminHouse(tmp_path, user("alice", Role.ADMIN), monitors=(ip_network("10.9.0.0/16"),), proxies=PROXIES)


def through(house: AdminHouse, told: str, path: str = "/api/calls", scheme: str = "https", **fields: Any) -> Reply:
    """A request that the proxy on this machine passes on, in clear."""
    return house.ask(path, source=PROXY, is_secure=False, x_forwarded_for=told, x_forwarded_proto=scheme, **fields)


def test_a_log_in_through_a_proxy_is_the_client_s(house: AdminHouse) -> None:
    seen: list[Observation] = []
    house.metrics.observations.read(seen.append)
    head: dict[str, Any] = {
        "source": PROXY,
        "is_secure": False,
        "x_forwarded_for": CLIENT,
        "x_forwarded_proto": "https",
    }
    wrong = [house.form("/login", {"name": "alice", "password": "no"}, **head) for _ in range(TRIES.burst + 1)]
    assert [one.status for one in wrong] == [401] * TRIES.burst + [429]
    assert {(one.kind, one.host) for one in seen} == {(Kind.ADMIN_LOGIN, CLIENT)}
    other: dict[str, Any] = {**head, "x_forwarded_for": "198.51.100.8"}
    reply = house.form("/login", {"name": "bob", "password": PASSWORD}, **other)
    assert reply.status == 401, "another client has a count of its own"
    assert {row["source"] for row in house.audit.about(None)} == {CLIENT, "198.51.100.8"}


def test_of_several_addresses_the_last_stranger_counts(house: AdminHouse) -> None:
    for told, status in (
        ("203.0.113.1, 10.9.0.1", 200),
        (f"203.0.113.1, 10.9.0.1, {FAR_PROXY}", 200),
        ("10.9.0.1, 203.0.113.1", 403),
        (f"10.9.0.1, {FAR_PROXY}, 203.0.113.1", 403),
    ):
        reply = house.ask("/metrics", source=PROXY, is_secure=False, x_forwarded_for=told)
        assert reply.status == status, told


@pytest.mark.parametrize(
    "field", ["x_forwarded_for", "forwarded", "x_real_ip", "x_forwarded_host", "x_forwarded_proto", "via"]
)
@pytest.mark.parametrize("source", ["192.0.2.77", NEAR, "socket", CLIENT])
def test_a_proxy_that_is_not_listed_is_refused(house: AdminHouse, field: str, source: str) -> None:
    token = f"Bearer {house.token(Role.ADMIN)}"
    forwarded: dict[str, Any] = {field: "for=192.0.2.60"}
    reply = house.ask("/api/calls", source=source, authorization=token, **forwarded)
    assert (reply.status, "trusted_proxies" in reply.text) == (403, True)
    assert house.ask("/healthz", source=source, is_secure=False, **forwarded).status == 200


@pytest.mark.parametrize(
    "told",
    [
        *("", "unknown", "_hidden", "198.51.100.7:4711", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "socket"),
        *(f"{CLIENT},", ", ".join([CLIENT] * 21)),
    ],
)
def test_a_listed_proxy_names_an_address_of_another_machine(house: AdminHouse, told: str) -> None:
    assert through(house, told).status == 400
    assert house.ask("/api/calls", source=PROXY, is_secure=False).status == 400, "or none"


def test_the_whole_way_is_private(house: AdminHouse) -> None:
    token = f"Bearer {house.token(Role.VIEWER)}"
    told = through(house, CLIENT, authorization=token)
    assert (told.status, told["strict-transport-security"]) == (200, "max-age=31536000")
    for scheme in ("http", "https, http", ""):
        assert through(house, CLIENT, scheme=scheme, authorization=token).status == 403, scheme
    head: dict[str, Any] = {"x_forwarded_for": CLIENT, "x_forwarded_proto": "https", "authorization": token}
    assert house.ask("/api/calls", source=FAR_PROXY, is_secure=False, **head).status == 403
    assert house.ask("/api/calls", source=FAR_PROXY, is_secure=True, **head).status == 200


def test_a_client_of_a_proxy_on_this_machine_has_no_rights_of_this_machine(tmp_path: Path) -> None:
    house = AdminHouse(tmp_path, proxies=PROXIES)  # nobody has made a user
    assert house.ask("/api/calls", source=NEAR, is_secure=False).status == 200
    assert house.ask("/api/calls", source=NEAR, is_secure=False, x_real_ip=CLIENT).status == 403
    assert through(house, CLIENT).status == 403
    head: dict[str, Any] = {"x_forwarded_for": CLIENT, "x_forwarded_proto": "https"}
    assert house.post("/api/reload", {}, source=PROXY, is_secure=False, **head).status == 403
    assert house.control.asked == []


def test_the_body_of_a_request_that_will_be_refused_is_not_waited_for(house: AdminHouse) -> None:
    head = f"POST /login HTTP/1.1\r\nhost: {HOST}\r\nx-forwarded-for: {CLIENT}\r\norigin: https://{HOST}\r\n"
    head += "content-type: application/x-www-form-urlencoded\r\ncontent-length: 65000\r\nexpect: 100-continue\r\n\r\n"
    asking = house.begin(head.encode(), NEAR)
    assert b"100 Continue" not in asking.answered


@pytest.mark.parametrize("value", ["0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3", "proxy.example.com", 5])
def test_a_network_of_proxies_is_narrow(value: object) -> None:
    with pytest.raises(Unacceptable):
        proxy(value)
