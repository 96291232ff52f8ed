"""Guesses at a password: a list of 500 with the right one at place 60, by svcrack with its looks and without, and nmap.

No password is found, ten guesses at most reach the provider, and the guesser is banned with the evidence kept.
"""

from __future__ import annotations

import time

import pytest

from tests.support.attacks.street import GATEWAY, GATEWAY_TRUNK, PASSWORDS, PORT, VICTIM, Street
from tests.support.calls.processes import wait_until

DROPPED = "gateway_banned_packets_total"
SIDES = {"street": GATEWAY, "provider": GATEWAY_TRUNK}


@pytest.mark.parametrize("side", SIDES)
def test_svcrack_hears_nothing(street: Street, side: str) -> None:
    source = street.attacker(side)
    before = len(street.guesses())
    found = street.run(
        ["svcrack", "-p", str(PORT), f"-u{VICTIM}", "-d", str(street.words()), SIDES[side]], "sipvicious", 4, side
    )
    assert PASSWORDS[VICTIM] not in found
    assert len(street.guesses()) == before
    assert street.alerts.of("security.scan", source)
    assert street.is_shown(source)


@pytest.mark.parametrize(("side", "scan"), [("street", "-sU"), ("provider", "-sU"), ("street", "-sT")])
def test_nmap_finds_no_password(street: Street, side: str, scan: str) -> None:
    """Over TCP its look is proved to come from its address: it is banned at once."""
    source = street.attacker(side)
    before = len(street.guesses())
    users = street.directory / "users.txt"
    users.write_text(f"{VICTIM}\n")
    lists = f"userdb={users},passdb={street.words()},unpwdb.timelimit=2s"
    brute = ["nmap", "-n", "-Pn", scan, f"-p{PORT}", "--script=sip-brute", "--script-args", lists, SIDES[side]]
    found = street.run(brute, "nmap", 20, side)
    assert "Valid credentials" not in found
    assert "sip-brute" in found  # it did try
    assert len(street.guesses()) == before
    assert street.alerts.of("security.scan", source)
    assert street.is_shown(source) if scan == "-sU" else street.is_banned(source)


def test_svcrack_in_disguise_is_slowed_then_banned(street: Street) -> None:
    source = street.attacker()
    before = len(street.guesses())
    with street.guessing() as tool:
        wait_until("the ban is told", lambda: bool(street.alerts.of("security.banned", source)), 60)
        ((_, told), *_) = street.alerts.of("security.banned", source)
        wait_until("nothing comes any more", lambda: street.gateway.metric(DROPPED) > 0, 10)
        found = tool.text()
    assert PASSWORDS[VICTIM] not in found
    assert 1 <= len(street.guesses()) - before <= 10
    assert "digest_failed" in told
    assert street.is_banned(source)
    shown = street.gateway.ctl("bans", "show", source)
    assert "udp digest_failed: REGISTER" in shown


def test_svcrack_in_disguise_is_told_nothing_at_the_providers_side(street: Street) -> None:
    """No stranger is answered there, so that there is nothing to guess at."""
    source = street.attacker("provider")
    before = len(street.guesses())
    with street.guessing("provider") as tool:
        wait_until("it is told", lambda: bool(street.alerts.of("security.stranger", source)), 10)
        time.sleep(1)
    assert PASSWORDS[VICTIM] not in tool.text()
    assert len(street.guesses()) == before
    assert street.alerts.latest("security.", source) < 2
