"""Orders of operators to provisioning, each in the audit: adopt, enrol, close, rotate, roll back, render.

    routes, page -> ProvisioningOffice -> Estate, Standings, Enrolment          Rejected: 404, 409, 400 with the reason

Here: the orders. Not here: HTTP (provisioning_routes.py), the decision about a phone's question (`provisioning`). No
answer holds a password, a token or a key, but the one of `render`, which only admins get.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import attrs

from gateway.admin.hardening import Rejected
from gateway.config.device_file import HARDWARE_ADDRESS, DeviceFileError, LegProtection, device_of
from gateway.observe.events import EventName, Events
from gateway.provisioning.dhcp_lines import SERVERS, DhcpFacts, NoWayForDhcp, dhcp_lines
from gateway.provisioning.enrolment import Network, TooManyWindows, Window
from gateway.provisioning.estate import Estate, KnownDevice
from gateway.provisioning.profiles import ProfileError
from gateway.provisioning.standings import NothingBefore
from gateway.state.audit import AuditLog, Author

LEAST_SECONDS = 60
LONGEST_SECONDS = 86_400
NOT_A_NETWORK = "network: such as 192.0.2.0/24, and not everybody's."
_SPELLING = re.compile(r"[.:-]")


@attrs.frozen
class ProvisioningTools:
    """All that orders work on."""

    estate: Estate
    facts: Callable[[], DhcpFacts]
    domains: Callable[[], frozenset[str]]
    has_password: Callable[[str, str], bool]
    """Whether the credentials of a domain have a user."""
    seconds: Callable[[], float]
    events: Events


class ProvisioningOffice:
    """The orders. ``tools`` gives None where the configuration has no [provisioning]; ``rest`` gives calls a moment."""

    def __init__(
        self,
        tools: Callable[[], ProvisioningTools | None],
        audit: AuditLog,
        rest: Callable[[], Awaitable[None]],
    ) -> None:
        self._tools = tools
        self._audit = audit
        self.rest = rest

    @property
    def is_there(self) -> bool:
        """Whether there is provisioning at all."""
        return self._tools() is not None

    @property
    def tools(self) -> ProvisioningTools:
        """Those of now. Raises Rejected."""
        tools = self._tools()
        if tools is None:
            raise Rejected(409, "There is no [provisioning] in the configuration (docs/provisioning.md).")
        return tools

    def find(self, text: str) -> KnownDevice:
        """The device of a hardware address in any spelling. Raises Rejected."""
        address = address_of(text)
        known = self.tools.estate.find(address)
        if known is None:
            raise Rejected(404, f"There is no device {address}.")
        return known

    def adopt(self, text: str, table: dict[str, Any], author: Author) -> KnownDevice:
        """Take in a device that is not in the file of devices; its make is that which it told, unless given. Raises
        Rejected."""
        tools, address = self.tools, address_of(text)
        known = tools.estate.find(address)
        if known is not None and address not in tools.estate.standings.adopted:
            raise Rejected(409, f"{address} is in the file of devices: change it there.")
        told = next((one.told for one in tools.estate.seen() if one.address == address), None)
        make = table.get("make") or (told.make if told else "")
        if not make:
            raise Rejected(409, f"Nobody knows the make of {address}: say it (yealink, snom, ...).")
        whole = {**table, "make": make, "model": table.get("model") or (told.model if told else "")}
        try:
            device = device_of(whole, tools.domains())
        except DeviceFileError as error:
            raise Rejected(400, "; ".join(error.mistakes)[:500]) from None
        for line in device.lines:
            if not tools.has_password(line.user, line.domain):
                raise Rejected(409, f"{line.user} has no password in the credentials of {line.domain}: add it there.")
        tools.estate.standings.adopt(address, whole)
        self._audit.write(author, "device adopted", device=address, make=make, users=[one.user for one in device.lines])
        return tools.estate.know(address, device)

    def drop(self, text: str, author: Author) -> str:
        """Let go of an adopted device; its tokens are worth nothing, later as well. Raises Rejected."""
        known, estate = self.find(text), self.tools.estate
        if known.address not in estate.standings.adopted:
            raise Rejected(409, f"{known.address} is in the file of devices: take it out there.")
        estate.rotate(known.address)
        estate.standings.drop(known.address)
        estate.forget(known.address)
        self._audit.write(author, "device dropped", device=known.address)
        return known.address

    def enrol(self, device: str | None, network: str | None, seconds: int, author: Author) -> Window:
        """Open a window. Raises Rejected."""
        tools = self.tools
        wanted = _one_of_both(device, network)
        address = self.find(device).address if device else ""
        try:
            window = tools.estate.enrolment.open(address, wanted, seconds, tools.seconds())
        except ValueError:
            raise Rejected(400, NOT_A_NETWORK) from None
        except TooManyWindows:
            raise Rejected(409, "Too many windows are open.") from None
        self._audit.write(author, "enrolment opened", device=address, network=network or "", seconds=seconds)
        tools.events.note(EventName.PROVISIONING_WINDOW, who=address, network=network or "", seconds=seconds)
        return window

    def close_window(self, device: str | None, network: str | None, author: Author) -> Window:
        """Close a window before its time, and return it as it was; first files that went out stay out: rotate. A device
        that the file of devices names no more may have one. Raises Rejected."""
        tools, wanted = self.tools, _one_of_both(device, network)
        address = address_of(device) if device else ""
        window = tools.estate.enrolment.close(address, wanted, tools.seconds())
        if window is None:
            raise Rejected(404, f"No window is open for {address or wanted}.")
        self._audit.write(author, "enrolment closed", device=address, network=network or "")
        return window

    def rotate(self, text: str, author: Author) -> KnownDevice:
        """Make a device's tokens and keys worth nothing: it needs a window, or its certificate. Raises Rejected."""
        known = self.find(text)
        self.tools.estate.rotate(known.address)
        self._audit.write(author, "device tokens rotated", device=known.address)
        return self.find(known.address)

    def protect(self, text: str, protection: LegProtection, author: Author) -> KnownDevice:
        """Have a device's file ask for another protection. Raises Rejected."""
        known = self.find(text)
        self.tools.estate.standings.protect(known.address, protection)
        self._audit.write(author, "device protected", device=known.address, to=str(protection))
        return known

    def roll_back(self, text: str, author: Author) -> KnownDevice:
        """Go back to the protection of the generation before. Raises Rejected."""
        known = self.find(text)
        try:
            generation = self.tools.estate.standings.roll_back(known.address)
        except NothingBefore:
            raise Rejected(409, f"{known.address} had no other protection before.") from None
        self._audit.write(author, "device rolled back", device=known.address, generation=generation)
        return known

    def shown(self, text: str) -> str:
        """A device's file without secrets. Raises Rejected."""
        known = self.find(text)
        return self._drawn(lambda: self.tools.estate.shown(known))

    def rendered(self, text: str, author: Author) -> str:
        """A device's file as the phone gets it, with its passwords. Raises Rejected."""
        from_now = self.find(text)
        self._audit.write(author, "device rendered", device=from_now.address)
        return self._drawn(lambda: self.tools.estate.drawn_own(from_now))

    def dhcp(self, server: str) -> str:
        """Lines for a DHCP server. Raises Rejected."""
        if server not in SERVERS:
            raise Rejected(400, f"for: one of {', '.join(SERVERS)}.")
        try:
            return dhcp_lines(server, self.tools.facts())
        except NoWayForDhcp as error:
            raise Rejected(409, f"{str(error).capitalize()}.") from None

    @staticmethod
    def _drawn(draw: Callable[[], bytes]) -> str:
        try:
            return draw().decode("utf-8")
        except ProfileError as error:
            raise Rejected(409, f"The file cannot be made: {error}.") from None


def _one_of_both(device: str | None, network: str | None) -> Network | None:
    """The network that a window is for; None: it is for the device. Raises Rejected."""
    if bool(device) is bool(network):
        raise Rejected(400, "A window is for a device or for a network: say one of them.")
    try:
        return ip_network(network) if network else None
    except ValueError:
        raise Rejected(400, NOT_A_NETWORK) from None


def address_of(text: str) -> str:
    """A hardware address as it is kept, of 12 digits with or without : - and dots between. Raises Rejected."""
    address = _SPELLING.sub("", text).lower()
    if not HARDWARE_ADDRESS.fullmatch(address):
        raise Rejected(404, "A device is named by its hardware address, such as 80:5e:c0:11:22:33.")
    return address
