"""The parameters of a request, and the change that it carries, as values of the classes that its route names.

    ?limit=50&since=24h --read_query(CallsQuery)--> CallsQuery(limit=50, since=1.7e9)      Rejected 400: unknown, twice,
    {"security": "off"} --read_change(Switch)-----> Switch(security="off")                 of another kind, out of range

A field's type says how its text is read, and its metadata (`said`) the description and the range that the document of
the API shows (document.py): a route has one class, so both are the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, NewType, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.http_bodies import asked_of
from gateway.base.clock import seconds_in

LONGEST: Final = 500
"""Characters of a parameter."""
MOST: Final = 50
"""Parameters of a request."""

Moment = NewType("Moment", float)
"""Seconds since the epoch; in a query also a date and time (RFC 3339), or the time that has passed since: 90s, 24h."""

Cursor = NewType("Cursor", str)
"""A place in a list, as an answer gave it."""
LONGEST_CURSOR: Final = 8_192

Parameters = TypeVar("Parameters", bound=attrs.AttrsInstance)

_LATEST: Final = 1e11
_YES_OR_NO: Final = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def said(description: str, default: Any = attrs.NOTHING, least: int | None = None, most: int | None = None) -> Any:
    """A field with a description, and a range for numbers."""
    return attrs.field(default=default, metadata={"description": description, "least": least, "most": most})


def read_query(kind: type[Parameters], request: IRequest, now: float) -> Parameters:
    """The parameters in a request's query. Raises Rejected."""
    try:
        asked = parse_qsl(
            request.uri.partition(b"?")[2].decode("ascii"),
            keep_blank_values=True,
            strict_parsing=False,
            errors="strict",
            max_num_fields=MOST,
        )
    except ValueError:
        raise Rejected(400, f"The query is no UTF-8, or has more than {MOST} parameters.") from None
    return _read(kind, asked, lambda wanted, text: _of_text(wanted, text, now))


def read_change(kind: type[Parameters], request: IRequest) -> Parameters:
    """The change that a request carries. Raises Rejected."""
    return _read(kind, list(asked_of(request).items()), _of_json)


def parts_of(wanted: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was in it."""
    if get_origin(wanted) in (Union, UnionType):
        others = [one for one in get_args(wanted) if one is not NoneType]
        return (others[0] if len(others) == 1 else wanted), len(others) < len(get_args(wanted))
    return wanted, False


def _read(kind: type[Parameters], asked: list[tuple[str, Any]], read: Callable[[Any, Any], Any]) -> Parameters:
    fields: Mapping[str, attrs.Attribute[Any]] = {field.name: field for field in attrs.fields(kind)}
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in asked:
        if name not in fields:
            raise Rejected(400, f"There is no {name[:40]} here: {', '.join(fields) or 'nothing is asked for'}.")
        if name in values:
            raise Rejected(400, f"{name} is there twice.")
        try:
            wanted, may_be_nothing = parts_of(types[name])
            is_nothing = value is None and may_be_nothing
            values[name] = None if is_nothing else _within(fields[name], read(wanted, value))
        except ValueError as error:
            raise Rejected(400, f"{name}: {error}.") from None
    missing = [name for name, field in fields.items() if field.default is attrs.NOTHING and name not in values]
    if missing:
        raise Rejected(400, f"{missing[0]} is missing: {fields[missing[0]].metadata.get('description', '')}")
    return kind(**values)


def _of_text(wanted: Any, text: str, now: float) -> Any:
    most = LONGEST_CURSOR if wanted is Cursor else LONGEST
    if len(text) > most:
        raise ValueError(f"a text of {most} characters at most")
    if wanted is Cursor:
        return Cursor(text)
    if wanted is Moment:
        return _moment(text, now)
    if wanted is bool:
        if text.lower() not in _YES_OR_NO:
            raise ValueError("true or false")
        return _YES_OR_NO[text.lower()]
    if wanted is int:
        if re.fullmatch(r"-?[0-9]{1,15}", text) is None:
            raise ValueError("a whole number")
        return int(text)
    if get_origin(wanted) is tuple:
        return tuple(_of_text(get_args(wanted)[0], one, now) for one in text.split(","))
    return _of_json(wanted, text)


def _of_json(wanted: Any, value: Any) -> Any:
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        allowed = [str(one) for one in wanted]
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return wanted(value)
    if get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise ValueError("a list of texts")
        return tuple(_of_json(get_args(wanted)[0], one) for one in value)
    if wanted is str and (not isinstance(value, str) or len(value) > LONGEST or not _is_text(value)):
        raise ValueError(f"a text of {LONGEST} characters at most")
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError({bool: "true or false", int: "a whole number"}.get(wanted, "of another kind"))
    return value


def _is_text(value: str) -> bool:
    """Whether every file takes it: no NUL, and no half of a surrogate pair, which JSON can escape."""
    return "\x00" not in value and (value.isascii() or value == value.encode("utf-8", "replace").decode())


def _moment(text: str, now: float) -> Moment:
    passed = seconds_in(text, needs_unit=True)
    if passed is not None:
        return Moment(now - passed)
    try:
        at = float(text)
    except ValueError:
        try:
            given = datetime.fromisoformat(text)
            at = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            at = math.nan
    if not 0 <= at <= _LATEST:
        raise ValueError("a time: seconds since the epoch, 2026-01-31T23:59:59Z, or 24h for the last day")
    return Moment(at)


def _within(field: attrs.Attribute[Any], value: Any) -> Any:
    least, most = field.metadata.get("least"), field.metadata.get("most")
    if isinstance(value, int) and ((least is not None and value < least) or (most is not None and value > most)):
        raise ValueError(f"from {least} to {most}")
    return value
