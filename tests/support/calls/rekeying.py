"""A scripted far end that re-keys: a new port and SRTP key in each refresh, whoever refreshes, by UPDATE or re-INVITE.

No program: its event loop runs in a thread of the test's own process. `rekeying_agent.py` has its signalling,
`rekeying_media.py` its sound.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.support.calls.audio import write_wav
from tests.support.calls.processes import ProgramFailed, wait_until
from tests.support.calls.rekeying_agent import Manners, OneCall, RekeyingAgent
from tests.support.calls.telephone import Line, Telephone

Result = TypeVar("Result")

WITHIN = 25.0  # seconds


class Rekeying(Telephone):
    """An agent in a thread of its own."""

    def __init__(self, line: Line, manners: Manners | None = None) -> None:
        line.directory.mkdir(parents=True, exist_ok=True)
        self.line = line
        self.agent = RekeyingAgent(line, manners or Manners())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._calling: list[Any] = []

    def register(self) -> None:
        self._do(self.agent.register())

    def call(self, uri: str) -> None:
        self._calling.append(asyncio.run_coroutine_threadsafe(self.agent.call(uri), self._loop))

    def wait_ringing(self, seconds: float = 5) -> None:
        self._wait("it rings", "ringing", seconds)

    def answer(self) -> None:
        self._do(self.agent.answer())

    def wait_answered(self, seconds: float = 5) -> None:
        """Of its latest call, as for the end of one."""
        self._wait("the call stands", "talking", seconds)

    def hangup(self, call: int = -1) -> None:
        self._do(self.agent.hang_up(self.agent.calls[call]))

    def wait_ended(self, seconds: float = 5) -> str:
        self._wait("the call is gone", "ended", seconds)
        return "ended"

    def wait_held(self, seconds: float = 5) -> None:
        wait_until("it is held", lambda: self._latest.theirs in ("sendonly", "inactive"), seconds)

    def wait_resumed(self, seconds: float = 5) -> None:
        wait_until("it is resumed", lambda: self._latest.theirs == "sendrecv", seconds)

    def refresh(self, method: str, call: int = -1) -> None:
        """Refresh now, with a new port and key."""
        status = self._do(self.agent.refresh(method, self.agent.calls[call]))
        assert status == 200, f"{self.line.user}'s {method} was answered {status}"

    def wait_refreshed(self, by: str, seconds: float) -> None:
        """Wait for a refresh in the latest call: "sent UPDATE", "came INVITE" and so on."""
        wait_until(f"{by} at {self.line.user}, of {self.refreshes}", lambda: by in self.refreshes, seconds)

    @property
    def refreshes(self) -> list[str]:
        """All refreshes of the latest call so far."""
        return self._latest.refreshes

    def recordings(self) -> list[Path]:
        return [
            write_wav(self.line.directory / f"heard-{number}.wav", list(call.sound.heard))
            for number, call in enumerate(self.agent.calls)
        ]

    def assert_well(self) -> None:
        """Nothing of it failed, and each packet that came opened with the key agreed on for its port."""
        failures = [event for event in self.agent.events if event.startswith(("failed", "refresh refused"))]
        assert not failures, f"{self.line.user}: {failures}"
        for call in self.agent.calls:
            assert call.sound.unopened == 0, f"{call.sound.unopened} packets did not open at {self.line.user}"

    def stop(self) -> None:
        self._do(self.agent.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def _latest(self) -> OneCall:
        return self.agent.calls[-1]

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    def _wait(self, what: str, state: str, seconds: float) -> None:
        try:
            wait_until(what, lambda: [call.state for call in self.agent.calls][-1:] == [state], seconds)
        except ProgramFailed as failed:
            states = [call.state for call in self.agent.calls]
            raise ProgramFailed(f"{self.line.user}: {failed}; calls: {states}; {self.agent.events}") from None
