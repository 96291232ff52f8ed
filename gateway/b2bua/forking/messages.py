"""One request outside any call to several phones of a user, and one answer back: the first 2xx, else the best of all.

A message is for the user, and so for each phone; a phone that cannot be reached keeps it from no other. The caller
waits for half a minute (RFC 3261 timer F): phones that are silent for most of that are not waited for where others have
refused.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from gateway.b2bua.forking.best import best_status
from gateway.sip.message import Response
from gateway.transaction.client import TransactionFailure, TransactionUser

SILENT_AT_MOST: Final = 20.0
"""Seconds."""


class ManyPassages:
    """Waits for the responses of so many phones; `one` is given that which goes back."""

    def __init__(self, one: TransactionUser, count: int, clock: IReactorTime) -> None:
        self._one: TransactionUser | None = one
        self._waiting = count
        self._refused: list[Response] = []
        self._time = clock.callLater(SILENT_AT_MOST, self._answer_best)

    def receive_response(self, response: Response) -> None:
        """Pass the first 2xx back at once."""
        if 200 <= response.status < 300:
            self._answer(response)
        elif response.status >= 300:
            self._refused.append(response)
            self._ended(None)

    def transaction_failed(self, failure: TransactionFailure) -> None:
        """One phone gave no answer."""
        self._ended(failure)

    def _ended(self, failure: TransactionFailure | None) -> None:
        self._waiting -= 1
        if self._waiting:
            return
        self._answer_best()
        if self._one is not None and failure is not None:
            one, self._one = self._one, None
            self._stop()
            one.transaction_failed(failure)

    def _answer_best(self) -> None:
        if self._refused:
            self._answer(self._refused[best_status([response.status for response in self._refused])])

    def _answer(self, response: Response) -> None:
        one, self._one = self._one, None
        self._stop()
        if one is not None:
            one.receive_response(response)

    def _stop(self) -> None:
        if self._time.active():
            self._time.cancel()
