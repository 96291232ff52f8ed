"""The lease by hand: no store, no clock. Its life is 3 s, and its holder stops 0.3 s before that is over."""

from __future__ import annotations

import pytest

from gateway.state.cluster.node_lease import LeaseState, LeaseTerms, NodeLease, Wish

TERMS = LeaseTerms(3.0)
ALONE = LeaseTerms(3.0, serves_alone=True)


def held(terms: LeaseTerms = TERMS, at: float = 100.0) -> NodeLease:
    """A lease that was given at a question of that time, after the start is over."""
    lease = NodeLease(terms)
    lease.settled()
    assert lease.next(at, has_address=True) is Wish.TAKE
    lease.asked()
    lease.granted(at)
    return lease


def test_a_node_without_the_address_only_looks() -> None:
    lease = NodeLease(TERMS)
    assert lease.next(100.0, has_address=False) is Wish.LOOK
    lease.refused("")
    assert lease.state is LeaseState.WAITING
    assert not lease.is_active


def test_a_waiting_node_asks_until_it_gets_it() -> None:
    lease = NodeLease(TERMS)
    assert lease.next(100.0, has_address=True) is Wish.TAKE
    lease.refused("a")
    assert (lease.state, lease.holder) == (LeaseState.WAITING, "a")
    assert lease.next(101.0, has_address=True) is Wish.TAKE
    lease.granted(101.0)
    assert lease.is_active


def test_the_first_lease_is_long_enough_for_a_start() -> None:
    lease = NodeLease(TERMS)
    lease.granted(100.0)
    assert lease.is_active_at(113.4)
    lease.settled()
    lease.granted(113.5)
    assert lease.ends_at == pytest.approx(116.2)


def test_the_holder_renews_and_goes_on() -> None:
    lease = held()
    for at in (101.0, 102.0, 103.0):
        assert lease.next(at, has_address=True) is Wish.RENEW
        lease.asked()
        lease.granted(at)
    assert lease.is_active_at(105.6)


def test_the_life_counts_from_the_question_and_ends_here_before_it_ends_there() -> None:
    lease = held(at=100.0)
    assert lease.is_active_at(102.69)
    assert not lease.is_active_at(102.7)
    assert (lease.state, lease.why) == (LeaseState.ENDED, "its lease was not renewed in time")


def test_no_answer_ends_the_holder_where_it_has_to_stop() -> None:
    lease = held()
    assert lease.next(101.0, has_address=True) is Wish.RENEW
    lease.asked()
    assert lease.next(102.8, has_address=True) is None
    assert lease.state is LeaseState.ENDED


def test_no_answer_lets_the_holder_go_on_where_it_may_serve() -> None:
    lease = held(ALONE)
    lease.next(101.0, has_address=True)
    lease.asked()
    assert lease.is_active_at(500.0)
    assert lease.state is LeaseState.ALONE


def test_one_that_serves_alone_ends_at_the_word_that_another_has_the_lease() -> None:
    lease = held(ALONE)
    lease.asked()
    lease.is_active_at(500.0)
    assert lease.next(501.0, has_address=True) is Wish.RENEW
    lease.refused("b")
    assert (lease.state, lease.why) == (LeaseState.ENDED, "node b has the lease")


def test_one_that_serves_alone_ends_when_the_address_is_gone() -> None:
    lease = held(ALONE)
    lease.asked()
    lease.is_active_at(500.0)
    assert lease.next(501.0, has_address=False) is None
    assert lease.state is LeaseState.ENDED


def test_one_that_serves_alone_takes_the_lease_again_where_nobody_has_it() -> None:
    lease = held(ALONE)
    lease.asked()
    lease.is_active_at(500.0)
    lease.next(501.0, has_address=True)
    lease.refused("")
    assert lease.next(502.0, has_address=True) is Wish.TAKE
    lease.granted(502.0)
    assert lease.state is LeaseState.HOLDING
    assert lease.next(503.0, has_address=True) is Wish.RENEW


def test_a_store_that_answers_late_is_no_reason_to_serve_alone() -> None:
    """The question was answered, and the process was late itself: another node may have been faster."""
    lease = held(ALONE)
    assert not lease.is_active_at(103.0)
    assert lease.state is LeaseState.ENDED


def test_a_holder_ends_when_its_address_is_gone() -> None:
    lease = held()
    assert lease.next(100.5, has_address=False) is None
    assert "address is gone" in lease.why


def test_a_holder_ends_when_another_has_the_lease() -> None:
    lease = held()
    lease.refused("b")
    assert lease.next(100.6, has_address=True) is None


def test_the_end_is_for_good() -> None:
    lease = held()
    lease.refused("b")
    lease.granted(101.0)
    assert lease.state is LeaseState.ENDED
    assert lease.next(101.1, has_address=True) is None
