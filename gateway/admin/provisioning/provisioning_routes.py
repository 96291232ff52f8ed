"""The API of provisioning.

    GET  /api/v1/provisioning?limit=100              devices, windows, devices that asked and are not known
    GET  /api/v1/provisioning/dhcp?server=dnsmasq    lines for a DHCP server
    POST /api/v1/provisioning/adopt                  {"device": "80:5e:c0:11:22:33", "users": ["101@example.com"]}
    POST /api/v1/provisioning/enrol                  {"device": "..."} or {"network": "192.0.2.0/24"}, "seconds": 900
    POST /api/v1/provisioning/close                  {"device": "..."} or {"network": "192.0.2.0/24"}
    GET  /api/v1/provisioning/{device}               one; .../file: its file without secrets
    POST /api/v1/provisioning/{device}/rotate, roll-back, drop, render

Here: routes and values. Not here: the orders (provisioning_office.py), the page (provisioning_pages.py).
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Role, Row, caller_of
from gateway.admin.provisioning.provisioning_office import LEAST_SECONDS, LONGEST_SECONDS, ProvisioningOffice
from gateway.admin.routes import HttpRoute
from gateway.admin.turns import pieces
from gateway.admin.v1.document import PREFIX
from gateway.admin.v1.parameters import Cursor, read_change, read_query, said
from gateway.admin.v1.questions import NoChange, Nothing
from gateway.admin.v1.resources import sent
from gateway.observe.clean_text import clean_json
from gateway.provisioning.enrolment import Window
from gateway.provisioning.estate import KnownDevice, SeenDevice

PAGE = 200
COUNTED_AT_ONCE = 500
"""Devices that are counted in one turn of the reactor."""
ROWS_AT_ONCE = 20
"""Rows that are made in one."""


@attrs.frozen
class DevicesQuery:
    """How many devices are wanted."""

    limit: int = said("Devices in the answer.", PAGE, 1, 1_000)
    next: Cursor | None = said("The cursor that an answer gave: the devices after it.", None)


@attrs.frozen
class DhcpQuery:
    """The DHCP server that lines are for."""

    server: str = said("dnsmasq, isc, kea or mikrotik.")


@attrs.frozen
class AdoptChange:
    """A device to take in."""

    device: str = said("Its hardware address.")
    users: tuple[str, ...] = said(
        "The user of each line, as 101@example.com; the domain's credentials have its password."
    )
    make: str | None = said("Its make; None: that which it told of itself.", None)
    model: str | None = said("Its model.", None)


@attrs.frozen
class EnrolChange:
    """A window to open."""

    device: str | None = said("A hardware address.", None)
    network: str | None = said("A network, such as 192.0.2.0/24.", None)
    seconds: int = said("Its length.", 900, LEAST_SECONDS, LONGEST_SECONDS)


@attrs.frozen
class CloseChange:
    """A window to close before its time."""

    device: str | None = said("The hardware address that it is for.", None)
    network: str | None = said("The network that it is for.", None)


@attrs.frozen
class ProvisionedAnswer:
    """A device, and the file that it has. Times are seconds since the epoch."""

    device: str
    make: str
    model: str
    firmware: str
    users: tuple[str, ...]
    protection: str
    """The protection that its file asks for: required, preferred, off."""
    state: str
    """current, behind or never."""
    generation: int
    """Of the file that is wanted."""
    fetched: int
    """Of the file that it fetched last; 0: none."""
    fetched_at: float | None
    proof: str
    source: str
    is_adopted: bool
    """Whether an operator took it in while the gateway ran."""


@attrs.frozen
class SeenAnswer:
    """A device that asked for a file and is not known. Anybody may name one, unless it is certified."""

    device: str
    make: str
    model: str
    firmware: str
    source: str
    at: float
    is_certified: bool


@attrs.frozen
class WindowAnswer:
    """An enrolment window that is open."""

    device: str
    network: str
    seconds_left: int


@attrs.frozen
class ProvisioningAnswer:
    """Devices by their hardware addresses, windows, and devices that are not known, the latest first."""

    counts: dict[str, int]
    """All devices, by state."""
    devices: tuple[ProvisionedAnswer, ...]
    windows: tuple[WindowAnswer, ...]
    seen: tuple[SeenAnswer, ...]
    next: str | None
    """The cursor of the devices after these; None: there are none."""


@attrs.frozen
class FileAnswer:
    """A text: a file of a device, or lines for a server."""

    text: str


@attrs.frozen
class DroppedAnswer:
    """A device that is known no more."""

    device: str


@attrs.frozen
class ProvisioningRoutes:
    """The routes."""

    office: ProvisioningOffice

    def routes(self) -> tuple[HttpRoute, ...]:
        """All of them."""
        base, viewer, operator = f"{PREFIX}provisioning", Role.VIEWER, Role.OPERATOR
        one, nothing, device = ProvisionedAnswer, NoChange, f"{PREFIX}provisioning/{{device}}"
        return (
            HttpRoute("GET", base, self.all, viewer, query=DevicesQuery, schema=ProvisioningAnswer),
            HttpRoute("GET", f"{base}/dhcp", self.dhcp, viewer, query=DhcpQuery, schema=FileAnswer),
            HttpRoute("POST", f"{base}/adopt", self.adopt, operator, change=AdoptChange, schema=one),
            HttpRoute("POST", f"{base}/enrol", self.enrol, operator, change=EnrolChange, schema=WindowAnswer),
            HttpRoute("POST", f"{base}/close", self.close_window, operator, change=CloseChange, schema=WindowAnswer),
            HttpRoute("GET", device, self.one, viewer, query=Nothing, schema=one),
            HttpRoute("GET", f"{device}/file", self.file, viewer, query=Nothing, schema=FileAnswer),
            HttpRoute("POST", f"{device}/rotate", self.rotate, operator, change=nothing, schema=one),
            HttpRoute("POST", f"{device}/roll-back", self.roll_back, operator, change=nothing, schema=one),
            HttpRoute("POST", f"{device}/drop", self.drop, operator, change=nothing, schema=DroppedAnswer),
            HttpRoute("POST", f"{device}/render", self.render, Role.ADMIN, change=nothing, schema=FileAnswer),
        )

    async def all(self, request: IRequest) -> bytes:
        """Devices with the files that they have, open windows, and devices that asked and are not known."""
        asked = read_query(DevicesQuery, request, 0)
        return sent(request, await state_of(self.office, asked.limit, asked.next or ""))

    def one(self, request: IRequest, device: str) -> bytes:
        """A device, and the file that it has."""
        read_query(Nothing, request, 0)
        return sent(request, self._row(self.office.find(device)))

    def file(self, request: IRequest, device: str) -> bytes:
        """The file of a device as it would get it now, without passwords, tokens, keys and values of options."""
        read_query(Nothing, request, 0)
        return sent(request, {"text": self.office.shown(device)})

    def dhcp(self, request: IRequest) -> bytes:
        """Lines for a DHCP server that lead phones here."""
        return sent(request, {"text": self.office.dhcp(read_query(DhcpQuery, request, 0).server)})

    def adopt(self, request: IRequest) -> bytes:
        """Take in a device that is not in the file of devices."""
        change = read_change(AdoptChange, request)
        known = adopted(self.office, change.device, change.users, request, make=change.make, model=change.model)
        return sent(request, self._row(known))

    def enrol(self, request: IRequest) -> bytes:
        """Open an enrolment window for a device or a network."""
        change = read_change(EnrolChange, request)
        author = caller_of(request).author
        window = self.office.enrol(change.device, change.network, change.seconds, author)
        return sent(request, _window_row(window, change.seconds))

    def close_window(self, request: IRequest) -> bytes:
        """Close an enrolment window before its time; the answer has the time that it would have been open."""
        change = read_change(CloseChange, request)
        window = self.office.close_window(change.device, change.network, caller_of(request).author)
        return sent(request, _window_row(window, int(window.until - self.office.tools.seconds())))

    def rotate(self, request: IRequest, device: str) -> bytes:
        """Make the URLs and keys of a device worth nothing, and new ones."""
        read_change(NoChange, request)
        return sent(request, self._row(self.office.rotate(device, caller_of(request).author)))

    def roll_back(self, request: IRequest, device: str) -> bytes:
        """Have a device's file ask for the protection that it asked for before."""
        read_change(NoChange, request)
        return sent(request, self._row(self.office.roll_back(device, caller_of(request).author)))

    def drop(self, request: IRequest, device: str) -> bytes:
        """Let go of a device that was adopted."""
        read_change(NoChange, request)
        return sent(request, {"device": self.office.drop(device, caller_of(request).author)})

    def render(self, request: IRequest, device: str) -> bytes:
        """The file of a device as it would get it now, with its passwords."""
        read_change(NoChange, request)
        return sent(request, {"text": self.office.rendered(device, caller_of(request).author)})

    def _row(self, known: KnownDevice) -> Row:
        return device_row(self.office, known)


def adopted(
    office: ProvisioningOffice, device: str, users: tuple[str, ...], request: IRequest, **told: Any
) -> KnownDevice:
    """Take in a device with the lines of these users. Raises Rejected."""
    lines = []
    for user in users:
        name, _, domain = user.partition("@")
        if not domain:
            raise Rejected(400, "users: each as 101@example.com.")
        lines.append({"user": name, "domain": domain})
    table = {"lines": lines, **{key: value for key, value in told.items() if value}}
    return office.adopt(device, table, caller_of(request).author)


async def state_of(office: ProvisioningOffice, limit: int, after: str = "") -> Row:
    """A page of devices, windows, and devices that are not known, gathered in turns. Raises Rejected."""
    tools = office.tools
    if len(after) > 12:
        raise Rejected(400, "next: no cursor of this list.")
    counts = await _by_state(office)
    devices, rows = tools.estate.page(after, limit + 1), list[Row]()
    async for piece in pieces(devices[:limit], ROWS_AT_ONCE, office.rest):
        rows += [device_row(office, known) for known in piece]
    now = tools.seconds()
    windows = tools.estate.enrolment.open_windows(now)
    return {
        "counts": {**counts},
        "devices": [*rows],
        "next": devices[limit - 1].address if len(devices) > limit else None,
        "windows": [_window_row(one, int(one.until - now)) for one in windows],
        "seen": [_seen_row(one) for one in tools.estate.seen()],
    }


async def _by_state(office: ProvisioningOffice) -> Counter[str]:
    """How many devices there are in each state: current, behind, never."""
    estate, counts = office.tools.estate, Counter[str]()
    async for piece in pieces(estate.addresses, COUNTED_AT_ONCE, office.rest):
        counts.update(estate.standings.of(one).state for one in piece)
    return counts


def device_row(office: ProvisioningOffice, known: KnownDevice) -> Row:
    """A device in a line."""
    standings = office.tools.estate.standings
    standing, device = standings.of(known.address), known.device
    row: Row = {
        "device": known.address,
        "make": device.make,
        "model": standing.model or device.model,
        "firmware": standing.firmware,
        "users": [f"{line.user}@{line.domain}" for line in device.lines],
        "protection": str(standing.effective),
        "state": standing.state,
        "generation": standing.generation,
        "fetched": standing.fetched,
        "fetched_at": standing.fetched_at or None,
        "proof": standing.proof,
        "source": standing.source,
        "is_adopted": known.address in standings.adopted,
    }
    return cast(Row, clean_json(row))


def _window_row(window: Window, seconds_left: int) -> Row:
    return {"device": window.address, "network": str(window.network or ""), "seconds_left": seconds_left}


def _seen_row(seen: SeenDevice) -> Row:
    told = seen.told
    row: Row = {
        "device": seen.address,
        "make": told.make,
        "model": told.model,
        "firmware": told.firmware,
        "source": seen.source,
        "at": seen.at,
        "is_certified": seen.is_certified,
    }
    return cast(Row, clean_json(row))
