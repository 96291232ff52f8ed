"""The pages for people, from templates.

Here: the templates, and the form of times and lengths. Not here: routes (`api`). Everything shown came from peers, so
it is made clean first (control characters, directions of writing, bytes that are no UTF-8), templates escape by
default, and no page runs a script.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from gateway.admin.inspection import Row
from gateway.base.json_codec import Json
from gateway.observe.clean_text import clean_json
from gateway.state.remedies import remedy_for

_TEMPLATES = Path(__file__).with_name("templates")

STYLE = (_TEMPLATES / "style.css").read_bytes()
"""The style sheet that every page links to."""


class Pages:
    """Renders pages; make one and keep it, it caches the templates."""

    def __init__(self) -> None:
        self._environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True)
        self._environment.filters.update(moment=moment, length=length)

    def calls(self, calls: Sequence[Row]) -> str:
        """The table of calls."""
        return self._environment.get_template("calls.html").render(calls=clean_json([*calls]))

    def call(self, call: Row) -> str:
        """One call: its outcome, ladder and chain of reasons."""
        explained = remedy_for(str(call.get("reason") or ""))
        return self._environment.get_template("call.html").render(call=clean_json(call), explained=explained)


def moment(seconds: Json) -> str:
    """A time since the epoch in UTC, to the millisecond; a dash where there is none."""
    if not isinstance(seconds, int | float):
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def length(call: Row) -> str:
    """How long a call was answered: minutes:seconds; a dash where it never was, still is up, or nobody saw its end."""
    answered, ended = call.get("answered_at"), call.get("ended_at")
    if not isinstance(answered, int | float) or not isinstance(ended, int | float):
        return "-"
    seconds = call.get("seconds", ended - answered)
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}" if isinstance(seconds, int | float) else "-"
