"""Codes of authenticator apps: the vectors of RFC 6238, drift, and each code once."""

from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.admin.accounts import second_factor
from gateway.admin.accounts.second_factor import address_for_app, code_at, kept_of, new_recovery_codes, step_of

SEEDS = {
    "sha1": b"12345678901234567890",
    "sha256": b"12345678901234567890123456789012",
    "sha512": b"1234567890123456789012345678901234567890123456789012345678901234",
}


@pytest.mark.parametrize(
    ("seconds", "sha1", "sha256", "sha512"),
    [
        (59, "94287082", "46119246", "90693936"),
        (1111111109, "07081804", "68084774", "25091201"),
        (1111111111, "14050471", "67062674", "99943326"),
        (1234567890, "89005924", "91819424", "93441116"),
        (2000000000, "69279037", "90698825", "38618901"),
        (20000000000, "65353130", "77737706", "47863826"),
    ],
)
def test_the_vectors_of_rfc_6238_appendix_b(seconds: int, sha1: str, sha256: str, sha512: str) -> None:
    for algorithm, expected in (("sha1", sha1), ("sha256", sha256), ("sha512", sha512)):
        assert code_at(SEEDS[algorithm], seconds // 30, digits=8, algorithm=algorithm) == expected
    assert code_at(SEEDS["sha1"], seconds // 30) == sha1[-6:]


def test_a_code_counts_for_its_step_and_one_to_either_side() -> None:
    secret, now = SEEDS["sha1"], 3000.0
    for step, counts in ((98, False), (99, True), (100, True), (101, True), (102, False)):
        assert step_of(secret, code_at(secret, step), now, after=0) == (step if counts else None)


def test_a_code_counts_once_and_no_older_one_after_it() -> None:
    secret = SEEDS["sha1"]
    assert step_of(secret, code_at(secret, 100), 3000.0, after=100) is None
    assert step_of(secret, code_at(secret, 99), 3000.0, after=100) is None
    assert step_of(secret, code_at(secret, 101), 3000.0, after=100) == 101


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "\udcff", "0" * 10_000])
def test_nonsense_is_no_code(code: str) -> None:
    assert step_of(SEEDS["sha1"], code, 3000.0, after=0) is None


def test_apps_get_the_secret_the_user_and_the_gateway() -> None:
    address = urlsplit(address_for_app(SEEDS["sha1"], "alice", "gw main"))
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/gw%20main:alice")
    assert parse_qs(address.query) == {"secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"], "issuer": ["gw main"]}


def test_recovery_codes_are_many_different_and_kept_as_hashes() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert kept_of(codes[0].upper().replace("-", " ")) == kept_of(codes[0])
    assert codes[0] not in kept_of(codes[0])
