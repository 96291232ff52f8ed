"""Scanners at the gateway, as strangers run them: svmap and svwar of SIPVicious, nmap's scripts, sipsak, sipp.

With its usual looks a scanner gets no answer at all. In disguise it may find that a gateway is here, and learns nothing
about users: the answers for those that exist and those that do not are the same, and soon there are none.
"""

from __future__ import annotations

import time

import pytest

from tests.support.attacks.street import GATEWAY, GATEWAY_TRUNK, PORT, Street, found_by
from tests.support.calls.processes import wait_until

SIDES = {"street": GATEWAY, "provider": GATEWAY_TRUNK}
NMAP = ("nmap", "-n", "-Pn", "-sU", f"-p{PORT}")
RANGE = "sip-enum-users.minext=100,sip-enum-users.maxext=199"


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
@pytest.mark.parametrize("side", SIDES)
def test_svmap_finds_nothing(street: Street, side: str, method: str) -> None:
    source = street.attacker(side)
    with street.start(["svmap", "-p", str(PORT), "-m", method, SIDES[side]], "sipvicious", side) as svmap:
        wait_until("it has begun", lambda: bool(street.alerts.of("security.scan", source)), 3)
        assert street.is_shown(source)
        svmap.wait_ended(10)
    assert found_by(svmap.text()) == []


@pytest.mark.parametrize("side", SIDES)
def test_svwar_finds_nobody(street: Street, side: str) -> None:
    source = street.attacker(side)
    found = street.run(["svwar", "-p", str(PORT), "-e100-199", "--force", SIDES[side]], "sipvicious", 10, side)
    assert found_by(found) == []
    assert street.alerts.of("security.scan", source)
    assert street.is_shown(source)


def test_svwar_in_disguise_hears_nothing_at_the_providers_side(street: Street) -> None:
    """It gives up after its first packet, which a stranger's name alone is held against."""
    source = street.attacker("provider")
    svwar = [*street.disguised("svwar"), "-p", str(PORT), "-e100-199", "--force", GATEWAY_TRUNK]
    assert "found nothing" in street.run(svwar, "sipvicious", 10, "provider")
    assert street.alerts.of("security.stranger", source)
    assert street.alerts.latest("security.", source) < 2


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "INVITE"])
def test_svwar_in_disguise_does_not_tell_users_from_others(street: Street, method: str) -> None:
    """It stops by itself, since every name gets the same answer."""
    street.attacker()
    svwar = [*street.disguised("svwar"), "-p", str(PORT), "-e100-199", "-m", method, GATEWAY]
    assert found_by(street.run(svwar, "sipvicious", 15)) == []


def test_svwar_in_disguise_is_soon_answered_no_more(street: Street) -> None:
    """Told to go on, it hears that a password is wanted, of 100, which exists, as of others; then nothing."""
    street.attacker()
    svwar = [*street.disguised("svwar"), "-p", str(PORT), "-e100-199", "--force", "-m", "OPTIONS", GATEWAY]
    found = found_by(street.run(svwar, "sipvicious", 15))
    assert len(found) <= 40


@pytest.mark.parametrize(
    ("script", "arguments", "sign"),
    [
        ("sip-methods,sip-call-spoof", "sip-call-spoof.timeout=1", "INVITE"),
        ("sip-enum-users", RANGE, "Registered user"),
    ],
)
@pytest.mark.parametrize("side", SIDES)
def test_nmap_learns_nothing(street: Street, side: str, script: str, arguments: str, sign: str) -> None:
    source = street.attacker(side)
    more = ["--script-args", arguments] if arguments else []
    found = street.run([*NMAP, f"--script={script}", *more, SIDES[side]], "nmap", 20, side)
    assert "Nmap done" in found
    assert sign not in found
    assert street.alerts.of("security.scan", source)
    assert street.is_shown(source)


@pytest.mark.parametrize("side", SIDES)
def test_a_flood_of_sipsak_changes_nothing_for_others(street: Street, side: str) -> None:
    """OPTIONS without end from one address; another one is answered as before."""
    source = street.attacker(side)
    with street.start(["sipsak", "-F", "-s", f"sip:100@{SIDES[side]}:{PORT}"], "sipsak", side):
        time.sleep(1)
        assert street.is_shown(source)
        street.attacker()
        ping = ["sipsak", "-vv", "-s", f"sip:{GATEWAY}:{PORT}"]
        assert "SIP/2.0 200 OK" in street.run(ping, "sipsak", 5)
    assert street.gateway.fetch("/healthz") is not None


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
@pytest.mark.parametrize("side", SIDES)
def test_a_flood_of_sipp_leaves_the_provider_in_peace(street: Street, side: str, method: str) -> None:
    """A thousand names a second from one address that nobody knows: a few of them reach the provider."""
    source = street.attacker(side)
    before = len(street.provider.messages())
    script = street.script("flood.xml", {"METHOD": method})
    flood = street.sipp(side, source, script, f"{SIDES[side]}:{PORT}", "-r", "1000", "-m", "3000", "-nr")
    wait_until("it has begun", lambda: bool(street.alerts.of("security.", source)), 5)
    assert street.is_shown(source)
    flood.wait_ended(15)
    assert len(street.provider.messages()) - before <= 100
    assert street.gateway.fetch("/healthz") is not None
