"""Certificates, events, the audit, and the settings: the values of their templates.

Here: pure functions from rows. The settings are read only; each stands beside the line of the file that says it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

import attrs

from gateway.admin.pages.domain_pages import change
from gateway.admin.pages.phrases import count
from gateway.base.json_codec import Json
from gateway.observe.events import GatewayEvent, Severity

Row: TypeAlias = dict[str, Json]

FEW_DAYS: Final = 30


def certificates_view(rows: Sequence[Row]) -> dict[str, object]:
    """The values of the page of certificates."""
    shown = []
    for row in rows:
        days = row.get("days_left")
        shape, words = "up", "Good"
        if isinstance(days, int) and days < 0:
            shape, words = "down", "Expired"
        elif isinstance(days, int) and days < FEW_DAYS:
            shape, words = "degraded", "Renew soon"
        elif row.get("warnings"):
            shape, words = "degraded", "Look"
        shown.append({**row, "shape": shape, "words": words})
    least = min((days for row in rows if isinstance(days := row.get("days_left"), int)), default=None)
    if least is None:
        told = "No certificate is served."
    elif least < 0:
        told = "A certificate has expired: peers that verify it turn away."
    else:
        told = f"{count(len(rows), 'certificate')}; the first expires in {count(least, 'day')}."
    return {"rows": shown, "sentence": told}


KINDS: Final = (
    *("call", "registration", "provider", "domain", "certificate"),
    *("security", "fraud", "deviation", "alerts", "media", "configuration", "gateway"),
)
"""The first words of the names of events, as a reader looks for them."""
ALL: Final = "all"
NOTABLE: Final = "notable"
"""Those that matter to an operator: a notice, or worse."""


def is_wanted(kind: str, event: GatewayEvent) -> bool:
    """Whether an event is of a kind: the first word of its name, or one of the two above."""
    if kind == NOTABLE:
        return event.severity is not Severity.INFO
    return kind == ALL or event.name.startswith(kind + ".")


def events_view(rows: Sequence[Row], known: Collection[str], kind: str) -> dict[str, object]:
    """The values of the page of events, the newest first; ``known`` are the kinds that there are."""
    chips = [("All", kind == ALL, "/events?kind=all"), ("Notable", kind == NOTABLE, "/events")]
    chips += [(one.capitalize(), one == kind, "/events?" + urlencode({"kind": one})) for one in KINDS if one in known]
    told = f"The latest {count(len(rows), 'event')} of this kind, the newest first."
    return {
        "rows": [_event(row) for row in rows],
        "kinds": chips,
        "sentence": told if rows else "No event of this kind since the gateway began.",
        "further": "/security/deviations" if kind == "deviation" else "",
    }


def _event(row: Row) -> dict[str, object]:
    name, fields = str(row.get("name") or ""), row.get("fields")
    details = {**fields} if isinstance(fields, dict) else {}
    if row.get("source"):
        details["from"] = row["source"]
    about, link = _about(row)
    return {
        "at": row.get("at"),
        "name": name.replace(".", " ").replace("_", " ").capitalize(),
        "severity": row.get("severity"),
        "about": about,
        "link": link,
        "details": ", ".join(_detail(key, value) for key, value in details.items() if value not in (None, "")),
    }


OF_BANS: Final = ("security.banned", "security.would_ban", "security.unbanned", "security.throttled")
"""Events that are about their source."""


def _detail(key: str, value: Json) -> str:
    return f"{key.replace('_', ' ')} {value}"


def _about(row: Row) -> tuple[str, str | None]:
    """The thing that an event is about, and its page."""
    kind = str(row.get("name") or "").partition(".")[0]
    who, domain, call = (str(row.get(key) or "") for key in ("who", "domain", "call"))
    if call:
        return who or call, "/calls/" + quote(call, safe="")
    if kind == "provider" and who:
        return who, "/providers/" + quote(who, safe="")
    if kind == "registration" and who:
        return who, "/phones/" + quote(who, safe="")
    if domain:
        return domain, "/domains/" + quote(domain, safe="")
    if row.get("name") in OF_BANS and row.get("source"):
        return str(row["source"]), "/security/bans/" + quote(str(row["source"]), safe="")
    return who, None


def audit_view(entries: Sequence[Row]) -> dict[str, object]:
    """The values of the page of the audit; ``entries`` are in the order of time."""
    rows = [change(entry) for entry in reversed(entries)]
    told = f"The latest {count(len(rows), 'entry', 'entries')}, the newest first." if rows else "No change yet."
    return {"rows": rows, "sentence": told}


@attrs.frozen
class SettingRow:
    """One key and its value."""

    key: str
    value: str
    line: int | None
    """The line of the file that says it; None: the default."""


@attrs.frozen
class SettingTable:
    """A table of the file."""

    name: str
    rows: tuple[SettingRow, ...]

    @property
    def said(self) -> list[SettingRow]:
        """The keys that the file says."""
        return [row for row in self.rows if row.line is not None]

    @property
    def defaults(self) -> list[SettingRow]:
        """The others."""
        return [row for row in self.rows if row.line is None]


def settings_view(
    configuration: attrs.AttrsInstance, lines: Mapping[tuple[str, int, str], int], source: str
) -> dict[str, object]:
    """The values of the page of settings. ``lines`` has the line of each key, by the file's table, its number among
    those of that name, and the key. Paths of secrets are shown, their contents never are."""
    told = f"As in {source}, with the switches of operators on top. To change them, edit the file and reload."
    return {"tables": [*_tables(configuration, lines)], "sentence": told}


FILE_NAMES: Final = {
    "listeners": "listener",
    "providers": "provider",
    "domains": "domain",
    "blocklists": "blocklist",
    "alerts": "alert",
}
"""The fields of a configuration that are arrays of tables, as the file names them."""


def _tables(configuration: attrs.AttrsInstance, lines: Mapping[tuple[str, int, str], int]) -> Iterator[SettingTable]:
    for field in attrs.fields(type(configuration)):
        value = getattr(configuration, field.name)
        if isinstance(value, tuple) and field.name in FILE_NAMES:
            for index, one in enumerate(value):
                name = FILE_NAMES[field.name]
                yield SettingTable(f"[[{name}]] {one.name}", tuple(_rows_of(one, name, index, lines)))
        elif attrs.has(type(value)):
            yield SettingTable(f"[{field.name}]", tuple(_rows_of(value, field.name, 0, lines)))


def _rows_of(
    value: attrs.AttrsInstance, table: str, index: int, lines: Mapping[tuple[str, int, str], int]
) -> Iterator[SettingRow]:
    for field in attrs.fields(type(value)):
        found = getattr(value, field.name)
        yield SettingRow(field.name, _text(found), lines.get((table, index, field.name)))


def _text(value: object) -> str:
    match value:
        case None | "" | ():
            return "–"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case tuple() | frozenset() | list():
            return ", ".join(_text(item) for item in value)
        case Path() | str() | int() | float():
            return str(value)
        case _:
            return str(value)
