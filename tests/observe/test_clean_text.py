"""Text of peers that is kept and shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.clean_text import clean, clean_json, is_clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sip:alice@example.com", "sip:alice@example.com"),
        ("Jürgen Müller", "Jürgen Müller"),
        (b"J\xfcrgen".decode("utf-8", "surrogateescape"), r"J\xfcrgen"),
        ("a\0b", r"a\x00b"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("one\u202etwo", r"one\u202etwo"),
        ("line\u2028line", r"line\u2028line"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_characters_that_nobody_can_keep_or_show_are_escapes(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert is_clean(shown)
    assert is_clean(text) is (text == shown)


@given(st.binary(max_size=60))
def test_any_bytes_become_text_that_can_be_written(data: bytes) -> None:
    shown = clean(data.decode("utf-8", "surrogateescape"))
    assert is_clean(shown)
    assert clean(shown) == shown
    shown.encode()


def test_values_are_cleaned_in_depth() -> None:
    assert clean_json({"a\udcff": ["\udcfe", 1, None, {"b": "\0"}]}) == {r"a\xff": [r"\xfe", 1, None, {"b": r"\x00"}]}
