"""The administration interface with users, asked byte by byte over connections without a network.

Everything is real but the gateway behind it, the disk and the threads: routes, door, log-in, sessions, the site.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import directlyProvides, providedBy

from gateway.admin.accounts.account_api import AccountApi
from gateway.admin.accounts.account_pages import AccountPages
from gateway.admin.accounts.changes import AccountChanges
from gateway.admin.accounts.door import Door
from gateway.admin.accounts.hashing import Hashing
from gateway.admin.accounts.log_in import LogIn, LogInClocks
from gateway.admin.accounts.log_in_pages import LogInNotes, LogInPages
from gateway.admin.accounts.sessions import UserSessions
from gateway.admin.accounts.users import Register, User
from gateway.admin.api import admin_resource
from gateway.admin.hardening import Network
from gateway.admin.inspection import Role
from gateway.admin.kept_pages import KeptPages
from gateway.admin.pages.desk import Desk
from gateway.admin.pages.user_pages import UserPages
from gateway.admin.permission import Operators
from gateway.admin.routes import HttpRoute
from gateway.admin.site import BoundedSite
from gateway.admin.turns import Turns
from gateway.observe.metrics import Metrics
from gateway.state.audit import AuditLog
from tests.admin.accounts.support import MemoryFile, done
from tests.admin.test_api import FakeControl, FakeInspection

FAR, NEAR, SOCKET = "192.0.2.1", "127.0.0.1", "socket"
HOST = "gw.example.com"


@attrs.frozen
class Reply:
    """An answer."""

    status: int
    fields: tuple[tuple[str, str], ...]
    text: str

    def __getitem__(self, name: str) -> str:
        """The value of a field, empty where it is not there."""
        return ", ".join(value for key, value in self.fields if key == name)

    @property
    def cookies(self) -> dict[str, str]:
        """Those that it sets, by name: value and attributes."""
        return dict(value.split("=", 1) for key, value in self.fields if key == "set-cookie")

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class SecureTransport(StringTransport):
    """A connection over TLS."""

    def __init__(self, peerAddress: Any) -> None:  # noqa: N803
        super().__init__(peerAddress=peerAddress)  # type: ignore[no-untyped-call]
        directlyProvides(self, providedBy(self), ISSLTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is no network."""


@attrs.frozen
class Asking:
    """A connection to it."""

    channel: Any
    transport: Any

    @property
    def answered(self) -> bytes:
        """All that came back so far."""
        return bytes(self.transport.value())

    def leave(self) -> None:
        """End it."""
        self.channel.connectionLost()


class AdminHouse:
    """A site of a gateway with these users."""

    def __init__(
        self,
        directory: Path,
        *users: User,
        needs_second: frozenset[Role] = frozenset(),
        monitors: Sequence[Network] = (),
        more: Sequence[HttpRoute] = (),
        proxies: Sequence[Network] = (),
    ) -> None:
        self.time = 1_700_000_000.0
        self.clock = Clock()
        self.hashed = 0
        self.is_slow = False
        self.running: list[Deferred[object]] = []
        """Passwords that are being hashed, while that is slow."""
        self.file = MemoryFile(*users)
        self.register = Register(self.file)
        done(self.register.read())
        self.sessions = UserSessions(12, 30)
        self.metrics = Metrics(CollectorRegistry())
        self.audit = AuditLog(directory / "audit.jsonl", self.now)
        self.control = FakeControl()
        hashing = Hashing(self._run)
        log_in = LogIn(self.register, self.sessions, hashing, LogInClocks(self.now, self.now), needs_second)
        changes = AccountChanges(self.register, self.sessions, hashing, self.audit, self.now, 90, "gw")
        notes, turns = LogInNotes(changes, self.metrics), Turns(self.clock)
        gathering: Any = SimpleNamespace(now=self.now, version="1.2.3")
        desk = Desk(gathering, "gw", turns)
        routes = (
            *more,
            HttpRoute("GET", "/", lambda request: b"a page", Role.VIEWER),
            HttpRoute("GET", "/calls/{call_id:path}", lambda request, call_id: b"a page", Role.VIEWER),
            *LogInPages(log_in, changes, desk, notes).routes(),
            *AccountPages(log_in, changes, desk, notes, needs_second).routes(),
            *UserPages(changes, desk).routes(),
            *AccountApi(changes, lambda work: succeed(work())).routes(),
        )
        door = Door(self.register, self.sessions, Operators(), tuple(monitors), self.now, needs_second)
        pages = KeptPages(turns, self.now)
        front = admin_resource(
            *(FakeInspection(), self.control, self.metrics, door, routes, frozenset({HOST})),
            pages=pages,
            proxies=proxies,
        )
        self.site = BoundedSite(front, self.clock)

    def now(self) -> float:
        return self.time

    def _run(self, work: Callable[[], object]) -> Deferred[object]:
        self.hashed += 1
        if not self.is_slow:
            return succeed(work())
        self.running.append(Deferred())
        return self.running[-1]

    def token(self, role: Role, name: str = "") -> str:
        """A new token of that role."""
        name = name or f"token-{role.title}"
        return done(self.register.add_token(name, role, "test", self.time, 90))

    def raw(self, data: bytes, source: str = FAR, *, is_secure: bool = True) -> bytes:
        """The bytes that come back for bytes."""
        asking = self.begin(data, source, is_secure=is_secure)
        answered = asking.answered
        asking.leave()
        return answered

    def begin(self, data: bytes, source: str = FAR, *, is_secure: bool = True) -> Asking:
        """A connection over which bytes were sent."""
        address: Any = UNIXAddress(None) if source == SOCKET else IPv4Address("TCP", source, 40000)
        transport: Any = SecureTransport(address) if is_secure else StringTransport(peerAddress=address)
        channel: Any = self.site.buildProtocol(address)
        channel.makeConnection(transport)
        channel.dataReceived(data)
        self.clock.advance(0)  # pages are drawn in turns
        return Asking(channel, transport)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes = b"",
        source: str = FAR,
        host: str = HOST,
        is_secure: bool = True,
        **fields: str,
    ) -> Reply:
        """The answer to a request; a field's name has _ for -."""
        named = {"host": host, **{name.replace("_", "-"): value for name, value in fields.items()}}
        if body or method != "GET":
            named["content-length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        answered = self.raw("\r\n".join(lines).encode("latin-1") + body, source, is_secure=is_secure)
        head, _, text = answered.partition(b"\r\n\r\n")
        status, *rest = head.decode("latin-1").split("\r\n")
        pairs = tuple((line.partition(": ")[0].lower(), line.partition(": ")[2]) for line in rest)
        return Reply(int(status.split()[1]), pairs, text.decode())

    def post(self, path: str, change: object, **fields: Any) -> Reply:
        """A change as JSON."""
        return self.ask(path, "POST", json.dumps(change).encode(), content_type="application/json", **fields)

    def form(self, path: str, values: dict[str, str], origin: str | None = f"https://{HOST}", **fields: Any) -> Reply:
        """A form of a page."""
        origins = {} if origin is None else {"origin": origin}
        typed = {"content_type": "application/x-www-form-urlencoded", **origins, **fields}
        return self.ask(path, "POST", urlencode(values).encode(), **typed)

    def log_in(self, name: str, password: str, **fields: Any) -> str:
        """The Cookie field of a new session."""
        reply = self.form("/login", {"name": name, "password": password}, **fields)
        assert reply.status == 303, reply.text
        return f"__Host-session={reply.cookies['__Host-session'].split(';')[0]}"
