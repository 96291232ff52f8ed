"""Dialled numbers as E.164, and their classes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.base.telephone_numbers import REGIONS, DestinationClass, read_number

INTERNATIONAL, PREMIUM = DestinationClass.INTERNATIONAL, DestinationClass.PREMIUM
UNALLOCATED = DestinationClass.UNALLOCATED


@pytest.mark.parametrize(
    ("dialled", "region", "text"),
    [
        ("0301234567", "DE", "+49301234567"),
        ("030/1234567", "DE", "+49301234567"),
        ("030-123 45 67", "DE", "+49301234567"),
        ("0049301234567", "DE", "+49301234567"),
        ("+49301234567", "DE", "+49301234567"),
        ("%2B49301234567", "DE", "+49301234567"),
        ("+49301234567;phone-context=example.com", "DE", "+49301234567"),
        ("00881612345678", "DE", "+881612345678"),
        ("0612345678", "IT", "+390612345678"),
        ("2125551234", "US", "+12125551234"),
        ("011442079460958", "US", "+442079460958"),
        ("+25290123456", "DE", "+25290123456"),
    ],
)
def test_one_number_is_one_text_however_it_is_dialled(dialled: str, region: str, text: str) -> None:
    assert read_number(dialled, region).text == text


@pytest.mark.parametrize(
    ("dialled", "region"),
    [
        ("4711", "DE"),  # an extension
        ("301234", "DE"),  # a number of the same town
        ("112", "DE"),
        ("911", "US"),
        ("0900123456", "DE"),  # too short for the plan
        ("*31#0301234567", "DE"),
        ("0301234567", None),
        ("alice", "DE"),
        ("anonymous", "DE"),
        ("", "DE"),
        ("1" * 200, "DE"),
    ],
)
def test_a_number_that_cannot_be_read_for_certain_stays_as_it_is(dialled: str, region: str | None) -> None:
    assert read_number(dialled, region).text == dialled


@pytest.mark.parametrize(
    ("dialled", "region", "classes"),
    [
        ("0301234567", "DE", set()),
        ("01803123456", "DE", set()),  # shared cost: its price has a ceiling
        ("0015551234", "DE", {INTERNATIONAL, UNALLOCATED, PREMIUM}),
        ("+442079460958", "DE", {INTERNATIONAL}),
        ("+442079460958", "GB", set()),
        ("+18764251234", "US", {INTERNATIONAL}),  # Jamaica has the same country code
        ("+14165550123", "US", {INTERNATIONAL}),
        ("+19995551234", "US", {INTERNATIONAL, UNALLOCATED, PREMIUM}),
        ("+881612345678", "DE", {INTERNATIONAL, PREMIUM}),
        ("+88299123456", "DE", {INTERNATIONAL, PREMIUM}),
        ("+883510012345", "DE", {INTERNATIONAL, PREMIUM}),
        ("+979123456789", "DE", {INTERNATIONAL, PREMIUM}),
        ("+870773123456", "DE", {INTERNATIONAL, PREMIUM}),
        ("+80012345678", "DE", set()),
        ("09001234567", "DE", {PREMIUM}),
        ("+449012345678", "DE", {INTERNATIONAL, PREMIUM}),
        ("+25290123456", "DE", {INTERNATIONAL, UNALLOCATED, PREMIUM}),
        ("+999123456", "DE", {INTERNATIONAL, UNALLOCATED, PREMIUM}),
        ("4711", "US", set()),
        ("+49301234567", None, set()),  # nobody knows where home is
        ("+881612345678", None, {PREMIUM}),
    ],
)
def test_classes_of_destinations(dialled: str, region: str | None, classes: set[DestinationClass]) -> None:
    assert read_number(dialled, region).classes == classes


@pytest.mark.parametrize(
    "dialled",
    [
        "881612345678",
        "000881612345678",
        "00 881 612-345-678",
        "*31#00881612345678",
        "#31#+881612345678",
        "*21*00881612345678#",
        "*21*00881612345678%23",
        "612345678;phone-context=+881",
        "00881612345678p1",
        "00881612345678;phone-context=example.com",
        "+8816123456781234",
    ],
)
def test_an_odd_way_of_writing_is_not_cheaper(dialled: str) -> None:
    number = read_number(dialled, "DE")
    assert PREMIUM in number.classes
    assert number.begins_with("+881")


def test_digits_behind_a_premium_number_do_not_make_it_another() -> None:
    assert read_number("0900123456799", "DE").classes == {PREMIUM}


def test_prefixes() -> None:
    assert read_number("+499001234567", "DE").begins_with("0900")
    assert read_number("09001234567", "DE").begins_with("+49900")
    assert read_number("0900123456", "DE").begins_with("0900")
    assert read_number("090012", None).begins_with("0900")
    assert not read_number("+449001234567", "DE").begins_with("0900")
    assert not read_number("alice", "DE").begins_with("0")


@given(
    st.text(max_size=70) | st.from_regex(r"[+0-9*#;()\-. p=a-z%]{0,70}", fullmatch=True),
    st.sampled_from(sorted(REGIONS)),
)
def test_any_text_has_an_answer(user: str, region: str) -> None:
    number = read_number(user, region)
    assert number.text == user or re.fullmatch(r"\+[0-9]{4,18}", number.text)
    assert UNALLOCATED not in number.classes or PREMIUM in number.classes


@given(st.integers(10**6, 10**14), st.sampled_from(sorted(REGIONS)))
def test_a_text_that_was_read_is_read_again_as_itself(digits: int, region: str) -> None:
    first = read_number(f"+{digits}", region)
    assert read_number(first.text, region).text == first.text


@pytest.mark.parametrize(
    "dialled",
    [
        "00881612345678;npdi;x=" + "a" * 60,  # longer than any number
        "0" + "-" * 60 + "0881612345678",
        "".join(f"%{ord(digit):02x}" for digit in "0088161234567890123456"),
        "881612345678;x=" + "a" * 60,
        "612345678;x=" + "a" * 60 + ";phone-context=+881",
        "00881612345678" + "1" * 90,
        "++881612345678",
        "00~881612345678",
        "00,881612345678",
        "00%E2%80%8B881612345678",
        "*00881612345678",
        "**00881612345678",
        "*67 00881612345678",
        "*6700881612345678",
        "%2A6700881612345678",
        "*31#*67#00881612345678",
        "*1234*00881612345678",
        "00+881612345678",
        "0088+1612345678",
        "0+881612345678",
        "*31#0088+1612345678",
        "x+881612345678",
        "0088*1612345678",
        "0088#1612345678",
        "*31#0088*1612345678",
        "*31#*67#0088#16*12345678",
        "612345678;phone-context=+8-81",
        "612345678;phone-context=example.com;phone-context=+881",
        "0301234567;rn=+881612345678",
        "0301234567;npdi;RN=00881-612345678",
        "0301234567;rn=612345678;rn-context=+881",
        "0301234567;rn-context=+8-81;rn=612345678",
        "0301234567;x=" + "a" * 60 + ";rn=" + "-" * 60 + "+881612345678",
        "0301234567;x=" + "a" * 60 + ";rn=612345678;rn-context=+881",
    ],
)
def test_no_way_of_writing_makes_an_expensive_number_cheap(dialled: str) -> None:
    assert read_number(dialled, "DE").classes >= {INTERNATIONAL, PREMIUM}


@pytest.mark.parametrize("dialled", ["011881612345678" + "1" * 20, "19005551234" + "1" * 20])
def test_digits_behind_the_end_make_no_number_cheap_in_north_america(dialled: str) -> None:
    assert PREMIUM in read_number(dialled, "US").classes


@pytest.mark.parametrize(
    "dialled", ["0301234567*12345678901#", "0301234567#22", "+49301234567*1", "0301234567;rn=0301234568", "8000*1234"]
)
def test_keys_behind_a_number_at_home_make_it_no_expensive_one(dialled: str) -> None:
    assert read_number(dialled, "DE").classes == set()


def test_a_routing_number_is_not_the_number_that_was_dialled() -> None:
    """RFC 4694 section 5."""
    number = read_number("0301234567;rn=+881612345678", "DE")
    assert number.text == "0301234567;rn=+881612345678"
    assert number.begins_with("+881")
    assert read_number("0301234567;rn=0301234568", "DE").text == "+49301234567"


def test_a_long_text_stays_as_it_is() -> None:
    dialled = "00881612345678;npdi;x=" + "a" * 60
    assert read_number(dialled, "DE").text == dialled


@pytest.mark.parametrize("dialled", ["*21*0301234567#", "%2A21*0301234567#", "*21*0301234567%23;x=" + "a" * 60, "*21"])
def test_a_prefix_may_be_a_service_code(dialled: str) -> None:
    assert read_number(dialled, "DE").begins_with("*21")
    assert not read_number("21" + dialled, "DE").begins_with("*21")
