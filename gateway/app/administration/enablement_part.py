"""Enablement: orders to phones and roll-outs of domains, moved on a few times a second, with their routes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.admin.enablement.one_phone_routes import OnePhoneRoutes
from gateway.admin.enablement.resync_routes import ResyncRoutes
from gateway.admin.enablement.rollout_office import OfficeMeans, RolloutOffice
from gateway.admin.enablement.rollout_pages import RolloutPages
from gateway.admin.enablement.rollout_routes import RolloutRoutes
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.start_checks import go_on_without
from gateway.app.state_part import StatePart
from gateway.config.model import Side
from gateway.config.switches import Settings
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.registrar.enablement.book import KEPT, RollOutBook, read
from gateway.registrar.enablement.order_exchange import OrderSender
from gateway.registrar.enablement.rollouts import RollOuts
from gateway.registrar.enablement.surroundings import PhoneFiles, RolloutSurroundings
from gateway.state.listing.call_groups import CallGroup
from gateway.transport.flow import Address

log = Logger()

LOOK_SECONDS: Final = 0.1
"""Between two looks at the roll-outs: at the fastest pace each deals with five phones, in 1.5 ms."""
MARKER: Final = "rollout-open"
"""The file that is there while phones are led to TLS: `gatewayctl check` looks for it."""
BOTH_LEGS: Final = "ENCRYPTED"


def surroundings_of(
    basis: Basis,
    settings: Settings,
    state: StatePart,
    signalling: SignallingPart,
    calls: CallsPart,
    files: PhoneFiles,
) -> RolloutSurroundings:
    """The parts of a gateway that roll-outs ask."""
    transport = signalling.transport
    password_of = calls.admission.password_of
    sender = OrderSender(signalling.transactions.send_request, transport.flow, password_of, basis.random.token)
    return RolloutSurroundings(
        settings,
        state.store,
        state.memory,
        sender,
        basis.clock,
        basis.metrics,
        partial(_in_calls, calls),
        transport.handshakes,
        files,
    )


def _in_calls(part: CallsPart) -> set[Address]:
    """The addresses of phones with a call, ringing ones among them, looked at anew: a microsecond a call."""
    legs = (leg for call in part.calls.active for leg in (call.caller, call.callee) if leg is not None)
    return {leg.flow.remote for leg in legs if leg.flow.side is Side.PHONES}


class EnablementPart(GatewayPart):
    """The roll-outs."""

    def __init__(self, basis: Basis, state: StatePart, around: RolloutSurroundings, means: OfficeMeans) -> None:
        self._table, self._metrics, audit = state.rollouts, basis.metrics, around.settings.audit
        book = RollOutBook(state.rollouts, basis.clock.now)
        self._rollouts = RollOuts(around, book)
        state.device_watches.add(self._rollouts.returns)
        basis.metrics.asked.add(self._rollouts.figures)
        basis.metrics.asked.add(self._share)
        office = RolloutOffice(self._rollouts, book, around, means)
        basis.routes.extend(ResyncRoutes(office, audit).routes())
        basis.routes.extend(OnePhoneRoutes(self._rollouts.list, around, means).routes())
        routes = RolloutRoutes(office, audit, basis.clock.wall)
        basis.routes.extend(routes.routes())
        basis.pages.append(lambda desk: RolloutPages(office, routes, desk).routes())
        self._marker = basis.configuration.gateway.state_directory / MARKER
        self._is_marked: bool | None = None  # the process before may have left the file
        self._looking = LoopingCall(self._look)
        self._looking.clock = basis.reactor

    def start(self) -> Deferred[Any]:
        """Read the roll-outs of before, and go on with them. Fails with InUse."""
        kept = self._table.latest(KEPT).addCallback(lambda rows: self._rollouts.recall(read(rows)))
        kept.addErrback(go_on_without)
        return kept.addCallback(lambda _: self._begin())

    def stop(self) -> Deferred[None]:
        """Ask no phone any more; all is in the file."""
        if self._looking.running:
            self._looking.stop()
        return succeed(None)

    def _begin(self) -> None:
        self._looking.start(LOOK_SECONDS, now=False)

    def _look(self) -> None:
        """The guard of this entry: a mistake of ours must not end the round."""
        try:
            self._rollouts.look()
        except Exception:
            log.failure("the roll-outs were not looked at")
        is_open = self._rollouts.lead_to_tls
        if is_open is not self._is_marked:
            self._is_marked = is_open
            with suppress(OSError):  # it only warns of a configuration without a way back
                if is_open:
                    self._marker.touch(0o600)
                else:
                    self._marker.unlink(missing_ok=True)

    def _share(self) -> Iterator[Sample]:
        """The share of encrypted calls, from the counts that there are."""
        both, every = Counter[str](), Counter[str]()
        for (domain, _, verdict, reason), number in self._metrics.calls.numbers():
            calls = CallGroup(domain, "", verdict, reason, number)
            if calls.is_answered and not calls.is_emergency:
                every[domain] += number
                both[domain] += number if verdict == BOTH_LEGS else 0
        for domain, number in every.items():
            yield Metrics.encrypted_share, (domain,), both[domain] / number
