"""The page of provisioning: devices and the files that they have, windows, devices that are not known.

    GET  /provisioning          the page
    POST /provisioning/adopt    device, users, make -> adopted -> 303 to the page
    POST /provisioning/enrol    device -> a window of 15 minutes -> 303 to the page
    POST /provisioning/close    device or network -> its window is closed -> 303 to the page

Not here: the API (provisioning_routes.py), the orders (provisioning_office.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, cast

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import see_other
from gateway.admin.http_bodies import form_of
from gateway.admin.inspection import Role, Row, caller_of
from gateway.admin.pages.desk import LIKINGS, Desk
from gateway.admin.pages.phrases import count
from gateway.admin.provisioning.provisioning_office import ProvisioningOffice
from gateway.admin.provisioning.provisioning_routes import adopted, state_of
from gateway.admin.routes import HttpRoute
from gateway.config.device_file import MAKES

PAGE: Final = "/provisioning"
SECTION: Final = "Phones"
"""The entry of the menu that leads to the page that leads here."""
ROWS: Final = 100
WINDOW_SECONDS: Final = 900
_STATES: Final = {
    "current": ("up", "Has its file"),
    "behind": ("degraded", "Has an older file"),
    "never": ("degraded", "Never came"),
}
_PROTECTION: Final = {"required": "TLS, SRTP alone", "preferred": "TLS, SRTP if possible", "off": "none"}
_PROOFS: Final = {"certificate": "its certificate", "token": "its token", "sealed": "its token, encrypted file"}


@attrs.frozen
class ProvisioningPages:
    """The answers, and the routes that lead to them."""

    office: ProvisioningOffice
    desk: Desk

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        return (
            HttpRoute("GET", PAGE, self.page, Role.VIEWER, drawn_by=LIKINGS),
            HttpRoute("POST", f"{PAGE}/adopt", self.adopt, Role.OPERATOR, is_form=True),
            HttpRoute("POST", f"{PAGE}/enrol", self.enrol, Role.OPERATOR, is_form=True),
            HttpRoute("POST", f"{PAGE}/close", self.close_window, Role.OPERATOR, is_form=True),
        )

    async def page(self, request: IRequest) -> bytes:
        """Devices, windows, and devices that are not known."""
        state: Row = await state_of(self.office, ROWS) if self.office.is_there else {}
        await self.desk.turns.next()
        view = provisioning_view(state, is_there=self.office.is_there)
        more = {"may_change": caller_of(request).may_operate and self.office.is_there}
        return await self.desk.draw(request, "provisioning.html", SECTION, {**view, **more})

    def adopt(self, request: IRequest) -> bytes:
        """Take in a device; then the page."""
        form = form_of(request)
        users = tuple(form.get("users", "").replace(",", " ").split())
        adopted(self.office, form.get("device", ""), users, request, make=form.get("make", ""))
        return see_other(request, PAGE)

    def enrol(self, request: IRequest) -> bytes:
        """Open a window for a device; then the page."""
        author = caller_of(request).author
        self.office.enrol(form_of(request).get("device", ""), None, WINDOW_SECONDS, author)
        return see_other(request, PAGE)

    def close_window(self, request: IRequest) -> bytes:
        """Close the window of a device or of a network before its time; then the page."""
        form = form_of(request)
        self.office.close_window(form.get("device"), form.get("network"), caller_of(request).author)
        return see_other(request, PAGE)


def provisioning_view(state: Row, *, is_there: bool) -> dict[str, object]:
    """The values of the page: the sentence is about all, the first ROWS have a row. Rows are clean already."""
    devices, seen = _rows(state, "devices"), _rows(state, "seen")
    counts = Counter(cast("dict[str, int]", state.get("counts") or {}))
    if not is_there:
        sentence = "This gateway gives phones no files: its configuration has no [provisioning]."
    elif not devices:
        sentence = "No device has a file here."
    else:
        sentence = f"{counts['current']} of {count(counts.total(), 'device')} have their file"
        sentence += f", {counts['behind']} an older one." if counts["behind"] else "."
    return {
        "sentence": sentence,
        "rows": [_row(row) for row in devices],
        "more": counts.total() - len(devices),
        "windows": [
            {**row, "spelt": spelt(str(row["device"])) or str(row["network"])} for row in _rows(state, "windows")
        ],
        "seen": [{**row, "spelt": spelt(str(row.get("device")))} for row in seen],
        "makes": [*MAKES],
        "is_there": is_there,
    }


def spelt(address: str) -> str:
    """A hardware address as people write it: 80:5e:c0:11:22:33."""
    return ":".join(address[start : start + 2] for start in range(0, len(address), 2))


def _rows(state: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", state.get(key) or [])


def _row(row: Mapping[str, Any]) -> dict[str, object]:
    shape, words = _STATES[str(row["state"])]
    return {
        **row,
        "spelt": spelt(str(row["device"])),
        "shape": shape,
        "words": words,
        "asks_for": _PROTECTION.get(str(row["protection"]), ""),
        "proved_by": _PROOFS.get(str(row["proof"]), ""),
    }
