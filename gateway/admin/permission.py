"""The right to change the gateway: that of root, the gateway's own user, and the operators of `[admin]`.

Here: the user that a request comes from, and the decision (`inspection.Permission`). Not here: the look-up in the
kernel (`local_user`), the changes (`api`). Every user with a shell on this machine reaches its loopback, and a web
server's user does; so coming from there is not enough. There is no password: the kernel names the user at the other
end, and where it cannot, nobody changes anything.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gateway.admin.hardening import NotPermitted, Rejected
from gateway.admin.local_user import owner_of

log = Logger()


@attrs.frozen
class Operators:
    """Root, the user of this process, and others by number."""

    others: frozenset[int] = frozenset()

    @classmethod
    def named(cls, names: Iterable[str]) -> Operators:
        """Those of the configuration. A name that this machine does not know is told, and is nobody's."""
        return cls(frozenset(_numbers(names)))

    def author_of(self, request: IRequest) -> str:
        """The user that a change comes from, for the audit."""
        if not is_loopback(getattr(request.getClientAddress(), "host", "")):
            raise Rejected(403, "Changes are made from the gateway's own machine only.")
        number = _asking(request)
        if number is None:
            raise NotPermitted(
                "a user that cannot be told", "The user that asks cannot be told: the connection is gone."
            )
        if number not in self.others | {0, os.geteuid()}:
            text = "Changes are made by root, the gateway's user and the operators in [admin] only."
            raise NotPermitted(named(number), text)
        return named(number)


def is_loopback(host: str) -> bool:
    """Whether that is an address of this machine alone."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def named(number: int) -> str:
    """A user for people."""
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"


def _asking(request: IRequest) -> int | None:
    """The user at the other end of the request's connection."""
    transport: Any = getattr(getattr(request, "channel", None), "transport", None)
    handle = getattr(transport, "getHandle", None)
    return None if handle is None else owner_of(handle())


def _numbers(names: Iterable[str]) -> Iterator[int]:
    for name in names:
        try:
            yield int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
        except KeyError:
            log.warn("[admin] operators names {name}, a user that this machine does not know", name=name)
