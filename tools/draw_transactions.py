"""Draws docs/transactions.md from the tables of gateway/transaction: `python tools/draw_transactions.py` writes it.

tests/transaction/test_drawing.py fails when the document is not what the tables say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.transaction.machine import REPEATING  # noqa: E402
from gateway.transaction.tables import (  # noqa: E402
    MACHINES,
    NEVER_RELIABLE,
    STARTED_TIMER,
    ZERO_RELIABLE,
    Action,
    Event,
    Machine,
    State,
    over_reliable,
)
from gateway.transaction.timers import DURATION, GATHERED, LONGEST_INTERVAL, T4  # noqa: E402

DOCUMENT = ROOT / "docs" / "transactions.md"

INTRODUCTION = """\
# Transactions

<!-- Written by tools/draw_transactions.py from gateway/transaction/tables.py and timers.py: change those. -->

The four state machines of RFC 3261 section 17, as corrected by RFC 6026 (Accepted, timers L and M) and RFC 4320
(requests other than INVITE). An arrow reads: what happens / what is done. An event without an arrow in a state
is absorbed and counted. The drawings are for UDP. Over TCP and TLS timers A, E and G never run, and the states that
only wait for late copies (timers D, I, J and K) take no time; the tables say where the arrows lead then.

A message passes through these: `gateway/transaction/layer.py` finds the transaction of a message, the tables say
what to do, and `client.py` and `server.py` do it. "Core" is who answers requests, "user" is who sent one.
"""


def document() -> str:
    """The whole text."""
    parts = [INTRODUCTION, *(_section(machine) for machine in MACHINES), _timers()]
    return "\n".join(parts)


def _section(machine: Machine) -> str:
    lines = [f"## {machine.name}", "", f"{machine.section}.", "", "```mermaid", "stateDiagram-v2"]
    lines += [f"    {line}" for line in _arrows(machine)]
    lines += ["```", "", "| state | event | actions | next over UDP | next over TCP and TLS |", "|---|---|---|---|---|"]
    lines += _table(machine)
    return "\n".join([*lines, ""])


def _arrows(machine: Machine) -> Iterator[str]:
    """One arrow for each pair of states, with all that leads there."""
    labels: dict[tuple[State, State], list[str]] = {}
    for (state, event), (actions, next_state) in machine.rows.items():
        done = ", ".join(
            action for action in actions if action not in STARTED_TIMER and action is not Action.STOP_TRYING
        )
        labels.setdefault((state, next_state), []).append(f"{event} / {done}" if done else str(event))
    for (state, next_state), texts in labels.items():
        start = "[*]" if state is State.INITIAL else state
        end = "[*]" if next_state is State.TERMINATED else next_state
        yield f"{start} --> {end}: {'<br>'.join(texts)}"


def _table(machine: Machine) -> Iterator[str]:
    reliable = over_reliable(machine)
    for (state, event), (actions, next_state) in machine.rows.items():
        row = reliable.rows.get((state, event))
        other = "never" if row is None else row[1]
        yield f"| {state} | {event} | {', '.join(actions)} | {next_state} | {other} |"


def _timers() -> str:
    lines = ["## Timers", "", "| timer | over UDP | over TCP and TLS | |", "|---|---|---|---|"]
    lines += [
        f"| {timer} | {seconds:g} s | {_reliable(timer)} | {_remark(timer)} |" for timer, seconds in DURATION.items()
    ]
    late = f"Timers of {T4:g} s and longer expire together, up to {GATHERED:g} s late."
    return "\n".join([*lines, "", late, ""])


def _reliable(timer: Event) -> str:
    if timer in NEVER_RELIABLE:
        return "never"
    return "0" if timer in ZERO_RELIABLE else f"{DURATION[timer]:g} s"


def _remark(timer: Event) -> str:
    if timer in LONGEST_INTERVAL:
        return f"doubles, to {LONGEST_INTERVAL[timer]:g} s"
    return "" if timer in REPEATING else "limits the state"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
