"""News of calls that a relay node tells beside its answers: each once for a call, while the call is there.

    reply to `list`: "in clear" ----`
    reply to `ping`: "mismatched" ---+--> CallNews.hear --those that are new--> the listener

A worker knows both from the packets; an rtpengine tells neither. Not here: calls that a node has lost (node).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Protocol

from gateway.media.relay import JSON


class News(Enum):
    """The key under which a reply names the calls."""

    IN_CLEAR = "in clear"
    """RTCP came in clear beside SRTP."""
    MISMATCHED = "mismatched"
    """A browser's certificate is not the one of its SDP: its media are stopped, both ways."""


class NewsListener(Protocol):
    """The pool, as far as news go."""

    def told(self, news: News, calls: tuple[str, ...]) -> None:
        """It is so of these calls, of which it was not told before."""


class CallNews:
    """Those of one node."""

    def __init__(self) -> None:
        self._known: dict[News, set[str]] = {news: set() for news in News}

    def hear(self, reply: dict[str, JSON], calls: Collection[str], listener: NewsListener | None) -> None:
        """Tell the `listener` of the calls that a reply names for the first time; `calls` are those of the node."""
        for news, known in self._known.items():
            named = reply.get(news.value)
            if not isinstance(named, list):
                continue
            found = tuple(call for call in named if isinstance(call, str) and call in calls and call not in known)
            if found and listener is not None:
                known.update(found)
                listener.told(news, found)

    def forget(self, call: str) -> None:
        """The call is over."""
        for known in self._known.values():
            known.discard(call)
