"""Users of this machine and their rights: root and the gateway's own user are admin, those in `operators` operator.

Here: the user that a request over loopback comes from. Not here: the look-up in the kernel (`local_user`), every other
proof, and the decision (`accounts/door`). Every user with a shell on this machine reaches its loopback, and a web
server's user does; so coming from there is not enough. There is no password: the kernel names the user at the other
end, and where it cannot, nobody changes anything.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator

import attrs
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gateway.admin.hardening import NotPermitted, Rejected, address_of
from gateway.admin.inspection import Role
from gateway.admin.local_user import handle_of, owner_of

log = Logger()


@attrs.frozen
class LocalUser:
    """A user of this machine that may change something."""

    name: str
    role: Role


@attrs.frozen
class Operators:
    """Root, the user of this process, and others by number."""

    others: frozenset[int] = frozenset()

    @classmethod
    def named(cls, names: Iterable[str]) -> Operators:
        """Those of the configuration. A name that this machine does not know is told, and is nobody's."""
        return cls(frozenset(_numbers(names)))

    def known(self, number: int) -> LocalUser | None:
        """The user of that number; None for one without any right."""
        if number in (0, os.geteuid()):
            return LocalUser(named(number), Role.ADMIN)
        return LocalUser(named(number), Role.OPERATOR) if number in self.others else None

    def asking(self, request: IRequest) -> LocalUser:
        """The user that a request over loopback comes from. Raises Rejected for one that may not change anything."""
        if not is_loopback(getattr(request.getClientAddress(), "host", "")):
            raise Rejected(403, "Changes are made from the gateway's own machine only.")
        handle = handle_of(request)
        number = None if handle is None else owner_of(handle)
        if number is None:
            raise NotPermitted(
                "a user that cannot be told", "The user that asks cannot be told: the connection is gone."
            )
        found = self.known(number)
        if found is None:
            text = "Changes are made by root, the gateway's user and the operators in [admin] only."
            raise NotPermitted(named(number), text)
        return found


def is_loopback(host: str) -> bool:
    """Whether that is an address of this machine alone."""
    address = address_of(host)
    return address is not None and address.is_loopback


def named(number: int) -> str:
    """A user for people."""
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"


def _numbers(names: Iterable[str]) -> Iterator[int]:
    for name in names:
        try:
            yield int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
        except KeyError:
            log.warn("[admin] operators names {name}, a user that this machine does not know", name=name)
