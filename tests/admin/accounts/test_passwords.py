"""Passwords: demands on new ones, and hashes."""

from base64 import b64encode

import pytest

from gateway.admin.accounts.passwords import LONGEST, fault_of, hash_of, matches, nobody


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("too-short-1", "12 to 256"),
        ("x" * (LONGEST + 1), "12 to 256"),
        ("correct horse\x00", "control"),
        ("qwerty123456", "common"),
        ("QWERTY123456", "common"),
        ("Password2026!", "common"),
        ("!!2026dragon2026", "common"),
        ("aaaaaaaaaaaaaaa", "too few"),
        ("correct1correct1", "too few"),
        ("christopher-b", "name"),
        ("1christopher-b1", "name"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, fault: str) -> None:
    said = fault_of(password, "christopher-b")
    assert said is not None
    assert fault in said
    assert password not in said, "an error never repeats a password"


@pytest.mark.parametrize(
    "password", ["correct horse battery", "Grüße aus Köln 7", "tr0ub4dor&3-staple", "密码密码安全得很呢真的吗?"]
)
def test_a_long_password_of_any_characters_will_do(password: str) -> None:
    assert fault_of(password, "alice") is None


def test_the_list_of_common_ones_is_there_and_as_long_as_promised() -> None:
    from gateway.admin.accounts.passwords import _common

    assert len(_common()) >= 10_000
    assert {"password", "qwerty123456", "123456"} <= _common()


def test_a_hash_is_of_one_password_and_salted() -> None:
    kept = hash_of("correct horse battery")
    assert matches("correct horse battery", kept)
    assert not matches("correct horse batterz", kept)
    assert kept != hash_of("correct horse battery")
    assert "correct" not in kept


def test_the_vector_of_rfc_7914() -> None:
    digest = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    )  # section 12, 32 of 64 bytes
    kept = f"scrypt$14:8:1${b64encode(b'SodiumChloride').decode()}${b64encode(digest).decode()}"
    assert matches("pleaseletmein", kept)


def test_one_password_typed_on_two_keyboards_is_the_same() -> None:
    assert matches("caf\u00e9 am Marktplatz", hash_of("cafe\u0301 am Marktplatz"))


def test_the_hash_of_nobody_costs_as_much_and_matches_nothing() -> None:
    assert nobody().split("$")[:2] == hash_of("correct horse battery").split("$")[:2]
    assert not matches("", nobody())


@pytest.mark.parametrize("kept", ["", "md5$x$y$z", "scrypt$30:8:1$AAAA$AAAA", "scrypt$15:8$AAAA$AAAA"])
def test_a_hash_that_is_none_raises(kept: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        matches("correct horse battery", kept)
