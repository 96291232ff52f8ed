"""TOML tables to attrs values, with every mistake told at once.

Here: strict structuring (a number is no string, an unknown key is a mistake) on top of cattrs, and the words of the
mistakes. Not here: the keys (`model`), files, defaults. A class says by its types which values it accepts; an
`Annotated[T, reader]` field is read by `reader(value) -> T`, which raises `Unacceptable`.

    table -> Reader.read -> value of the class, or all that can be read of it and one Mistake for each wrong value

A wrong value must not hide the other mistakes of its table. So the rest of it is read all the same, and stands in for
the table in the checks that come after (`checks`); one that asks for the wrong value raises `Unread` and is left out.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import homogenous_tuple_structure_factory
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn

T = TypeVar("T")


class Unacceptable(ValueError):
    """A value that the field does not take; `allowed` describes in words the values that it takes."""

    def __init__(self, found: object, allowed: str) -> None:
        super().__init__(f"found {shown(found)}, allowed: {allowed}")


class Unread(Exception):
    """A value was asked for that the file has wrong, or does not have though it must."""


class PartlyRead:
    """The values of a table that could be read, and `Unread` in place of the others. Never part of a Configuration."""

    def __init__(self, values: dict[str, object]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        """Raises Unread."""
        raise Unread(name)


def known(table: object, key: str) -> Any:
    """The value of a key; None where it is wrong, too."""
    try:
        return getattr(table, key)
    except Unread:
        return None


def is_set(table: object, cls: type[attrs.AttrsInstance], key: str) -> bool:
    """Whether a key has a value of its own, and not the one that it has when it is left out."""
    value = known(table, key)
    return value is not None and value != getattr(attrs.fields(cls), key).default


@attrs.frozen
class Mistake:
    """One thing that is wrong: the path of the key (`domain[0].security`) and the remedy."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def shown(value: object) -> str:
    """`value` as a person wrote it in TOML; tables and arrays are only named."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\n", "\\n") + '"'
        case dict():
            return "a table"
        case list():
            return "an array" if value else "an empty array"
        case _:
            return str(value)


def each(entries: Iterable[tuple[str, T]], *checks: Callable[[str, T], Iterator[Mistake]]) -> Iterator[Mistake]:
    """The mistakes that these checks find in tables, each given with its path; one that raises Unread finds none."""
    for path, entry in entries:
        for check in checks:
            try:
                yield from check(path, entry)
            except Unread:
                continue


def repeated(key: str, values: list[tuple[str, str | None]]) -> Iterator[Mistake]:
    """A mistake for each table whose key has the value of one before it; None is no value. Given with their paths."""
    first: dict[str, str] = {}
    for path, value in values:
        if value is None:
            continue
        if value in first:
            yield Mistake(f"{path}.{key}", f"found {shown(value)}, which {first[value]} has already")
        first.setdefault(value, path)


class Reader:
    """Structures tables; a relative path in one of them is relative to `base`."""

    def __init__(self, base: Path) -> None:
        self._converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
        self._base = base
        hook = self._converter.register_structure_hook
        factory = self._converter.register_structure_hook_factory
        hook(str, lambda value, _: _of_type(str, value, "a string"))
        hook(int, lambda value, _: _of_type(int, value, "a number"))
        hook(bool, lambda value, _: _of_type(bool, value, "true or false"))
        hook(Path, lambda value, _: self._path(value))
        hook(StrEnum, lambda value, cls: _member(cls, value))
        factory(_is_keyword_or_path, self._keyword_hook)
        factory(attrs.has, self._table_hook)
        factory(_is_array, self._array_hook)
        factory(_is_annotated, lambda t: _reader_hook(t.__metadata__[0]))

    def read(self, cls: type[T], table: object, path: str) -> tuple[T | None, list[Mistake]]:
        """The value of `table` as a `cls`; with mistakes, a stand-in of all that could be read (None: it is no table).

        `path` is where the table stands.
        """
        try:
            return self._converter.structure(table, cls), []
        except (cattrs.BaseValidationError, Unacceptable) as error:
            rest = self._readable(cls, table) if isinstance(table, dict) else None
            return cast(T | None, rest), list(_mistakes(error, path))

    def _readable(self, cls: Any, table: dict[str, object]) -> PartlyRead:
        values: dict[str, object] = {}
        for field in attrs.fields(cls):
            if field.name not in table:
                values.update({} if field.default is attrs.NOTHING else {field.name: field.default})
                continue
            try:
                values[field.name] = self._converter.structure(table[field.name], field.type)
            except (cattrs.BaseValidationError, Unacceptable):
                continue
        return PartlyRead(values)

    def _path(self, value: object) -> Path:
        text = _of_type(str, value, "a file name")
        if not text:
            raise Unacceptable(text, "a file name")
        return self._base / Path(text).expanduser()

    def _keyword_hook(self, union: Any) -> Callable[[object, Any], Any]:
        keywords = _keywords(union)
        return lambda value, _: value if value in keywords else self._path(value)

    def _table_hook(self, cls: Any) -> Callable[[object, Any], Any]:
        structure = make_dict_structure_fn(
            cls, self._converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
        )

        def hook(value: object, target: Any) -> Any:
            if not isinstance(value, dict):
                raise Unacceptable(value, "a table")
            return structure(value, target)

        return hook

    def _array_hook(self, cls: Any) -> Callable[[object, Any], Any]:
        structure = homogenous_tuple_structure_factory(cls, self._converter)

        def hook(value: object, target: Any) -> Any:
            if not isinstance(value, list):
                raise Unacceptable(value, "an array")
            return structure(value, target)

        return hook


def one_of(*allowed: str) -> Callable[[object], str]:
    """A reader that takes exactly the strings of `allowed`."""

    def read(value: object) -> str:
        if value not in allowed:
            raise Unacceptable(value, ", ".join(allowed))
        return str(value)

    return read


def number(first: int, last: int) -> Callable[[object], int]:
    """A reader that takes the whole numbers from `first` to `last`."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
            raise Unacceptable(value, f"a number from {first} to {last}")
        return value

    return read


def _is_array(t: Any) -> bool:
    origin: object = get_origin(t)
    return origin is tuple and get_args(t)[1:] == (...,)


def _is_annotated(t: Any) -> bool:
    origin: object = get_origin(t)
    return origin is Annotated


def _keywords(union: Any) -> tuple[object, ...]:
    return tuple(word for part in get_args(union) if get_origin(part) is Literal for word in get_args(part))


def _is_keyword_or_path(t: Any) -> bool:
    """Whether `t` is Literal[...] | Path: a word with a meaning of its own, or a file name."""
    return get_origin(t) in (Union, UnionType) and Path in get_args(t) and bool(_keywords(t))


def _reader_hook(reader: Callable[[object], Any]) -> Callable[[object, Any], Any]:
    return lambda value, _: reader(value)


def _of_type(cls: type[T], value: object, allowed: str) -> T:
    # bool is a subclass of int, and `port = true` is a mistake.
    if type(value) is not cls:
        raise Unacceptable(value, allowed)
    return value


def _member(cls: type[StrEnum], value: object) -> StrEnum:
    return cls(one_of(*cls)(value))


def _mistakes(error: BaseException, path: str) -> Iterator[Mistake]:
    """The leaves of cattrs' tree of exceptions. Anything that is not a mistake of the file is ours, and raised."""
    match error:
        case ClassValidationError():
            attributes, others = error.group_exceptions()
            for leaf, note in attributes:
                yield from _mistakes(leaf, f"{path}.{note.name}" if path else note.name)
            for other in others:
                yield from _mistakes(other, path)
        case IterableValidationError():
            for leaf, index in error.group_exceptions()[0]:
                yield from _mistakes(leaf, f"{path}[{index.index}]")
        case ForbiddenExtraKeysError():
            allowed = ", ".join(field.name for field in attrs.fields(error.cl))
            for key in sorted(error.extra_fields):
                yield Mistake(f"{path}.{key}" if path else key, f"is no key here, allowed: {allowed}")
        case KeyError():
            yield Mistake(path, "is missing")
        case Unacceptable():
            yield Mistake(path, str(error))
        case _:
            raise error
