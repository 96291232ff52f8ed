"""A connection to the store, made when it is needed: Redis or Valkey, over TLS or not, by a sentinel's word or not.

    asked(command) -> connected? -> [sentinels: where is the master?] -> TCP, TLS -> AUTH -> answer
                                                  `- no answer in PATIENCE, an error -> StoreSilent, and no connection

Nothing is queued while there is no connection: a question fails, and the next one tries to connect. A question that is
not answered in time ends the connection, so that no late answer is taken for that of another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.logger import Logger

log = Logger()

LONGEST_ERROR: Final = 200
"""Characters of an error of the store that are told."""
LONGEST_WORD: Final = 20
"""Characters of a code of a refusal: WRONGPASS, NOPERM, ERR."""


class StoreSilent(Exception):
    """The store gave no answer that can be used; the message says why, in one line."""


@attrs.frozen
class StoreTerms:
    """Where the store is, and the proof of this node."""

    places: tuple[tuple[str, int], ...]
    """Hosts and ports; of sentinels where `sentinel` is set."""
    user: str
    password: bytes | None = attrs.field(repr=False)
    sentinel: str | None = None
    """The name of the master that sentinels are asked for."""
    tls: Any = None
    """`tls(host)` makes the client's side of TLS for a host; its `problem` says why the latest certificate was refused.
    None: none is used."""
    patience: float = 0.5
    """Seconds that an answer may take, and a connection."""


class StoreLink:
    """Asks the store, over one connection."""

    def __init__(self, terms: StoreTerms, reactor: Any) -> None:
        self._terms = terms
        self._reactor = reactor
        self._protocol: Any = None
        self._tls: Any = None
        """Of the latest connection."""
        self._waiting: list[Deferred[Any]] = []
        """Questions that wait for the connection that is being made."""

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to a command. Raises StoreSilent."""
        protocol = None
        try:
            protocol = await self._connected()
            return await self._answer(protocol, *command)
        except StoreSilent:
            raise
        except Exception as error:
            self._let_go(protocol)
            raise StoreSilent(self._reason(error)) from None

    async def run(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """The answer to a script. Raises StoreSilent."""
        return await self.ask("EVAL", script, len(keys), *keys, *arguments)

    def close(self) -> None:
        """Let go of the connection; the next question makes another."""
        self._let_go(self._protocol)

    def _let_go(self, protocol: Any) -> None:
        """End a connection. Questions that were asked before on another one go on."""
        if protocol is self._protocol:
            self._protocol = None
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abortConnection()

    async def _connected(self) -> Any:
        """The connection that is up, or a new one; questions that come meanwhile wait for the same."""
        if self._protocol is not None and self._protocol.connected:
            return self._protocol
        waiting: Deferred[Any] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            Deferred.fromCoroutine(self._connect()).addBoth(self._tell)
        return await waiting

    def _tell(self, outcome: Any) -> None:
        """Tell all that wait of the connection, or of the Failure."""
        told, self._waiting = self._waiting, []
        for one in told:
            one.callback(outcome)

    async def _connect(self) -> Any:
        if self._terms.sentinel is None:
            protocol = await self._open(*self._terms.places[0])
        else:
            protocol = await self._opened_master(*await self._master(self._terms.sentinel))
        self._protocol = protocol
        return protocol

    async def _opened_master(self, host: str, port: int) -> Any:
        """A connection to the place that sentinels name, if it is one of a master."""
        protocol = await self._open(host, port)
        try:
            role = await self._answer(protocol, "ROLE")
            if not role or _text(role[0]) != "master":
                raise StoreSilent(f"{host}:{port} is no master, as its sentinels say that it is")
        except Exception:
            self._let_go(protocol)
            raise
        return protocol

    async def _master(self, name: str) -> tuple[str, int]:
        """The place of the master, from the first sentinel that knows it."""
        why = "there is no sentinel"
        for host, port in self._terms.places:
            try:
                found = await self._told_by(host, port, name)
            except Exception as error:
                why = f"the sentinel {host}:{port}: {self._reason(error)}"
                continue
            if isinstance(found, list) and len(found) == 2:
                return _text(found[0]), int(_text(found[1]))
            why = f"the sentinel {host}:{port} knows no master {name}"
        raise StoreSilent(why)

    async def _told_by(self, host: str, port: int, name: str) -> Any:
        """The answer of a sentinel. The connection ends with it, or without it."""
        sentinel = await self._open(host, port)
        try:
            return await self._answer(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        finally:
            self._let_go(sentinel)

    async def _open(self, host: str, port: int) -> Any:
        """A connection that has proved its user."""
        # Loaded here: without [cluster] nothing needs it.
        from txredisapi import RedisProtocol

        endpoint: Any = HostnameEndpoint(self._reactor, host, port, timeout=self._terms.patience)
        self._tls = None if self._terms.tls is None else self._terms.tls(host)
        if self._tls is not None:
            endpoint = wrapClientTLS(self._tls, endpoint)
        protocol = RedisProtocol(charset=None, convertNumbers=False)
        await _patient(connectProtocol(endpoint, protocol), self._terms.patience, self._reactor)
        if self._terms.password is not None:
            try:
                await self._prove(protocol, self._terms.password)
            except Exception:
                self._let_go(protocol)
                raise
        return protocol

    async def _prove(self, protocol: Any, password: bytes) -> None:
        """Tell user and password. Of a refusal only its code is told on: the rest may repeat the command."""
        from txredisapi import ResponseError

        try:
            await self._answer(protocol, "AUTH", self._terms.user, password)
        except ResponseError as error:
            word = str(error).partition(" ")[0]
            is_code = word.isalpha() and word.isupper() and len(word) <= LONGEST_WORD and word.encode() != password
            raise StoreSilent(f"user and password are refused: {word if is_code else 'an error'}") from None

    def _answer(self, protocol: Any, *command: str | bytes | int) -> Deferred[Any]:
        return _patient(protocol.execute_command(*command), self._terms.patience, self._reactor)

    def _reason(self, error: Exception) -> str:
        """The certificate's fault, where one was refused: the error says that the connection was lost, no more."""
        problem = self._tls.problem if self._tls is not None else ""
        if problem:
            return str(problem)
        if isinstance(error, defer.TimeoutError | ConnectingCancelledError):
            return "no answer in time"
        text = str(error).split("\n", 1)[0]
        return (text or type(error).__name__)[:LONGEST_ERROR]


def _patient(waiting: Deferred[Any], seconds: float, reactor: Any) -> Deferred[Any]:
    return waiting.addTimeout(seconds, reactor)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
