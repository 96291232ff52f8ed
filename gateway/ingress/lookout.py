"""The lookout before the gate: requests of banned sources, and those that the defence lets go no further.

    transport -> Lookout.receive -+- a banned source's -> requests of calls that are up, calls for help
                                  +- a new request     -> the sieve: a scanner's look, a fan-out, one too many
                                  `- all else          -> Gate

A ban ends no call that is up, and keeps no phone from calling for help. A source that is banned and has neither a call
nor a registered phone never comes here: the socket drops it (transport/banned.py). Of the others pass: requests within
our dialogs, by tags that only those dialogs' peers were told; ACK and CANCEL, which make nothing
new; responses; and INVITEs to emergency numbers of phones that are registered over the flow that they come by. The last
pass the sieve as well.

A request that cannot be judged is dropped from a banned source, and goes on to the gate from any other.

Here: the exceptions. Not here: the set of banned sources, the sieve (security/defence/sieve.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gateway.config.model import Side
from gateway.security.defence.sieve import Sieve
from gateway.security.defence.trust import Trust
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Message, Request
from gateway.transport.arrival import TransportUser
from gateway.transport.banned import Banned
from gateway.transport.flow import Flow, FlowKey

_PHONES: Final = Side.PHONES
_ENDS_WHAT_HAS_BEGUN: Final = frozenset({"ACK", "CANCEL"})


class Urgency(Protocol):
    """Knows calls for help: a `Screening`."""

    def is_registered(self, request: Request, flow: Flow) -> bool:
        """Whether a phone's request is of a caller that registered over its flow. Raises MalformedMessage."""

    def is_emergency(self, request: Request, flow: Flow) -> bool:
        """Whether a phone's request is for an emergency number."""


class Lookout:
    """The transport's user; the gate gets all that goes on."""

    def __init__(
        self,
        gate: TransportUser,
        banned: Banned,
        sieve: Sieve,
        urgency: Urgency,
        is_in_dialog: Callable[[Request], bool],
    ) -> None:
        self._gate = gate
        self._banned = banned
        self._sieve = sieve
        self._urgency = urgency
        self._is_in_dialog = is_in_dialog

    def receive(self, message: Message, flow: Flow) -> None:
        """See TransportUser. Raises nothing of its own."""
        if isinstance(message, Request) and self._drops(message, flow):
            return
        self._gate.receive(message, flow)

    def may_answer(self, flow: Flow) -> bool:
        """A banned source's malformed request is not answered."""
        return not self._is_banned(flow) and self._gate.may_answer(flow)

    def connection_ended(self, key: FlowKey) -> None:
        """A connection that a peer began is gone."""
        self._gate.connection_ended(key)

    def _is_banned(self, flow: Flow) -> bool:
        return self._banned.is_on and self._banned.is_banned(flow.remote.host)

    def _drops(self, request: Request, flow: Flow) -> bool:
        if self._is_banned(flow):
            if self._may_pass(request, flow):
                return False
            self._banned.dropped[flow.listener.transport] += 1
            return True
        if request.method in _ENDS_WHAT_HAS_BEGUN:
            return False
        try:
            trust = None if request.to.tag is None else self._sieve.trust_in(flow)
            if trust is not None and (trust is not Trust.UNKNOWN or self._is_in_dialog(request)):
                return False
            trust = self._sieve.drops(request, flow, trust)
            if trust is None or self._is_call_for_help(request, flow):
                return False
        except MalformedMessage:
            return False
        if not flow.is_reliable:
            self._banned.suspect(flow.remote.host, is_unknown=trust is Trust.UNKNOWN)
        return True

    def _may_pass(self, request: Request, flow: Flow) -> bool:
        if request.method in _ENDS_WHAT_HAS_BEGUN:
            return True
        try:
            return self._is_in_dialog(request) or self._is_call_for_help(request, flow)
        except MalformedMessage:
            return False

    def _is_call_for_help(self, request: Request, flow: Flow) -> bool:
        if request.method != "INVITE" or flow.side is not _PHONES:
            return False
        return self._urgency.is_registered(request, flow) and self._urgency.is_emergency(request, flow)
