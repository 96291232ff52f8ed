"""The tables of a TOML document, each read by itself, so that one mistake hides no other.

What lives here: asking for a table or an array of tables by its key, and what nobody asked for. What does not: which
keys there are (`config`), how one table becomes a value (`structuring`).
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from gateway.config.structuring import Mistake, Reader

T = TypeVar("T")


class Tables:
    """A document's tables as values; `mistakes` grows as they are asked for."""

    def __init__(self, document: dict[str, object], reader: Reader) -> None:
        self._document = document
        self._reader = reader
        self._asked: set[str] = set()
        self.mistakes: list[Mistake] = []

    def one(self, key: str, cls: type[T], default: T | None = None) -> T | None:
        """The table [key], `default` where it is absent, None where it is wrong."""
        self._asked.add(key)
        if key not in self._document:
            if default is None:
                self.mistakes.append(Mistake(key, f"is missing: a table [{key}] is needed"))
            return default
        value, mistakes = self._reader.read(cls, self._document[key], key)
        self.mistakes += mistakes
        return value

    def many(self, key: str, cls: type[T]) -> list[tuple[str, T]]:
        """The tables [[key]] that could be read, each with its path, such as `listener[0]`."""
        self._asked.add(key)
        entries = []
        for index, table in enumerate(self._array(key)):
            value, mistakes = self._reader.read(cls, table, f"{key}[{index}]")
            self.mistakes += mistakes
            if value is not None:
                entries.append((f"{key}[{index}]", value))
        if not self._array(key):
            self.mistakes.append(Mistake(key, f"is missing: at least one table [[{key}]] is needed"))
        return entries

    def pairs(self, key: str, *columns: str) -> set[tuple[object, ...]]:
        """What the tables [[key]] hold in `columns`, wrong ones too: a wrong provider is still no unknown provider."""
        rows = [table for table in self._array(key) if isinstance(table, dict)]
        return {tuple(str(table.get(column)) for column in columns) for table in rows}

    def unknown(self) -> Iterator[Mistake]:
        """One mistake for each table that nobody asked for."""
        allowed = ", ".join(sorted(self._asked))
        for key in sorted(self._document.keys() - self._asked):
            yield Mistake(key, f"is no table here, allowed: {allowed}")

    def _array(self, key: str) -> Sequence[object]:
        value = self._document.get(key, [])
        return value if isinstance(value, list) else [value]
