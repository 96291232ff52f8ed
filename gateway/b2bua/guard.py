"""The one guard of a call's entry points: our bug ends this call, and so does a message that it cannot go on without.

Where a message can be done without, or answered 400, its entry point sees to that itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from twisted.logger import Logger

from gateway.sdp.description import MalformedDescription
from gateway.sip.errors import MalformedMessage, Refused

log = Logger()


class Ending(Protocol):
    """The object that the guard ends."""

    @property
    def id(self) -> str:
        """Its name in logs."""

    def end(self, why: str, status: int = 500, fields: Iterable[tuple[str, str]] = ()) -> None:
        """End it, in any state."""


C = TypeVar("C", bound=Ending)
P = ParamSpec("P")

UNUSABLE = 502
"""The status for an unanswered caller when the other side's message cannot be used (RFC 3261 section 21.5.3)."""


def guarded(entry: Callable[Concatenate[C, P], None]) -> Callable[Concatenate[C, P], None]:
    """The entry point, with every exception of it caught: the call ends, or somebody would wait for it for ever."""

    @functools.wraps(entry)
    def enter(call: C, /, *arguments: P.args, **named: P.kwargs) -> None:
        try:
            entry(call, *arguments, **named)
        except MalformedMessage as error:
            log.info("call {call_id}: a message is of no use: {reason}", call_id=call.id, reason=error.reason)
            call.end("a message that cannot be used", UNUSABLE)
        except Refused as refused:
            call.end(refused.reason or f"refused with {refused.status}", refused.status, refused.headers)
        except MalformedDescription as error:
            log.info("call {call_id}: unusable SDP: {reason}", call_id=call.id, reason=str(error))
            call.end("unusable SDP", 488)
        except Exception:
            log.failure("call {call_id} broke", call_id=call.id)
            call.end("internal error")

    return enter
