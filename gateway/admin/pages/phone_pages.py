"""The list of phones, and one phone: the values of their templates.

Here: pure functions from bindings. A phone's own leg is named by the transport that it registered over; whether its
media are encrypted is only known call by call, so nothing is said of it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlencode

from gateway.admin.pages.call_pages import listed_call
from gateway.admin.pages.phrases import count, party, span
from gateway.base.json_codec import Json

Row: TypeAlias = dict[str, Json]

_OWN_LEG: Final = {"udp": "UDP, in clear", "tcp": "TCP, in clear", "tls": "TLS"}


def phones_view(
    rows: Sequence[Row], wanted: str, following: str | None, transports: Mapping[str, int], listeners: Sequence[str]
) -> dict[str, object]:
    """The values of the list. ``wanted`` is the text that was looked for, ``following`` the cursor of the next page;
    ``listeners`` are addresses that a phone may register at."""
    return {
        "sentence": phones_sentence(transports),
        "total": sum(transports.values()),
        "wanted": wanted,
        "rows": [_shown(row) for row in rows],
        "following": "/phones?" + urlencode({"after": following}) if following else None,
        "listeners": listeners,
    }


def phones_sentence(transports: Mapping[str, int]) -> str:
    """How many there are, and how they reach us."""
    total, over_tls = sum(transports.values()), transports.get("tls", 0)
    if not total:
        return "No phone is registered."
    told = f"{count(total, 'phone')} registered"
    return told + (
        ", all over TLS." if over_tls == total else f", {over_tls:,} over TLS and {total - over_tls:,} in clear."
    )


def phone_view(aor: str, bindings: Sequence[Row], calls: Sequence[Row], now: float) -> dict[str, object]:
    """The values of the page of one user: its phones, and its latest calls."""
    user = party(aor)
    if bindings:
        told = f"{aor} is registered with {count(len(bindings), 'phone')}."
    else:
        told = f"{aor} has no phone that is registered now: calls to it are refused with 480."
    return {
        "user": user,
        "sentence": told,
        "bindings": [_shown(row) for row in bindings],
        "calls": [listed_call(row, now) for row in calls],
        "calls_link": "/calls?" + urlencode({"user": user}),
    }


def _shown(row: Row) -> dict[str, object]:
    aor, transport = str(row.get("address_of_record") or ""), str(row.get("transport") or "")
    left = row.get("expires_in")
    return {
        "aor": aor,
        "user": party(aor),
        "user_agent": row.get("user_agent") or "",
        "contact": row.get("contact") or "",
        "where": _where(str(row.get("flow") or "")),
        "leg": _OWN_LEG.get(transport, transport),
        "reachable": bool(row.get("reachable")),
        "left": span(left) if isinstance(left, int | float) else "–",
    }


def _where(flow: str) -> str:
    """The remote address of a flow, which is written listener/transport/address#connection."""
    return flow.rsplit("/", 1)[-1].partition("#")[0]
