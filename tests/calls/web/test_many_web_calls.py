"""Fifty calls of browsers at once: each has its handshake, its keys and its packets, and none is left behind.

The browsers are made light, since they share the machine with the gateway: G.711 in packets of 60 ms, and no capture.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.calls.processes import wait_until
from tests.support.calls.stage import ALICE, DAVE, HERTZ, PASSWORDS
from tests.support.calls.web.browser import CIPHERS, WebPhone
from tests.support.calls.web.web_stage import MANY, WebStage

pytestmark = pytest.mark.alone

CALLS = 50
AT_ONCE = 4
"""Calls that are set up beside each other: a browser has one thread for all of its own."""
ENOUGH = 50
"""Packets of each call, each way, which come in three seconds; on a busy machine in WITHIN seconds at most."""
WITHIN = 60.0


def figures(page: WebPhone) -> list[list[Any]]:
    """Of each call: DTLS state, SRTP cipher, packets sent, received and lost."""
    found: list[list[Any]] = page.run("return many.figures()")
    return found


def flows(before: list[list[Any]], after: list[list[Any]]) -> bool:
    """Whether each call is connected, and has sent and received enough since."""
    return all(one[0] == "connected" for one in after) and all(
        now[place] - then[place] >= ENOUGH for then, now in zip(before, after, strict=True) for place in (2, 3)
    )


def talking(page: WebPhone) -> int:
    states: list[str] = page.run("return many.states()")
    assert not [state for state in states if state.startswith(("failed", "ended"))], states
    return states.count("talking")


def test_fifty_calls_between_two_browsers_have_keys_and_packets_each(web: WebStage) -> None:
    """JsSIP in one browser calls SIP.js in another: a hundred handshakes, and a hundred streams through one worker."""
    stage = web.stage
    stage.capture.stop()
    stage.have_local_calls("alice", "dave")
    gateway = web.start_gateway(media_ports=600)
    alice, dave = web.browser(MANY), web.browser(MANY, "dave")
    alice.run("many.registerCaller(...args)", web.server, ALICE, PASSWORDS["alice"])
    dave.run("return many.registerAnswerer(...args)", web.server, DAVE, PASSWORDS["dave"])
    for page in (alice, dave):
        wait_until("registered", lambda page=page: page.run("return many.state") == "registered", 20)  # type: ignore[misc]

    for number in range(1, CALLS + 1):
        alice.run("return many.call(args[0])", DAVE)
        wait_until("room for another", lambda number=number: number - talking(alice) < AT_ONCE, 30)  # type: ignore[misc]
    wait_until("all talk", lambda: talking(alice) == talking(dave) == CALLS, 30)
    assert gateway.metric("gateway_active_calls") == CALLS
    pages = alice, dave
    before = [one for page in pages for one in figures(page)]
    wait_until(
        "media of each call, each way", lambda: flows(before, [one for page in pages for one in figures(page)]), WITHIN
    )
    after = [one for page in pages for one in figures(page)]
    # It is asked for now and then, and grows until it has them all.
    wait_until(
        "its count of handshakes",
        lambda: gateway.metric("gateway_dtls_handshakes_total", result="up") == 2 * CALLS,
        WITHIN,
    )
    assert len(after) == 2 * CALLS
    assert {one[0] for one in after} == {"connected"}
    assert {one[1] for one in after} <= {*CIPHERS}
    for number in (0, CALLS // 2, CALLS - 1):
        alice.run("many.hear(args[0])", number)
        alice.assert_hears(HERTZ["dave"])

    alice.run("many.hangUp()")
    wait_until("all are over", lambda: gateway.metric("gateway_active_calls") == 0, 30)
    calls = gateway.calls()
    assert [(call["direction"], call["verdict"]) for call in calls] == [("internal", "ENCRYPTED")] * CALLS
    gateway.assert_log_is_clean(())
