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

    def reach(self, phone: Binding) -> Flow | None:
        """The flow of a binding; None where its connection is gone."""
        return self._open_flow(phone.flow)

    def flow_of(self, phone: Binding) -> Flow | None:
        """The flow of the phone's latest binding, if that is another than it was; None where it cannot be reached. A
        binding over UDP that is still there is the latest: without an instance, the others may be other phones."""
        bound = self._bindings(phone)
        if not bound:
            return None
        latest = bound[0]
        for one in bound:
            if one.token == phone.token and not one.flow.connection:
                latest = one
                break
        return None if latest.flow == phone.flow else self._open_flow(latest.flow)

    def unheard(self, flow: Flow, seconds: float) -> None:
        """Nothing came back over this flow in so many seconds: there is no other way to a phone."""

    def _bindings(self, phone: Binding) -> list[Binding]:
        """Its live bindings, reachable ones first."""
        return [one for one in self._store.find(phone.aor) if one.instance == phone.instance]
