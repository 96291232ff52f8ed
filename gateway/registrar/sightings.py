"""Devices as registrations show them, for the inventory.

    Binding (User-Agent, +sip.instance, Contact, flow) -> device_of -> Device -> DeviceTable

The key of a device is the best that it tells: its hardware address, else its +sip.instance (RFC 5626 section 4.1), else
its address of record and the host of its Contact. A phone may lie about each; so a device is a line in a list, and
nothing is decided by it. Text of the phone is made clean here.

A phone behind NAT registers every minute, and the same each time: it is written every ten minutes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from gateway.registrar.binding import Binding
from gateway.sip.errors import MalformedMessage
from gateway.sip.uri import Uri
from gateway.state.call_record import fit
from gateway.state.devices.device_table import CAPACITY, Device, DeviceTable
from gateway.state.devices.made_by import hardware_address, make_of

HARDWARE: Final = "mac:"
"""The beginning of a device's key that is its hardware address."""
KEYS: Final = 4_096
"""Keys of devices that are remembered: those of a wave, and more."""
AGAIN_SECONDS: Final = 600.0
"""A registration that is as it was is noted again after so long."""


class DeviceSightings:
    """Notes the devices that register in a table."""

    def __init__(self, table: DeviceTable) -> None:
        self._table = table
        self._noted: dict[str, tuple[int, float]] = {}
        """By a binding's token: the hash of all that it says of its device, and when that was noted."""

    def registered(self, binding: Binding) -> None:
        """See registrar.news.DeviceWatch."""
        now, said = self._table.now(), hash((binding.user_agent, binding.instance, binding.contact, binding.came_over))
        before = self._noted.get(binding.token)
        if before is not None and before[0] == said and now - before[1] < AGAIN_SECONDS:
            return
        self._noted.pop(binding.token, None)
        self._noted[binding.token] = (said, now)
        if len(self._noted) > CAPACITY:
            del self._noted[next(iter(self._noted))]
        self._table.saw(device_of(binding))


def device_of(binding: Binding) -> Device:
    """The device of a binding."""
    user_agent = fit(binding.user_agent)
    made = make_of(user_agent)
    return Device(
        key=key_of(binding),
        make=made.make,
        model=made.model,
        firmware=made.firmware,
        learnt="User-Agent" if made.make else "",
        user_agent=user_agent,
        address_of_record=fit(binding.aor),
        contact=fit(binding.contact),
        transport=str(binding.came_over.transport),
    )


def key_of(binding: Binding) -> str:
    """The key of the device of a binding, which roll-outs look at again and again."""
    return _key(binding.user_agent, binding.instance, binding.aor, binding.contact)


@lru_cache(maxsize=KEYS)
def _key(user_agent: str, instance: str | None, address_of_record: str, contact: str) -> str:
    address = hardware_address(user_agent, instance)
    if address is not None:
        return f"{HARDWARE}{address}"
    if instance is not None:
        return f"instance:{fit(instance)}"
    try:
        host = Uri.parse(contact).host
    except MalformedMessage:
        host = ""
    return f"aor:{fit(address_of_record)} {fit(host)}"
