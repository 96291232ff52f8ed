"""Addresses of this machine that the configuration names, or names the interface of: `192.0.2.10`, `%eth0`, `%eth0/6`.

    "%eth0" -> own_address (kept as it is) -> interface_of -> NamedInterface("eth0", 4)

`%` alone is the interface of [network]. The address that an interface has is the kernel's to say (base/network); here
everything else is known.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from gateway.config.fields import is_address
from gateway.config.structuring import Unacceptable

ANY: Final = ("0.0.0.0", "::")  # noqa: S104
"""Addresses that stand for all of this machine's."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.@:-]{1,15}")
_WRITTEN: Final = re.compile(r"%(?P<name>[A-Za-z0-9_.@:-]{0,15})(?:/(?P<version>[46]))?")


@attrs.frozen
class NamedInterface:
    """An interface whose first global address of one IP version is used."""

    name: str
    version: int = 4

    def __str__(self) -> str:
        return f"{self.name}/6" if self.version == 6 else self.name


def own_address(value: object) -> str:
    """An address of this machine without brackets, or an interface that has it. Raises Unacceptable."""
    if not isinstance(value, str) or not (is_address(value) or _WRITTEN.fullmatch(value)):
        raise Unacceptable(value, 'an IP address, or an interface such as "%eth0" ("%eth0/6": its IPv6 address)')
    return value


def interface_name(value: object) -> str:
    """The name of an interface: 15 characters at most, as the kernel has them. Raises Unacceptable."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Unacceptable(value, "the name of an interface, such as eth0")
    return value


def interface_of(written: str, default: str | None) -> NamedInterface | None:
    """The interface that an `own_address` names; None for a numeric address, and for `%` without a default."""
    found = _WRITTEN.fullmatch(written)
    name = (found["name"] or default) if found is not None else None
    return None if found is None or name is None else NamedInterface(name, int(found["version"] or 4))


def is_ipv6(written: str) -> bool:
    """Whether an `own_address` is of IP version 6."""
    return ":" in written if is_address(written) else written.endswith("/6")


def is_nameless(written: str) -> bool:
    """Whether an `own_address` leaves the interface to [network]."""
    found = _WRITTEN.fullmatch(written)
    return found is not None and not found["name"]
