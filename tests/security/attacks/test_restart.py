"""A crash ends no ban: kill -9, start, and the attacker is still turned away, for the time that was left.

The kernel drops it, too: the gateway fills the sets of deploy/gateway.nft, in its own network.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.support.attacks.street import GATEWAY, PORT, Street
from tests.support.calls.processes import wait_until

PING = ("sipsak", "-vv", "-s", f"sip:{GATEWAY}:{PORT}")
SET = ("list", "set", "inet", "gateway", "banned4")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    street = Street(tmp_path_factory.mktemp("street"), ban_by="nftables")
    yield street
    street.stop()


def answers(street: Street) -> bool:
    """Whether the gateway answers the attacker."""
    return "SIP/2.0 200 OK" in street.run(PING, "sipsak", 2)


def left(street: Street, source: str) -> int:
    """Seconds that the kernel drops a source from now on; 0 where it does not."""
    found = re.search(rf"{re.escape(source)} timeout \S+ expires (?:(\d+)m)?(?:(\d+)s)?", street.nft(*SET))
    return 0 if found is None else 60 * int(found[1] or 0) + int(found[2] or 0)


def test_a_ban_outlives_a_crash(street: Street) -> None:
    source = street.attacker()
    assert answers(street)
    with street.guessing():
        wait_until("the ban is told", lambda: bool(street.alerts.of("security.banned", source)), 60)
    wait_until("the kernel has it", lambda: left(street, source) > 0, 10)
    assert not answers(street)
    before = street.ban_of(source)

    street.gateway.kill()
    street.nft("flush", "set", "inet", "gateway", "banned4")  # as a new start of the firewall does
    street.gateway.start()

    wait_until("the kernel has it again", lambda: left(street, source) > 0, 10)
    after = street.ban_of(source)
    assert before is not None
    assert after is not None
    assert abs(time.time() + left(street, source) - after["until"]) < 5
    assert not answers(street)
    assert abs(after["until"] - before["until"]) < 5
    assert "digest_failed" in str(after["evidence"])
    street.gateway.ctl("bans", "lift", source)
    wait_until("it is answered again", lambda: answers(street), 10)
