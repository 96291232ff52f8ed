"""The demonstration as a play: start the gateway and the provider, register a phone, call, ask the gateway about it.

Lives here: the order of things. Not here: the scene, the printout, the ways out, each of which goes through the
reactor's shutdown, which calls `end`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.web.client import Agent

from gateway.demo.admin_client import AdminClient
from gateway.demo.agent.user_agent import Reactor, UserAgent
from gateway.demo.audio.listen import Heard
from gateway.demo.phone import Phone, PhoneTerms, listener
from gateway.demo.printout import Outcome
from gateway.demo.processes import ChildEnded, Family, adopt_orphans, end_stragglers, live_children
from gateway.demo.provider import CallEnded, CallRefused, Listening, Registered, from_line
from gateway.demo.roles import EXTENSION, PASSWORDS, Scene

CALL_LENGTH = 4.0  # seconds
_START_LIMIT = 30.0  # seconds until the gateway answers
_RECORD_LIMIT = 5.0  # seconds until the gateway has closed the record of the call
_WHOLE_LIMIT = 60.0  # seconds until the report


class Demonstration:
    """One demonstration, from the first process to the last."""

    def __init__(self, reactor: Reactor, scene: Scene, show: Callable[[str], None]) -> None:
        self._clock = reactor.clock
        self._scene = scene
        self._show = show
        self._family = Family(reactor.processes, reactor.clock, scene.logs, self._child_lost)
        self._phone = self._new_phone(reactor)
        self._admin = AdminClient(Agent(reactor.web), reactor.clock, scene.admin)
        self._provider_listens: Deferred[None] = Deferred()
        self._provider_heard: Deferred[Heard] = Deferred()
        self._loss: ChildEnded | None = None
        self.broken: Deferred[ChildEnded] = Deferred()
        """Fires when a process is gone that should be there."""

    async def play(self) -> Outcome:
        """The whole call. Raises ChildEnded, Unanswered, NotRegistered, NotAnswered, TimeoutError."""
        playing = Deferred.fromCoroutine(self._scenes()).addTimeout(_WHOLE_LIMIT, self._clock)
        self.broken.addCallback(self._interrupt, playing)
        try:
            return await playing
        except CancelledError:
            raise (self._loss or TimeoutError()) from None

    def end(self) -> Deferred[None]:
        """End everything; fires when no process is left."""
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        await DeferredList([self._phone.stop(), self._family.end()], consumeErrors=True)
        await end_stragglers(self._clock, partial(live_children, os.getpid()))

    async def _scenes(self) -> Outcome:
        self._start_processes()
        await self._provider_listens
        await self._admin.wait_until_up(_START_LIMIT)
        self._show("The gateway and the provider are up.")
        await self._phone.start()
        self._show(f"The phone is registered as {self._scene.account.aor}; it calls {EXTENSION}.")
        session = await self._phone.call(EXTENSION)
        self._show(f"Answered; listening for {CALL_LENGTH:.0f} seconds.")
        await deferLater(self._clock, CALL_LENGTH)
        phone_heard = await session.hang_up()
        records = await self._admin.calls(_RECORD_LIMIT)
        return Outcome(records, phone_heard, await self._what_the_provider_heard())

    def _new_phone(self, reactor: Reactor) -> Phone:
        terms = PhoneTerms(self._scene.phone, self._scene.phones, self._scene.account)
        return Phone(UserAgent.over(reactor, listener(terms)), reactor, terms, self._phone_was_called)

    def _start_processes(self) -> None:
        adopt_orphans()
        scene = self._scene
        python = [sys.executable, "-m"]
        self._family.start("gateway", [*python, "twisted", "gateway", "--config", str(scene.configuration.source)])
        provider = [*python, "gateway.demo.provider", "--listen", str(scene.provider), "--domain", scene.domain.name]
        provider += ["--certificate", str(scene.certificate), "--private-key", str(scene.private_key)]
        for user, password in PASSWORDS.items():
            provider += ["--user", f"{user}:{password}"]
        if scene.call_back_after is not None:
            provider += ["--call-back-after", str(scene.call_back_after)]
        self._family.start("provider", provider, self._provider_said)

    async def _what_the_provider_heard(self) -> Heard | None:
        try:
            return await self._provider_heard.addTimeout(_RECORD_LIMIT, self._clock)
        except TimeoutError:
            return None

    def _provider_said(self, line: str) -> None:
        match from_line(line):
            case Listening():
                self._provider_listens.callback(None)
            case CallEnded(_, heard) if not self._provider_heard.called:
                self._provider_heard.callback(heard)
            case CallEnded(_, heard):
                self._show(f"A call at the provider ended; it heard: {heard.sentence()}")
            case CallRefused(_, status, reason):
                self._show(f"The provider refused a call: {status} {reason}")
            case Registered(user, contact):
                self._show(f"The provider knows {user} at {contact}.")
            case None:
                pass

    def _phone_was_called(self, heard: Heard) -> None:
        self._show(f"A call to the phone ended; it heard: {heard.sentence()}")

    def _child_lost(self, ended: ChildEnded) -> None:
        if self._loss is None:
            self._loss = ended
            self.broken.callback(ended)

    def _interrupt(self, ended: ChildEnded, playing: Deferred[Outcome]) -> ChildEnded:
        playing.cancel()
        return ended
