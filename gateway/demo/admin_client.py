"""What the demonstration asks of the gateway's administration interface.

What lives here: waiting until it answers, and fetching the record of a call. What does not: what is printed of it
(`report`).
"""

from __future__ import annotations

import json

from attrs import frozen
from cattrs import Converter
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.client import Agent, readBody

from gateway.demo.ladder import Step

_POLL = 0.2  # seconds
_converter = Converter()


class NoRecord(Exception):
    """The gateway has no such record, or not in time."""


@frozen
class Reason:
    """One link of the chain that explains a verdict."""

    leg: str
    step: str
    what: str
    code: str


@frozen
class CallRecord:
    """A call as the gateway tells it."""

    id: str
    state: str
    verdict: str
    reason: str
    ladder: tuple[Step, ...]
    chain: tuple[Reason, ...]


@frozen
class _Listed:
    id: str
    started_at: float


class AdminClient:
    """The administration interface at a URL."""

    def __init__(self, agent: Agent, clock: IReactorTime, url: str) -> None:
        self._agent = agent
        self._clock = clock
        self._url = url

    async def wait_until_up(self, seconds: float) -> None:
        """Come back when the gateway answers. Raises NoRecord when it does not in time."""
        for _ in range(round(seconds / _POLL)):
            try:
                await self._get("/api/calls")
            except (ConnectError, NoRecord):
                await deferLater(self._clock, _POLL)
            else:
                return
        raise NoRecord(f"the gateway does not answer at {self._url}")

    async def last_call(self, seconds: float) -> CallRecord:
        """The record of the call that began last, once the call has ended; as it is when that takes too long."""
        for attempt in range(round(seconds / _POLL)):
            if attempt:
                await deferLater(self._clock, _POLL)
            listed = _converter.structure(await self._get("/api/calls"), list[_Listed])
            if not listed:
                continue
            latest = max(listed, key=lambda call: call.started_at)
            record = _converter.structure(await self._get(f"/api/calls/{latest.id}"), CallRecord)
            if record.state == "ended":
                return record
        raise NoRecord("the gateway has no record of an ended call")

    async def _get(self, path: str) -> object:
        response = await self._agent.request(b"GET", f"{self._url}{path}".encode())
        body = await readBody(response)
        if response.code != 200:
            raise NoRecord(f"GET {path}: {response.code}")
        answer: object = json.loads(body)
        return answer
