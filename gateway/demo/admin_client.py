"""The demonstration as a client of the gateway's administration interface.

Lives here: waiting until it answers, and fetching the record of a call. Not here: the printout of it.
"""

from __future__ import annotations

import json
from typing import TypedDict
from urllib.parse import quote

from attrs import frozen
from cattrs import Converter
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.client import Agent, readBody

_POLL = 0.2  # seconds
_converter = Converter()


class NoRecord(Exception):
    """The gateway has no such record, or not in time."""


class Rung(TypedDict):
    """One message of one leg of a call."""

    at: float  # seconds since the epoch
    leg: str  # "caller" or "callee"
    direction: str  # "received" or "sent", as the gateway sees it
    what: str  # a method, or a status and its reason


@frozen
class ChainEntry:
    """One link of the chain that explains a verdict."""

    leg: str
    step: str
    what: str
    code: str


@frozen
class GatewayRecord:
    """A call as the gateway tells it."""

    id: str
    verdict: str
    reason: str
    ladder: tuple[Rung, ...]
    chain: tuple[ChainEntry, ...]


@frozen
class _Listed:
    id: str
    direction: str
    state: str
    started_at: float


class AdminClient:
    """The administration interface at a URL."""

    def __init__(self, agent: Agent, clock: IReactorTime, url: str) -> None:
        self._agent = agent
        self._clock = clock
        self._url = url
        self._before: frozenset[str] = frozenset()
        """Calls of earlier demonstrations, which the gateway remembers."""

    async def wait_until_up(self, seconds: float) -> None:
        """Come back when the gateway answers. Raises NoRecord when it does not in time."""
        for _ in range(round(seconds / _POLL)):
            try:
                self._before = frozenset(call.id for call in await self._listed())
            except (ConnectError, NoRecord):
                await deferLater(self._clock, _POLL)
            else:
                return
        raise NoRecord(f"the gateway does not answer at {self._url}")

    async def calls(self, seconds: float) -> tuple[GatewayRecord, ...]:
        """The records of the phone's calls, oldest first, once all have ended. Raises NoRecord when that takes longer.

        Calls of an earlier demonstration are none of them, nor are calls to the phone. A call that the provider
        challenges is two records: the INVITE without credentials, and the one with them.
        """
        for attempt in range(round(seconds / _POLL)):
            if attempt:
                await deferLater(self._clock, _POLL)
            listed = [
                call for call in await self._listed() if call.id not in self._before and call.direction == "outbound"
            ]
            if listed and all(call.state == "ended" for call in listed):
                ordered = sorted(listed, key=lambda call: call.started_at)
                return tuple([await self._record(call.id) for call in ordered])
        raise NoRecord("the gateway has no record of an ended call")

    async def _listed(self) -> list[_Listed]:
        return _converter.structure(await self._get("/api/calls"), list[_Listed])

    async def _record(self, call_id: str) -> GatewayRecord:
        path = f"/api/calls/{quote(call_id, safe='')}"
        return _converter.structure(await self._get(path), GatewayRecord)

    async def _get(self, path: str) -> object:
        response = await self._agent.request(b"GET", f"{self._url}{path}".encode())
        body = await readBody(response)
        if response.code != 200:
            raise NoRecord(f"GET {path}: {response.code}")
        answer: object = json.loads(body)
        return answer
