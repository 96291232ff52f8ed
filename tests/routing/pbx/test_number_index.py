"""The PBX of a number, among many blocks of many PBXs."""

from __future__ import annotations

import random

import attrs
import pytest

from gateway.config.model import Domain
from gateway.config.tables.phones.number_block import NumberBlock
from gateway.routing.pbx.pbx import Pbx
from gateway.routing.pbx.pbxs import NumberIndex
from tests.routing.pbx.test_pbx_calls import OFFICE

BLOCKS = {
    "a": ("+49301000-+49301999", "+4940", "200-299"),
    "b": ("+493020*", "+49302100", "2000"),
    "c": ("+49301500000-+49301599999", "300*"),
}


def pbx(name: str) -> Pbx:
    terms = attrs.evolve(
        OFFICE, name=name, numbers=tuple(map(NumberBlock.parse, BLOCKS[name])), account=f"account-{name}"
    )
    return Pbx(terms, Domain("example.com", "main"), name, lambda: 0.0)


ALL = [pbx(name) for name in BLOCKS]
INDEX = NumberIndex(ALL)


@pytest.mark.parametrize(
    ("number", "owner"),
    [
        ("+49301000", "a"),
        ("+49301999", "a"),
        ("+49302000", "b"),
        ("+49302100", "b"),
        ("+49302101", None),
        ("+493015000001", None),
        ("+49301500001", "c"),
        ("250", "a"),
        ("2000", "b"),
        ("300", "c"),
        ("3001", "c"),
        ("30", None),
        ("+4930209999999999", None),
        ("account-b", "b"),
        ("account-", None),
        ("+", None),
    ],
)
def test_a_number_is_of_the_pbx_whose_block_has_it(number: str, owner: str | None) -> None:
    found = INDEX.find(number, (number,))
    assert (None if found is None else found.terms.name) == owner


def test_it_says_the_same_as_a_look_at_each_block() -> None:
    chance = random.Random(5)
    for _ in range(3000):
        number = chance.choice(("+4930", "+4940", "2", "3", "+49301", "+493020"))
        number += "".join(chance.choices("0123456789", k=chance.randint(0, 9)))
        wanted = [one for one in ALL if any(has(block, number) for block in one.terms.numbers)]
        assert INDEX.find(number, (number,)) is (wanted[0] if wanted else None), number


def has(block: NumberBlock, number: str) -> bool:
    if block.is_prefix:
        return number.startswith(block.first) and len(number.lstrip("+")) <= 15
    return len(number) == len(block.first) and block.first <= number <= block.last
