"""Nonces: ours, not too old, never twice; and the table of counts stays small without forgetting a replay."""

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.security.nonces import Nonces, NonceState

NOW = 1_700_000_000.0


def nonces(**changes: float) -> Nonces:
    return Nonces(
        b"secret", os.urandom, lifetime=changes.get("lifetime", 300.0), capacity=int(changes.get("capacity", 99))
    )


def test_a_nonce_is_fresh_then_stale() -> None:
    made = nonces()
    nonce = made.make("realm", NOW)
    assert made.state(nonce, "realm", NOW) is NonceState.FRESH
    assert made.state(nonce, "realm", NOW + 300) is NonceState.FRESH
    assert made.state(nonce, "realm", NOW + 301) is NonceState.STALE
    assert made.state(nonce, "realm", NOW - 60) is NonceState.STALE, "the clock went back"


def test_nonces_are_bound_to_their_purpose_and_secret() -> None:
    made = nonces()
    nonce = made.make("realm", NOW)
    assert made.state(nonce, "another", NOW) is NonceState.FOREIGN
    assert Nonces(b"other", os.urandom).state(nonce, "realm", NOW) is NonceState.FOREIGN
    assert not made.use(nonce, "another", 1)


def test_two_nonces_of_one_moment_differ() -> None:
    made = nonces()
    assert made.make("realm", NOW) != made.make("realm", NOW)


def test_making_nonces_keeps_nothing() -> None:
    made = nonces()
    for _ in range(1_000):
        made.make("realm", NOW)
    assert len(made) == 0


def test_a_count_serves_once_and_never_goes_back() -> None:
    made = nonces()
    nonce = made.make("realm", NOW)
    assert [made.use(nonce, "realm", count) for count in (1, 1, 2, 5, 3, 5, 6, 0, -1)] == [
        True, False, True, True, False, False, True, False, False,
    ]  # fmt: skip


def test_a_full_table_forgets_the_older_half_and_makes_it_useless() -> None:
    made = nonces(capacity=10)
    issued = [made.make("realm", NOW + second) for second in range(11)]
    for nonce in issued:
        assert made.use(nonce, "realm", 1)
    assert len(made) <= 10
    for nonce in issued:
        assert not made.use(nonce, "realm", 1)
    assert made.state(issued[0], "realm", NOW + 10) is NonceState.STALE
    assert made.state(issued[-1], "realm", NOW + 10) is NonceState.FRESH


def test_another_spelling_of_the_same_bytes_is_foreign() -> None:
    made = nonces()
    nonce = made.make("realm", NOW)
    data = base64.urlsafe_b64decode(nonce)
    for other in (nonce.rstrip("="), nonce + "=", base64.b64encode(data).decode() + " ", nonce[:-2] + "B="):
        assert other == nonce or made.state(other, "realm", NOW) is NonceState.FOREIGN


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_whatever_else_is_sent_is_foreign(text: str) -> None:
    assert nonces().state(text, "realm", NOW) is NonceState.FOREIGN


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 3), st.booleans()), max_size=40))
def test_no_nonce_and_count_is_ever_accepted_twice(steps: list[tuple[int, int, bool]]) -> None:
    made = nonces(capacity=2)
    known = [made.make("realm", NOW + second) for second in range(8)]
    accepted: set[tuple[str, int]] = set()
    for index, count, is_new in steps:
        if is_new:
            known[index] = made.make("realm", NOW + 10 + index)
        if made.use(known[index], "realm", count):
            assert (known[index], count) not in accepted
            accepted.add((known[index], count))
        assert len(made) <= 2


@pytest.mark.parametrize("length", [0, 15, 16, 31, 33, 64])
def test_wrong_lengths_are_foreign(length: int) -> None:
    text = base64.urlsafe_b64encode(b"\0" * length).decode()
    assert nonces().state(text, "realm", NOW) is NonceState.FOREIGN
