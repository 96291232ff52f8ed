"""The look at the running gateway that pages, the API and metrics share, joined of the parts that it asks."""

from __future__ import annotations

from gateway.admin.counts import Counts
from gateway.admin.overview import Overview
from gateway.admin.turns import Turns
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.config.switches import Settings
from gateway.state.listing.call_list import CallList


def overview_of(
    basis: Basis, settings: Settings, state: StatePart, signalling: SignallingPart, calls: CallsPart, turns: Turns
) -> Overview:
    """The look at a gateway that is being built."""
    return Overview(
        settings,
        calls.calls,
        state.history,
        state.store,
        state.memory,
        settings.audit,
        basis.clock.now,
        signalling.transport.certificate_reports,
        _counts(basis, state, signalling, calls).now,
        CallList(state.ended_calls, calls.calls.records, basis.clock.wall, turns.next),
        state.devices,
    )


def _counts(basis: Basis, state: StatePart, signalling: SignallingPart, calls: CallsPart) -> Counts:
    """How much there is of everything."""
    return Counts(
        calls.calls,
        calls.dialogs,
        calls.subscriptions,
        state.store,
        signalling.transport,
        calls.relay,
        signalling.transactions,
        basis.reactor,
    )
