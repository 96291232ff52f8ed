"""The one guard of a call's entry points: our bug ends this call, a peer's nonsense only this message."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from twisted.logger import Logger

from gateway.sdp.description import MalformedDescription
from gateway.sip.errors import MalformedMessage, Refused

log = Logger()


class Ending(Protocol):
    """What the guard needs of the object that it ends."""

    @property
    def id(self) -> str:
        """What logs call it."""

    def end(self, why: str, status: int = 500, fields: Iterable[tuple[str, str]] = ()) -> None:
        """End it, in whatever state it is."""


C = TypeVar("C", bound=Ending)
P = ParamSpec("P")


def guarded(entry: Callable[Concatenate[C, P], None]) -> Callable[Concatenate[C, P], None]:
    """The entry point, with whatever it raises caught: MalformedMessage is counted as noise, all else ends the call."""

    @functools.wraps(entry)
    def enter(call: C, /, *arguments: P.args, **named: P.kwargs) -> None:
        try:
            entry(call, *arguments, **named)
        except MalformedMessage as error:
            log.info("call {call_id}: a message is of no use: {reason}", call_id=call.id, reason=error.reason)
        except Refused as refused:
            call.end(refused.reason or f"refused with {refused.status}", refused.status, refused.headers)
        except MalformedDescription as error:
            log.info("call {call_id}: unusable SDP: {reason}", call_id=call.id, reason=str(error))
            call.end("unusable SDP", 488)
        except Exception:
            log.failure("call {call_id} broke", call_id=call.id)
            call.end("internal error")

    return enter
