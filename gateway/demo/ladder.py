"""A call's SIP messages as a ladder: three columns, time downward.

What lives here: drawing. What does not: fetching the messages from the gateway (`orchestrate`). An arrow's text comes
from the gateway's own record of the call: one entry for each message of a leg, received or sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

from attrs import frozen

_WIDTH = 28  # of the space between two columns
_MARGIN = 11  # the column of times


@frozen
class Step:
    """One message of one leg of the call."""

    at: float  # seconds since the epoch
    leg: str  # "caller" or "callee"
    direction: str  # "received" or "sent", as the gateway sees it
    what: str  # a method, or a status and its reason


def draw(steps: Sequence[Step], caller: str = "phone", callee: str = "provider") -> str:
    """The ladder as lines of text; times are seconds since the first message."""
    ordered = sorted(steps, key=lambda step: step.at)
    begin = ordered[0].at if ordered else 0.0
    return "\n".join([_heading(caller, callee), *(_rung(step, step.at - begin) for step in ordered)])


def _heading(caller: str, callee: str) -> str:
    centres = ((_MARGIN, caller), (_MARGIN + _WIDTH + 1, "gateway"), (_MARGIN + 2 * (_WIDTH + 1), callee))
    line = ""
    for column, name in centres:
        line = line.ljust(max(len(line), column - len(name) // 2)) + name
    return line


def _rung(step: Step, seconds: float) -> str:
    spaces = (" " * _WIDTH, " " * _WIDTH)
    on_left = step.leg == "caller"
    to_right = on_left == (step.direction == "received")
    arrow = _arrow(step.what, to_right)
    left, right = (arrow, spaces[1]) if on_left else (spaces[0], arrow)
    return f"{seconds:8.3f} s |{left}|{right}|"


def _arrow(what: str, to_right: bool) -> str:
    room = _WIDTH - 4
    shaft = f" {shorten(what, room, placeholder='')} ".center(_WIDTH - 1, "-")
    return shaft + ">" if to_right else "<" + shaft
