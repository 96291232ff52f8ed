"""Bencoding by the examples of BEP 3, and over what anybody may send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.worker.ng.bencode import Malformed, decode, encode

TEXT = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
VALUES = st.recursive(
    TEXT | st.integers(-(10**18) + 1, 10**18 - 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"4:spam", "spam"),
        (b"0:", ""),
        (b"i3e", 3),
        (b"i-3e", -3),
        (b"l4:spam4:eggse", ["spam", "eggs"]),
        (b"d3:cow3:moo4:spam4:eggse", {"cow": "moo", "spam": "eggs"}),
        (b"d4:spaml1:a1:bee", {"spam": ["a", "b"]}),
        (b"le", []),
        (b"3:\xff\xfe\x00", "\udcff\udcfe\x00"),
    ],
)
def test_examples(written: bytes, value: object) -> None:
    assert decode(written) == value
    assert encode(value) == written


def test_what_cannot_be_said_is_written_as_what_comes_nearest() -> None:
    assert encode({"b": True, "a": 0.5, "n": None, "l": [None, False]}) == b"d1:a3:0.51:bi1e1:lli0eee"


@pytest.mark.parametrize(
    "written",
    [b"", b"5:spam", b"i3", b"ie", b"l", b"d", b"d3:cow", b"di1ei1ee", b"4:spamx", b"l" * 1_000, b"99999999:"],
)
def test_what_is_malformed_is_refused(written: bytes) -> None:
    with pytest.raises(Malformed):
        decode(written)


@given(VALUES)
def test_round_trip(value: object) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=60))
def test_nothing_else_is_raised(data: bytes) -> None:
    try:
        decode(data)
    except Malformed:
        pass
