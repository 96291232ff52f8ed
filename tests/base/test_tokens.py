"""Random bytes, fetched for many tokens at once."""

from collections.abc import Iterator
from itertools import count

from gateway.base.tokens import FETCHED, Random


def test_no_byte_is_given_twice() -> None:
    fetched: list[bytes] = []

    def draw(size: int) -> bytes:
        fetched.append(bytes((len(fetched),)) * size)
        return fetched[-1]

    random = Random(draw)
    assert [random.take(FETCHED - 4), random.take(4), random.take(4)] == [bytes(FETCHED - 4), bytes(4), b"\1" * 4]
    assert [len(each) for each in fetched] == [FETCHED, FETCHED]


def test_what_is_left_is_too_little_and_let_go_of() -> None:
    numbers: Iterator[int] = count()
    random = Random(lambda size: bytes((next(numbers),)) * size)
    random.take(FETCHED - 2)
    assert random.take(4) == b"\1" * 4
    assert random.take(2 * FETCHED) == b"\2" * 2 * FETCHED


def test_tokens_have_64_bits_and_differ() -> None:
    random = Random()
    tokens = {random.token() for _ in range(2000)}
    assert len(tokens) == 2000
    assert {len(token) for token in tokens} == {16}
