"""What the provider tells the demonstration: one JSON object a line on its standard output.

What lives here: the events, and both directions of the translation. What does not: who acts on them (`orchestrate`).
"""

from __future__ import annotations

import json
from typing import TypeAlias

from attrs import frozen
from cattrs import Converter
from cattrs.errors import BaseValidationError

from gateway.demo.audio.listen import Heard


@frozen
class Listening:
    """The provider takes connections now."""

    address: str
    port: int


@frozen
class Registered:
    """A user's phone can be reached."""

    user: str
    contact: str


@frozen
class CallRefused:
    """An INVITE was given a final response because of what it offered."""

    call_id: str
    status: int
    reason: str


@frozen
class CallEnded:
    """A call is over."""

    call_id: str
    heard: Heard


Event: TypeAlias = Listening | Registered | CallRefused | CallEnded

_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Listening, Registered, CallRefused, CallEnded)}
_converter = Converter()


def to_line(event: Event) -> str:
    """The event as one line, without its end."""
    return json.dumps({"event": type(event).__name__, **_converter.unstructure(event)})


def from_line(line: str) -> Event | None:
    """The event of a line; None when the line is something else."""
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("event")]
        return _converter.structure(fields, kind)
    except (ValueError, KeyError, TypeError, AttributeError, BaseValidationError):
        return None
