"""JSON as it is written and read: what the standard library understands, whatever the text holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.json_codec import decode, encode

TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # half surrogate pairs, too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    written = encode(value)

    assert decode(written) == json.loads(written) == value
    assert decode(written.decode()) == value


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**64 + 1, 10**30, 2**63, 10**18])
def test_a_whole_number_of_any_length_stays_whole(number: int) -> None:
    for value in (number, [number], [1, number], {"a": number}, {"a": [{"b": -number}]}):
        assert decode(encode(value)) == decode(encode(value).decode()) == value
        assert decode(json.dumps(value, indent=1)) == value


def test_white_space_is_spared() -> None:
    assert encode({"a": [1, "\ud800"]}) == b'{"a":[1,"\\ud800"]}'
    assert encode({"a": [1, "ä"]}) == '{"a":[1,"ä"]}'.encode()


def test_what_json_has_not_is_refused() -> None:
    with pytest.raises(TypeError):
        encode({"a": object()})


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[1] 2", "{'a': 1}"])
def test_what_is_no_json_is_refused(text: bytes | str) -> None:
    with pytest.raises((ValueError, json.JSONDecodeError)):
        decode(text)
