"""The record of a new call, with all that its INVITE and route tell of it.

Not here: calls that never began (turned_away), later entries of a record (its call).
"""

from __future__ import annotations

import attrs

from gateway.b2bua.legs.leg import LegServices
from gateway.config.tables.numbers.number_table import NumberDirection, NumberField
from gateway.routing.router import Route
from gateway.sip.address import NameAddress
from gateway.sip.message import Request
from gateway.sip.uri import Uri
from gateway.state.call_record import CallDirection, CallRecord, ChainLink, ChainStep, LegName


def record_of(services: LegServices, invite: Request, route: Route, *, outbound: bool) -> CallRecord:
    """The record of the call that an INVITE asks for, with all that is known before it begins."""
    dialled, is_local = invite.request_uri, not outbound and route.is_local
    direction = CallDirection.INTERNAL if is_local else CallDirection.INBOUND
    sent = Uri.parse(route.request_uri) if route.numbers is not None and outbound else dialled
    record = CallRecord(
        id=services.new_tag() + services.new_tag(),
        direction=CallDirection.OUTBOUND if outbound else direction,
        domain=route.domain.name,
        caller=_named(invite.from_),
        callee=_called(invite.to, route),
        started_at=services.wall(),
        is_caller_known=not outbound or route.caller is not None,
        provider="" if is_local else route.provider.name,
        is_emergency=outbound and route.is_emergency,
        caller_number=route.domain.number(invite.from_.uri.user or "").text,
        callee_number=route.domain.number((sent.user if outbound else _called_user(invite.to, route)) or "").text,
    )
    if sent is not dialled:
        _note_steps(record, dialled, route)
    return record


def _note_steps(record: CallRecord, dialled: Uri, route: Route) -> None:
    """Let the history tell which number was dialled, which one was sent, and why."""
    numbers, user = route.numbers, dialled.user or ""
    steps = () if numbers is None else numbers.steps(user, NumberField.REQUEST_URI, NumberDirection.OUT)
    if steps:
        why = ", ".join(step.by for step in steps)
        text = f"the number {user} was dialled, {steps[-1].number} is sent ({why})"
        record.add_reason(ChainLink(LegName.CALLEE, ChainStep.ADMITTED, text))


def _called(party: NameAddress, route: Route) -> str:
    """The callee. A provider that repeats the Contact it was given in To names our token, which tells nobody
    anything."""
    binding = route.binding
    return binding.aor if binding is not None and _is_in_name(party, route) else _named(party)


def _is_in_name(party: NameAddress, route: Route) -> bool:
    """Whether the binding alone tells the party that a To means: a token, or a phone's, which may be anything."""
    return route.binding is not None and (route.is_local or party.uri.user == route.binding.token)


def _called_user(party: NameAddress, route: Route) -> str | None:
    """The user part of the callee, as `_called` names it."""
    return route.binding.user if route.binding is not None and _is_in_name(party, route) else party.uri.user


def _named(party: NameAddress) -> str:
    """A party as records show it: a password in its URI (RFC 3261 section 19.1.1) is nobody's to read."""
    return party.uri_text if party.is_plain else str(attrs.evolve(party.uri, password=None, headers=""))
