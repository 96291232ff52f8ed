"""The list of phones, and one phone: the values of their templates.

Here: pure functions from bindings. A phone's own leg is named by the transport that it registered over; whether its
media are encrypted is only known call by call, so nothing is said of it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlencode

import attrs

from gateway.admin.pages.call_pages import listed_call
from gateway.admin.pages.phrases import count, party, span
from gateway.base.json_codec import Json
from gateway.state.devices.made_by import make_of

Row: TypeAlias = dict[str, Json]

_OWN_LEG: Final = {"udp": "UDP, in clear", "tcp": "TCP, in clear", "tls": "TLS", "wss": "WebSocket over TLS"}


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
    total, over_tls = sum(transports.values()), sum(transports.get(one, 0) for one in ("tls", "wss"))
    if not total:
        return "No phone is registered."
    told = f"{count(total, 'phone')} registered"
    return told + (
        ", all over TLS." if over_tls == total else f", {over_tls:,} over TLS and {total - over_tls:,} in clear."
    )


@attrs.frozen
class PhoneRows:
    """All that is known of one user."""

    bindings: Sequence[Row] = ()
    devices: Sequence[Row] = ()
    """Devices that ever registered under the address, as the inventory has them."""
    calls: Sequence[Row] = ()


def phone_view(aor: str, known: PhoneRows, now: float) -> dict[str, object]:
    """The values of the page of one user: its phones, and its latest calls."""
    bindings = known.bindings
    user = party(aor)
    if bindings:
        told = f"{aor} is registered with {count(len(bindings), 'phone')}."
    else:
        told = f"{aor} has no phone that is registered now: calls to it are refused with 480."
    return {
        "user": user,
        "sentence": told,
        "bindings": [_shown(row) for row in bindings],
        "devices": [{**row, "srtp": _srtp(row)} for row in known.devices],
        "calls": [listed_call(row, now) for row in known.calls],
        "calls_link": "/calls?" + urlencode({"user": user}),
    }


def _shown(row: Row) -> dict[str, object]:
    aor, transport = str(row.get("address_of_record") or ""), str(row.get("transport") or "")
    left = row.get("expires_in")
    said = make_of(str(row.get("user_agent") or ""))
    return {
        "model": f"{said.make} {said.model}".strip() or str(row.get("user_agent") or ""),
        "firmware": said.firmware,
        "aor": aor,
        "user": party(aor),
        "user_agent": row.get("user_agent") or "",
        "contact": row.get("contact") or "",
        "where": _where(str(row.get("flow") or "")),
        "leg": _OWN_LEG.get(transport, transport),
        "reachable": bool(row.get("reachable")),
        "left": span(left) if isinstance(left, int | float) else "–",
    }


def _srtp(row: Row) -> str:
    """The phone's SRTP as it was last seen."""
    did, lacked = row.get("did_srtp_at"), row.get("lacked_srtp_at")
    if not isinstance(did, int | float) and not isinstance(lacked, int | float):
        return "not seen yet"
    is_lacking = isinstance(lacked, int | float) and (not isinstance(did, int | float) or lacked > did)
    return "lacked it when last asked" if is_lacking else "did it"


def _where(flow: str) -> str:
    """The remote address of a flow, which is written listener/transport/address#connection."""
    return flow.rsplit("/", 1)[-1].partition("#")[0]
