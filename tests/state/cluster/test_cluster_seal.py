"""Records in the store say nothing without the secret, and stand nowhere but in their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.cluster.cluster_seal import ClusterSeal, Copied, OtherSchema

FIRST, SECOND = b"1" * 32, b"2" * 32


@given(st.text(st.characters(codec="ascii"), max_size=40), st.binary(max_size=300), st.binary(max_size=3000))
def test_it_opens_as_it_was_sealed(file: str, key: bytes, value: bytes) -> None:
    seal = ClusterSeal([FIRST], "generation")
    record = seal.sealed(file, key, value)
    assert ClusterSeal([FIRST], "generation").opened(seal.field(file, key), record) == Copied(file, key, value)


def test_nothing_of_it_can_be_read() -> None:
    seal = ClusterSeal([FIRST], "generation")
    whole = seal.field("bindings.sqlite", b"alice@example.com") + seal.sealed("bindings.sqlite", b"alice", b"inline:")
    assert b"alice" not in whole
    assert b"bindings" not in whole
    assert b"inline" not in whole


def test_no_two_records_are_alike() -> None:
    seal = ClusterSeal([FIRST], "generation")
    assert seal.sealed("f", b"k", b"v")[1:] != seal.sealed("f", b"k", b"v")[1:]


def test_another_secret_opens_nothing() -> None:
    seal = ClusterSeal([FIRST], "generation")
    assert ClusterSeal([SECOND], "generation").opened(seal.field("f", b"k"), seal.sealed("f", b"k", b"v")) is None


def test_the_secret_before_opens_while_both_are_valid() -> None:
    old = ClusterSeal([FIRST], "generation")
    record = old.sealed("f", b"k", b"v")
    both = ClusterSeal([SECOND, FIRST], "generation")
    assert both.opened(old.field("f", b"k"), record) == Copied("f", b"k", b"v")


def test_a_record_of_another_generation_or_field_is_none() -> None:
    seal = ClusterSeal([FIRST], "one")
    record = seal.sealed("f", b"k", b"v")
    assert ClusterSeal([FIRST], "two").opened(seal.field("f", b"k"), record) is None
    assert seal.opened(seal.field("f", b"other"), record) is None


@pytest.mark.parametrize("at", [1, 5, 13, 20, -1])
def test_a_bit_that_was_turned_is_seen(at: int) -> None:
    seal = ClusterSeal([FIRST], "one")
    record = bytearray(seal.sealed("f", b"k", b"value"))
    record[at] ^= 1
    assert seal.opened(seal.field("f", b"k"), bytes(record)) is None


@pytest.mark.parametrize("record", [b"", b"\x02" + b"0" * 60, b"x"])
def test_another_schema_is_told_apart(record: bytes) -> None:
    with pytest.raises(OtherSchema):
        ClusterSeal([FIRST], "one").opened(b"0" * 16, record)


def test_a_record_that_ends_early_is_none() -> None:
    seal = ClusterSeal([FIRST], "one")
    assert seal.opened(b"0" * 16, b"\x01" + b"0" * 20) is None
