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
    given = [random.digits(2 * FETCHED - 8), random.digits(8), random.digits(8)]
    assert given == ["00" * (FETCHED - 4), "00" * 4, "01" * 4]
    assert [len(each) for each in fetched] == [FETCHED, FETCHED]


def test_no_digit_is_given_twice() -> None:
    drawn = bytes(range(256)) * (FETCHED // 256)
    random = Random(lambda size: drawn)
    given = [random.token() if number % 2 else random.digits(16) for number in range(2 * FETCHED // 16)]
    assert "".join(reversed(given)) == drawn.hex()


def test_what_is_left_is_too_little_and_let_go_of() -> None:
    numbers: Iterator[int] = count()
    random = Random(lambda size: bytes((next(numbers),)) * size)
    random.digits(2 * FETCHED - 4)
    assert random.digits(8) == "01" * 4
    assert random.digits(4 * FETCHED) == "02" * 2 * FETCHED
    random.digits(2 * FETCHED - 4)
    assert random.token() == "04" * 8


def test_tokens_have_64_bits_and_differ() -> None:
    random = Random()
    tokens = {random.token() for _ in range(2000)}
    assert len(tokens) == 2000
    assert {len(token) for token in tokens} == {16}
