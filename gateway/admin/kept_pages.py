"""Pages that are drawn once for equal requests at nearly the same time, and never for anybody else.

    request of a page -> PageKey: address, caller, cookies that change it -> drawn already? -> its answer
                                                                                `-> line -> turn -> drawn, and kept

The door has admitted each request before (`routes`), so nothing is kept for one that it would refuse. Two requests get
the same answer where they have the same caller, with name, role and place, beside the address with its query and the
cookies. Only GET of routes that say so is kept: no form, and no page of an account, of which some hold a secret.

A change that anybody makes here forgets everything, at its begin and its end: its author sees it at once, and a page
that was drawn meanwhile is not kept. Any other event is on a page KEPT_SECONDS later at most: live pages ask half a
second after they heard of one (static/live.js), and so never see a page from before it.

Few pages are in work at once, and the others wait in the order in which they came: calls go first (`turns`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from gateway.admin.hardening import Rejected
from gateway.admin.inspection import Caller, caller_of
from gateway.admin.turns import Turns

KEPT_SECONDS: Final = 0.4
"""Counted from the moment at which a page's making began."""
MOST: Final = 32
"""Pages that are kept, the latest."""
IN_WORK: Final = 4
"""Pages that are made at once."""
WAITING: Final = 128
"""Pages that wait in the line at most. A reader that has gone leaves its page there, so connections are no bound."""
_FIELDS: Final = (b"content-type", b"location", b"refresh")
"""Fields of an answer that its page sets; the others are the same for all (`hardening`)."""

Draw = Callable[[], Deferred[bytes]]
"""Makes the answer to a request, and sets its status and fields."""


@attrs.frozen
class PageKey:
    """All that a page depends on."""

    uri: bytes
    caller: Caller
    cookies: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def by(cls, request: IRequest, cookies: tuple[bytes, ...]) -> PageKey:
        """The page that a request asks for, which was admitted; ``cookies``: the names of those that change it."""
        fields = request.requestHeaders.getRawHeaders(b"cookie") or ()
        pairs = (pair.partition(b"=")[::2] for field in fields for pair in field.split(b";"))
        told = tuple((name.strip(), value.strip()) for name, value in pairs if name.strip() in cookies)
        return cls(request.uri, caller_of(request), told)


@attrs.frozen
class KeptAnswer:
    """An answer, as each of the equal requests gets it."""

    status: int
    fields: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    body: bytes

    @classmethod
    def to(cls, request: Any, body: bytes) -> KeptAnswer:
        """The answer to a request."""
        found = ((name, request.responseHeaders.getRawHeaders(name)) for name in _FIELDS)
        return cls(request.code, tuple((name, tuple(values)) for name, values in found if values), body)

    def give(self, request: Any) -> bytes:
        """Answer another request in the same way."""
        request.setResponseCode(self.status)
        for name, values in self.fields:
            request.responseHeaders.setRawHeaders(name, list(values))
        return self.body


@attrs.define(eq=False)
class PageInWork:
    """A page in work, or made."""

    began_at: float | None = None
    """None while it waits in the line."""
    result: KeptAnswer | Failure | None = None
    waiting: list[Deferred[KeptAnswer]] = attrs.Factory(list)

    def wait(self) -> Deferred[KeptAnswer]:
        """The answer, once it is there."""
        own: Deferred[KeptAnswer] = Deferred()
        self.waiting.append(own)
        if self.result is not None:
            self.done(self.result)
        return own

    def done(self, result: KeptAnswer | Failure) -> None:
        """Tell all that wait."""
        self.result = result
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            if isinstance(result, Failure):
                one.errback(result)
            else:
                one.callback(result)


class KeptPages:
    """The pages of one gateway. ``now`` gives seconds that pass evenly."""

    def __init__(self, turns: Turns, now: Callable[[], float]) -> None:
        self._turns = turns
        self._now = now
        self._places = DeferredSemaphore(IN_WORK)
        self._drawings: OrderedDict[PageKey, PageInWork] = OrderedDict()

    def forget(self) -> None:
        """Something is changed: no request from now on gets a page that was drawn or is in work."""
        self._drawings.clear()

    async def answer(self, request: IRequest, cookies: tuple[bytes, ...], draw: Draw) -> bytes:
        """The answer to a request that was admitted. Raises as ``draw`` does, and Rejected where too many wait."""
        asked = PageKey.by(request, cookies)
        self._forget_old()
        drawing = self._drawings.get(asked)
        if drawing is None:
            if len(self._places.waiting) >= WAITING:
                raise Rejected(503, "Too many pages are asked for at this moment: try again in a few seconds.")
            drawing = self._drawings[asked] = PageInWork()
            if len(self._drawings) > MOST:
                self._drawings.popitem(last=False)
            self._begin(asked, drawing, request, draw)
        answered = await drawing.wait()
        return answered.give(request)

    def _begin(self, asked: PageKey, drawing: PageInWork, request: IRequest, draw: Draw) -> None:
        async def work() -> KeptAnswer:
            await self._turns.next()
            drawing.began_at = self._now()
            return KeptAnswer.to(request, await draw())

        def failed(failure: Failure) -> Failure:
            if self._drawings.get(asked) is drawing:
                del self._drawings[asked]
            return failure

        made: Deferred[Any] = self._places.run(lambda: Deferred.fromCoroutine(work()))
        made.addErrback(failed).addBoth(drawing.done)

    def _forget_old(self) -> None:
        now = self._now()
        for asked, one in [*self._drawings.items()]:
            if one.began_at is not None and now - one.began_at >= KEPT_SECONDS:
                del self._drawings[asked]
