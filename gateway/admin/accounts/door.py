"""The door of the administration interface: the author of each request, and whether its role is enough for the route.

    over the UNIX socket   root and the gateway's user: admin; operators of [admin]: operator
    no user exists         from loopback as it was before accounts: everybody reads, those users change; others: nothing
    users exist            a token, or the cookie of a session; in clear from loopback alone

Here: the decision, which is `inspection.Permission`. Not here: reading cookies and tokens (`proofs`), the kernel's
word about a loopback connection (`admin/permission`), proofs that begin a session (`log_in`).

The order is the argument. The socket comes first, since nothing else has to be proved there, and root must not be kept
out by a file of users that is damaged. Then the way: a token or cookie that came in clear from another machine is not
even looked at, so that nobody gets used to sending it. Then whether there are users: `Register.is_open_to_all` is true
only where the file was read and has none. A token that is shown and wrong is refused, and never passed over for a
cookie. A user is looked up at each request, so that a change of role, or an end, counts at once, and so
does the want of a second factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs
from twisted.web.iweb import IRequest

from gateway.admin.accounts.proofs import (
    SESSION_COOKIE,
    cookie_of,
    token_of,
    user_of_socket,
)
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.users import Register
from gateway.admin.hardening import (
    FOR_ALL,
    SOCKET,
    Elsewhere,
    Network,
    NotLoggedIn,
    NotPermitted,
    Rejected,
    client_of,
    is_among,
    source_of,
)
from gateway.admin.inspection import Caller, Role
from gateway.admin.permission import Operators, is_loopback

METRICS: Final = "/metrics"
RELOAD: Final = frozenset({"/api/reload", "/api/v1/reload"})
"""Operators of this machine could always reload; they can until the first user makes roles count."""

STREAM: Final = "/api/v1/events"
"""It is asked again and again whether a reader of the stream may read: that is no use of a session."""

_IN_CLEAR: Final = "Ask over HTTPS, which [admin] certificate and private_key turn on, or on the machine."
_PROXY_IN_CLEAR: Final = (
    "Ask over HTTPS. The proxy says so with X-Forwarded-Proto: https, and asks over HTTPS itself, or on this machine."
)

SECOND_FACTOR: Final = "/account/second-factor"
_FOR_LIMITED: Final = frozenset({SECOND_FACTOR, "/logout"})
"""Paths for a user that has to set up a second factor."""


@attrs.frozen
class Door:
    """Admits requests; `now` gives seconds since the epoch that pass evenly."""

    register: Register
    sessions: UserSessions
    operators: Operators
    monitors: Sequence[Network]
    """Addresses that may ask for metrics without more."""
    now: Callable[[], float]
    needs_second: frozenset[Role] = frozenset()
    """Roles that may do nothing without a second factor."""

    def admit(self, request: IRequest, role: Role, path: str) -> Caller:
        """The author of a request to a route of that role and path. Raises Rejected."""
        source = source_of(request)
        if path in FOR_ALL or (path == METRICS and is_among(source, self.monitors)):
            return Caller("anybody", Role.NOBODY, source)
        if role is Role.NOBODY:
            self._check_way(request, source)
            return Caller("anybody", Role.NOBODY, source)
        caller = self._caller(request, source, role, path)
        if caller.is_limited and path not in _FOR_LIMITED:
            raise Elsewhere(403, "Set up a second factor first: this gateway wants one of you.", SECOND_FACTOR)
        if caller.role < role:
            raise NotPermitted(
                caller.name, f"That takes the role {role.title}, and {caller.name} is {caller.role.title}."
            )
        return caller

    def _caller(self, request: IRequest, source: str, role: Role, path: str) -> Caller:
        if source == SOCKET:
            return self._of_socket(request, source)
        self._check_way(request, source)
        if self.register.is_open_to_all:
            return self._before_users(request, source, role, path)
        shown = token_of(request)
        if shown is not None:
            return self._of_token(shown, source)
        return self._of_session(request, source, is_use=path != STREAM)

    def _of_socket(self, request: IRequest, source: str) -> Caller:
        number = user_of_socket(request)
        found = None if number is None else self.operators.known(number)
        if found is None:
            raise NotPermitted(
                "another user of this machine", "The socket is for root, the gateway's user and operators."
            )
        return Caller(found.name, found.role, source)

    def _check_way(self, request: IRequest, source: str) -> None:
        """Nothing that is private goes over a way that is not, and nothing at all elsewhere before there is a user."""
        client = client_of(request)
        if not client.is_behind_proxy and (source == SOCKET or is_loopback(source)):
            return
        if not client.is_private:
            raise Rejected(403, _PROXY_IN_CLEAR if client.is_behind_proxy else _IN_CLEAR)
        if self.register.is_open_to_all:
            raise Rejected(403, "There is no user yet, so this is answered on the gateway's own machine only.")

    def _before_users(self, request: IRequest, source: str, role: Role, path: str) -> Caller:
        """As long as there is no user. The kernel is asked only where reading is not enough."""
        if role is Role.VIEWER and request.method in (b"GET", b"HEAD"):
            return Caller("anybody on this machine", Role.VIEWER, source)
        found = self.operators.asking(request)
        if path in RELOAD:
            return Caller(found.name, Role.ADMIN, source)
        return Caller(found.name, found.role, source)

    def _of_token(self, shown: str, source: str) -> Caller:
        token = self.register.token(shown, self.now())
        if token is None:
            raise NotLoggedIn("That token is unknown, revoked or expired.")
        return Caller(f"token {token.name}", token.role, source)

    def _of_session(self, request: IRequest, source: str, *, is_use: bool) -> Caller:
        identifier = cookie_of(request, SESSION_COOKIE)
        session = None if identifier is None else self.sessions.find(identifier, self.now(), is_use=is_use)
        user = None if session is None else self.register.user(session.user)
        if session is None or user is None or not user.is_enabled:
            raise NotLoggedIn("Log in, or show a token: Authorization: Bearer gwt_...")
        is_limited = session.is_limited or (user.second_factor is None and user.role in self.needs_second)
        return Caller(user.name, user.role, source, user=user.name, is_limited=is_limited)
