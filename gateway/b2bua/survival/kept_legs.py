"""Legs that another process began, in dialogs that are confirmed, and the ways to their peers.

A flow over UDP is there again as soon as its listener is. A connection is gone: one that we had opened is opened again
to the same host, under the same name; of a peer that had opened it, the leg waits for the next one. A phone comes back
with its REGISTER, and the binding says that it is the same phone (RFC 5626 section 4.1). A BYE waits for that too, for
as long as a request may wait for its answer; any other request to such a peer is put off (Call.leg_received).

Nothing that the lost flow had proved is forgotten: a leg that was on TLS is not followed in clear, and one that was
verified takes requests over a connection of the same peer alone (legs/flows.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.b2bua.legs.callee import CalleeLeg
from gateway.b2bua.legs.caller import CallerLeg
from gateway.b2bua.legs.flows import LegWay, Reopen
from gateway.b2bua.legs.in_dialog import hang_up
from gateway.b2bua.legs.leg import Fields, Leg, LegOwner, LegServices, LegSpec
from gateway.b2bua.legs.owner import UNHEARD
from gateway.b2bua.survival.frozen_leg import FrozenLeg, FrozenWay
from gateway.config.model import Listener, Provider, Side, Signalling
from gateway.routing.attempts import Way
from gateway.routing.trunk import Trunk
from gateway.transport.flow import Address, Flow, FlowKey, PeerIdentity, Target, Transport
from gateway.transport.layer import TransportLayer
from gateway.transport.way import Strength

log = Logger()

AWAITED_SECONDS: Final = 32.0
"""For which a BYE waits for the connection of a phone (64*T1, as long as a request waits for its answer)."""
LOOK_SECONDS: Final = 0.5


class LostFlow(Flow):
    """The flow of a connection that ended with the process before: closed, and it had proved so much."""

    __slots__ = ("_number",)

    def __init__(self, listener: Listener, key: FlowKey, proved: Strength) -> None:
        here = Address(listener.advertised_host or listener.address, listener.port)
        super().__init__(listener, here, key.remote, here)
        self._number = key.connection
        if proved is Strength.VERIFIED:
            self.identity = PeerIdentity()  # verified, as a name that no other flow has

    @property
    def is_open(self) -> bool:
        """It never is again."""
        return False

    @property
    def key(self) -> FlowKey:
        """The key that it had."""
        return FlowKey(self.listener.name, self.transport, self.remote, self._number)

    def send(self, data: bytes) -> None:
        """Nothing leaves."""

    def close(self) -> None:
        """It is closed."""


class NotRebuilt(Exception):
    """A call that cannot be gone on with, and why, in words for people."""


@attrs.frozen
class KeptWays:
    """Finds the ways of legs again."""

    listeners: Mapping[str, Listener]
    transport: TransportLayer
    trunk: Trunk
    _sought: set[tuple[str, bool]] = attrs.field(factory=set, init=False)

    def of(self, frozen: FrozenWay, provider: Provider) -> tuple[LegWay, Reopen]:
        """The way of a leg, and the other way to its peer. Raises NotRebuilt where its listener is gone."""
        key, listener = frozen.key, self.listeners.get(frozen.key.listener)
        if listener is None or listener.side is not frozen.side or listener.transport != key.transport:
            raise NotRebuilt(f"there is no listener {key.listener} of its kind any more")
        is_provider = frozen.side is Side.PROVIDER
        if key.transport is Transport.UDP:
            flow = self.transport.flow(key)
            if flow is None:
                raise NotRebuilt(f"the listener {key.listener} is not open")
            flow.allowance.prove()  # it was, by the messages of the call
            target = Target(key.transport, key.remote, key.remote.host)
            reopen = self.trunk.way_to(provider, target) if is_provider else _nowhere
            return LegWay.resumed(flow, frozen.phone, flow, frozen.weakest), reopen
        lost: Flow = LostFlow(listener, key, frozen.proved)
        if not is_provider:
            return LegWay.resumed(lost, frozen.phone, lost, frozen.weakest), _nowhere
        if frozen.meant is None:
            self._seek(provider, is_secure=lost.is_secure)
            reopen = lambda: self.trunk.reopened(provider, lost.is_secure)  # noqa: E731
            return LegWay.resumed(lost, None, lost, frozen.weakest), reopen
        reopen = self.trunk.way_to(provider, Target(key.transport, key.remote, frozen.meant))
        return LegWay.resumed(reopen(), None, lost, frozen.weakest), reopen

    def _seek(self, provider: Provider, *, is_secure: bool) -> None:
        """Open a connection to a provider that had opened its own, once for all legs that may need it."""
        sought = provider.name, is_secure
        if sought in self._sought:
            return
        self._sought.add(sought)
        signalling = Signalling.TLS if is_secure else Signalling.CLEAR
        found = self.trunk.ways(provider, signalling)
        found.addCallbacks(_open_first, _not_found, (provider.name,), errbackArgs=(provider.name,))


def _open_first(ways: Sequence[Way], provider: str) -> None:
    if ways:
        ways[0]()
    else:
        log.warn("no way leads to {provider}: its calls wait for its own connection", provider=provider)


def _not_found(failure: Failure, provider: str) -> None:
    log.warn("{provider} is not found: {reason}", provider=provider, reason=failure.getErrorMessage())


def _nowhere() -> Flow | None:
    return None


class KeptCaller(CallerLeg):
    """The caller's leg of a call that was answered by another process."""

    __slots__ = ()

    def __init__(self, spec: LegSpec, way: LegWay, services: LegServices, owner: LegOwner) -> None:
        Leg.__init__(self, spec, way.flow, services, owner)
        self.way = way
        self.settle()  # the transaction ended with its process
        self.answered = self._accepted = self.has_answer = True
        self._number, self._reliable, self._unwatch, self.beside = 0, None, None, ()

    def leave(self, status: int, fields: Fields = ()) -> None:
        """Say BYE, as soon as there is a way."""
        goodbye(self, fields)


class KeptCallee(CalleeLeg):
    """The leg of a callee that has answered another process."""

    __slots__ = ()

    def __init__(self, spec: LegSpec, way: LegWay, services: LegServices, owner: LegOwner, winner: str) -> None:
        super().__init__(spec, way.flow, services, owner, UNHEARD)
        self.way = way
        self._winner, self._finished = winner, True

    def abandon(self, fields: Fields = ()) -> None:
        """Say BYE, as soon as there is a way."""
        goodbye(self, fields)


def when_open(
    clock: IReactorTime, opened: Callable[[], Flow], act: Callable[[Flow], None], left: float = AWAITED_SECONDS
) -> None:
    """Act as soon as the way to a peer is open, and with a closed one when that has not come within `left` seconds."""
    flow = opened()
    if flow.is_open or left <= 0:
        act(flow)
    else:
        clock.callLater(LOOK_SECONDS, when_open, clock, opened, act, left - LOOK_SECONDS)


def goodbye(leg: Leg, fields: Fields) -> None:
    """Say BYE as soon as there is a way."""
    leg.session.stop()
    when_open(leg.clock, leg.opened_flow, lambda _flow: hang_up(leg, fields))


def thawed_leg(leg: Leg, frozen: FrozenLeg, wait: float) -> None:
    """Put the state of a leg in force: its dialog, its session and its media. A refresh that is due comes after `wait`
    seconds."""
    leg.dialog = frozen.dialog
    leg.services.dialogs.began(leg, frozen.dialog)
    leg.media.encrypted, leg.media.in_force = frozen.encrypted, frozen.in_force
    leg.session.resume(leg, frozen.session, wait)
