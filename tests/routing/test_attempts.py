"""Which way is tried after one that failed."""

from __future__ import annotations

import pytest

from gateway.routing.attempts import Attempts, Way
from gateway.transport.flow import FailureKind, Flow
from tests.support.flows import a_flow


def way(port: int, connected: bool = False) -> Way:
    def opened() -> Flow:
        flow = a_flow(port=port)
        flow.connected = connected
        return flow

    return opened


def test_every_way_is_taken_in_order_and_then_none() -> None:
    ways = [way(1), way(2)]
    attempts = Attempts(ways)
    has_ways = attempts.has_next
    attempts.open(attempts.take())
    assert attempts.after(FailureKind.REFUSED, is_heard=False) is ways[1]
    assert (has_ways, attempts.has_next) == (True, False)
    assert attempts.after(FailureKind.TIMEOUT, is_heard=False) is None


def test_a_certificate_that_fails_ends_the_attempt() -> None:
    attempts = Attempts([way(1), way(2)])
    attempts.open(attempts.take())
    assert attempts.after(FailureKind.CERTIFICATE, is_heard=False) is None


def test_a_connection_that_was_up_is_replaced_once() -> None:
    ways = [way(1, connected=True), way(2)]
    attempts = Attempts(ways)
    attempts.open(attempts.take())
    assert attempts.after(FailureKind.CLOSED, is_heard=False) is ways[0]
    attempts.open(ways[0])
    assert attempts.after(FailureKind.CLOSED, is_heard=False) is ways[1]


@pytest.mark.parametrize(
    ("connected", "is_heard", "failure"),
    [
        (False, False, FailureKind.CLOSED),
        (True, True, FailureKind.CLOSED),
        (True, False, FailureKind.REFUSED),
        (True, False, FailureKind.TIMEOUT),
    ],
)
def test_a_new_connection_a_peer_that_was_heard_and_other_failures_are_not_repeated(
    connected: bool, is_heard: bool, failure: FailureKind
) -> None:
    ways = [way(1, connected), way(2)]
    attempts = Attempts(ways)
    attempts.open(attempts.take())
    assert attempts.after(failure, is_heard=is_heard) is ways[1]


def test_a_request_sent_again_for_another_reason_may_be_repeated_too() -> None:
    first = way(1, connected=True)
    attempts = Attempts([first])
    attempts.open(attempts.take())
    assert attempts.after(FailureKind.CLOSED, is_heard=False) is first
    attempts.open(first)
    attempts.open(first)
    assert attempts.after(FailureKind.CLOSED, is_heard=False) is first
