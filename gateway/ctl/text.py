"""How gatewayctl shows answers to people: tables, and the ladder of a call.

Here: text from JSON values. Not here: asking for them (`main`). An answer may come from another
version of the gateway, so a key that is missing is shown as a dash and one that is new gets a column of its own.

Most of an answer is peers' text, which may hold escapes of a terminal, line breaks and characters that turn the
direction of writing. `shown` and `as_json` are the only ways from an answer to a terminal, and neither lets them by.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import shorten
from typing import Any, cast

from gateway.observe.clean_text import clean, clean_json
from gateway.state.remedies import anchor, remedy_for

CALL_COLUMNS = ("id", "started_at", "direction", "caller", "callee", "state", "verdict", "reason")
_BEGIN_FORMULAS = tuple("=+-@＝＋－＠")  # the wide ones for spreadsheets in East Asia
_LANE = 28  # characters between two lines of a ladder


def shown(answer: object, layout: Callable[[object], str]) -> str:
    """An answer for people, laid out by ``layout``. It is made clean before, so that no cell of it breaks a line."""
    return layout(clean_json(cast(Any, answer)))


def as_json(answer: object, indent: int | None = None) -> str:
    r"""An answer for machines: the same values, in ASCII without control characters (JSON lets DEL stay as it is)."""
    return json.dumps(answer, indent=indent).replace("\x7f", "\\u007f")


def clean_lines(text: str) -> str:
    """Clean text of several lines, such as an error."""
    return "\n".join(map(clean, text.split("\n")))


def rows(answer: object) -> list[Mapping[str, object]]:
    """The objects in a list; none where an answer of another version holds no list."""
    return [row for row in answer if isinstance(row, Mapping)] if isinstance(answer, list) else []


def fields(answer: object) -> Mapping[str, object]:
    """The keys of an object; none where an answer of another version holds no object."""
    return answer if isinstance(answer, Mapping) else {}


def table(answer: object) -> str:
    """Rows (objects) as columns; the columns are the keys, in the order they first appear."""
    found = rows(answer)
    return columns(found, tuple(dict.fromkeys(key for row in found for key in row)))


def calls(answer: object) -> str:
    """The list of calls."""
    return columns(rows(answer), CALL_COLUMNS)


def columns(rows: Sequence[Mapping[str, object]], keys: Sequence[str]) -> str:
    """`keys` of `rows`, each column as wide as its widest cell."""
    if not rows:
        return "none"
    lines = [[key.replace("_", " ") for key in keys], *([_cell(key, row.get(key)) for key in keys] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def call(answer: object) -> str:
    """One call: outcome, ladder, chain of reasons."""
    if not isinstance(answer, Mapping):
        return str(answer)
    parts = [_outcome(answer), "Messages\n" + ladder(rows(answer.get("ladder")))]
    if left_out := answer.get("steps_left_out"):
        parts.append(f"{left_out} more messages were not kept.")
    parts.append("Why\n" + columns(rows(answer.get("chain")), ("leg", "step", "what", "code")))
    return "\n\n".join(parts)


def domain(answer: object) -> str:
    """One domain: its policy, then the audit of its changes."""
    if not isinstance(answer, Mapping):
        return str(answer)
    policy = [f"{str(key).replace('_', ' '):26}{_cell(str(key), answer[key])}" for key in answer if key != "changes"]
    changes = [_change(entry) for entry in rows(answer.get("changes"))]
    return "\n".join([*policy, "", "Changes", *(changes or ["none"])])


def _change(entry: Mapping[str, object]) -> str:
    told = [f"{key} {_cell(key, entry[key])}" for key in entry if key not in ("at", "who", "what", "domain", "peer")]
    return "  ".join(_cell(key, entry.get(key)) for key in ("at", "who", "what")) + "  " + ", ".join(told)


def table_of_one(answer: object) -> str:
    """One object, a line for each key; of a list each item on a line of its own."""
    if not isinstance(answer, Mapping):
        return str(answer)
    lines = []
    for key, value in answer.items():
        cells = [_cell("", item) for item in value] if isinstance(value, list) else [_cell(str(key), value)]
        name = str(key).replace("_", " ")
        lines += [f"{name if number == 0 else '':20}{cell}" for number, cell in enumerate(cells)]
    return "\n".join(lines)


def audit(answer: object) -> str:
    """Entries of the audit, a line each."""
    return "\n".join(_entry(entry) for entry in rows(answer)) or "none"


def _entry(entry: Mapping[str, object]) -> str:
    told = [f"{key} {_cell(key, entry[key])}" for key in entry if key not in ("at", "who", "source", "what", "prev")]
    place = f" from {_cell('source', entry['source'])}" if entry.get("source") else ""
    return (
        f"{_cell('at', entry.get('at'))}  {_cell('who', entry.get('who'))}{place}  {entry.get('what')}  "
        + ", ".join(told)
    )


def audit_judgement(answer: object) -> str:
    """Whether the audit is whole."""
    if not isinstance(answer, Mapping):
        return str(answer)
    faults = answer.get("faults")
    told = [str(fault) for fault in faults] if isinstance(faults, list) else []
    counts = f"{answer.get('lines')} lines, {answer.get('older')} of them from before the chain"
    ends = f"the last line's SHA-256 is {answer.get('last')}"
    return "\n".join([*told, f"{'not whole' if told else 'whole'}: {counts}; {ends}"])


def reloaded(answer: object) -> str:
    """The changes of a reload, a line each."""
    changes = answer.get("changes") if isinstance(answer, Mapping) else None
    lines = [_cell("", line) for line in changes] if isinstance(changes, list) else []
    return "\n".join(lines) or "read again, nothing changed"


def drained(answer: object) -> str:
    """How the drain stands, in a line, and the fate of calls at SIGTERM in another."""
    if not isinstance(answer, Mapping):
        return str(answer)
    if not answer.get("draining"):
        fate = "left to the next process" if answer.get("stop") == "keep" else "ended"
        why = _cell("", answer.get("stop_why"))
        return f"not draining: new calls are taken\nat SIGTERM: calls that are up are {fate}, since {why}"
    calls_left = _cell("", answer.get("calls"))
    end = f", {_cell('', answer.get('seconds_left'))} s until they are ended" if answer.get("calls") else ""
    return f"draining: {calls_left} calls are left{end}; {_cell('', answer.get('refused'))} new ones were refused"


def json_lines(answer: object) -> str:
    """Rows as JSON, one a line."""
    return "\n".join(as_json(row) for row in rows(answer))


def comma_separated(answer: object) -> str:
    """Rows as CSV (RFC 4180) with a line of names first; a formula is quoted by a leading '."""
    found, file = rows(answer), io.StringIO()
    writer = csv.DictWriter(file, tuple(dict.fromkeys(key for row in found for key in row)), lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow({key: _csv_cell(value) for key, value in row.items()})
    return file.getvalue().rstrip("\n")


def _csv_cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in _BEGIN_FORMULAS:
        return "'" + value
    return value


def ladder(
    steps: Sequence[Mapping[str, object]], ends: tuple[str, str] = ("caller", "callee"), since: float | None = None
) -> str:
    """Messages with time downward and three lines: the caller, the gateway, the callee.

    `ends` names the outer lines. Where several phones rang, each message has the number of its phone. Times are of the
    day (UTC), or with `since` the seconds after that moment.
    """
    times = [_time(step.get("at"), since) for step in steps]
    margin = max(map(len, times), default=0)
    rungs = [f"{time}|{_lanes(step)}|" for time, step in zip(times, steps, strict=True)]
    return "\n".join([_heading(margin, (ends[0], "gateway", ends[1])), *rungs])


def _heading(margin: int, names: Sequence[str]) -> str:
    """Each name centred over its line."""
    heading = ""
    for lane, name in enumerate(names):
        heading = heading.ljust(margin + lane * (_LANE + 1) - len(name) // 2) + name
    return heading


def _lanes(step: Mapping[str, object]) -> str:
    rightward = (step.get("leg") == "caller") == (step.get("direction") == "received")
    what, fork = str(step.get("what", "")), step.get("fork")
    arrow, empty = _arrow(f"{fork}: {what}" if fork else what, rightward), " " * _LANE
    return f"{arrow}|{empty}" if step.get("leg") == "caller" else f"{empty}|{arrow}"


def _arrow(what: str, rightward: bool) -> str:
    shaft = f" {shorten(what, _LANE - 4, placeholder='')} ".center(_LANE - 1, "-")
    return f"{shaft}>" if rightward else f"<{shaft}"


def _outcome(answer: Mapping[object, object]) -> str:
    keys = ("id", "caller", "callee", "direction", "domain", "state", "started_at", "answered_at", "ended_at", "ending")
    outcome = f"{answer.get('verdict') or 'no verdict yet'} {answer.get('reason') or ''}".rstrip()
    lines = [f"{key.removesuffix('_at'):10}{_cell(key, answer.get(key))}" for key in keys]
    return "\n".join([*lines, f"{'verdict':10}{outcome}", *_explained(answer)])


def _explained(answer: Mapping[object, object]) -> list[str]:
    """The cause of this call's outcome, the meaning of its code, and the next thing to do about it."""
    code, cause = str(answer.get("reason") or ""), answer.get("cause")
    lines = [f"{'cause':10}{cause}"] if cause else []
    found = remedy_for(code)
    if found is None:
        return lines
    return [*lines, f"{'means':10}{found.cause}", f"{'remedy':10}{found.remedy}", f"{'see':10}{anchor(code)}"]


def _cell(key: str, value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float() if key.endswith("_at"):
            return in_utc(value)
        case list():
            return ", ".join(str(item) for item in value) or "-"
        case _:
            return str(value)


def in_utc(at: float) -> str:
    """A time, seconds since the epoch, as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _time(at: object, since: float | None) -> str:
    if not isinstance(at, int | float):
        return f"{'-' * 12}  "
    if since is not None:
        return f"{at - since:8.3f} s "
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3] + "  "
