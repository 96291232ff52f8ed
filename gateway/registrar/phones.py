"""Registered phones as peers of a dialog: the same phone over another flow, and the flow that reaches it now.

A phone is one instance of one address of record (RFC 5626 section 4.1). One that names no instance is told by its
address of record: each binding of that has shown the user's password to the provider.

    a request of its dialog over another flow  -> is_same -> taken, or not
    a request of ours to it, its old flow gone -> flow_of -> the flow of its latest registration

Here: looking phones up. Not here: callers of new requests, the life of a REGISTER (registrar.py).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.registrar.binding import Binding, LocationStore
from gateway.transport.flow import Flow, FlowKey


class Phones:
    """The phones of a store; ``open_flow`` gives the flow of a key, None once its connection is gone.

    A phone is given as the binding that it had when its dialog began, which the store may have replaced since.
    """

    def __init__(self, store: LocationStore, open_flow: Callable[[FlowKey], Flow | None]) -> None:
        self._store = store
        self._open_flow = open_flow

    def is_same(self, phone: Binding, flow: FlowKey) -> bool:
        """Whether a live binding of this phone came over that flow."""
        return any(one.came_over == flow for one in self._bindings(phone))

    def flow_of(self, phone: Binding) -> Flow | None:
        """The flow of the phone's latest binding, if that is another than it was; None where it cannot be reached."""
        latest = next(iter(self._bindings(phone)), None)
        return None if latest is None or latest.flow == phone.flow else self._open_flow(latest.flow)

    def _bindings(self, phone: Binding) -> list[Binding]:
        """Its live bindings, reachable ones first."""
        return [one for one in self._store.find(phone.aor) if one.instance == phone.instance]
