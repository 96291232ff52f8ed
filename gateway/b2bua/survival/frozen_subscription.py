"""A subscription as it is kept: both legs, and the usages of their dialogs with the time that each has left.

Written as one whole record under a name of its own, since one that was begun in a call has the call's id. Neither one
between two phones is kept, nor one that lacks its second dialog: its phone asks anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.b2bua.subscription import Subscription
from gateway.b2bua.survival.frozen_leg import FrozenLeg, frozen_leg
from gateway.b2bua.survival.frozen_opening import FORM, frozen_beginning, thawed_beginning
from gateway.base.json_codec import decode, encode
from gateway.dialog.usages import KeptUsage
from gateway.sip.errors import MalformedMessage
from gateway.state.call_record import CallRecord

_PREFIX: Final = "subscription/"


def name_of(subscription: Subscription) -> str:
    """Its name in the journal."""
    return _PREFIX + subscription.id


def split(kept: Mapping[str, tuple[bytes, ...]]) -> tuple[dict[str, tuple[bytes, ...]], list[tuple[bytes, ...]]]:
    """The calls of a journal, and its subscriptions."""
    calls = {name: pieces for name, pieces in kept.items() if not name.startswith(_PREFIX)}
    return calls, [pieces for name, pieces in kept.items() if name.startswith(_PREFIX)]


def frozen_subscription(subscription: Subscription, now: float) -> bytes | None:
    """A subscription with both dialogs; None for others. `now` is the time of the journal."""
    caller, callee = subscription.legs
    if caller is None or callee is None or caller.dialog is None or callee.dialog is None:
        return None
    route = callee.spec.border.route
    if route.is_local:
        return None
    return encode(
        {
            "form": FORM,
            "record": frozen_beginning(subscription.record),
            "route": [route.domain.name, route.provider.name, route.request_uri],
            "at": now,
            "usages": [*map(list, subscription.usages.kept)],
            "legs": [frozen_leg(caller, now), frozen_leg(callee, now)],
        }
    )


class FrozenSubscription(NamedTuple):
    """A subscription as it was read."""

    record: CallRecord
    domain: str
    provider: str
    request_uri: str
    usages: tuple[KeptUsage, ...]
    """Those that are left, each with the seconds that it has now."""
    caller: FrozenLeg
    callee: FrozenLeg

    @classmethod
    def of(cls, pieces: Sequence[bytes], now: float) -> FrozenSubscription | None:
        """That of a record; None for one of another version, or that cannot be read."""
        try:
            kept: Any = decode(pieces[0])
            if kept["form"] != FORM:
                return None
            domain, provider, request_uri = map(str, kept["route"])
            passed = max(now - kept["at"], 0.0)
            usages = [
                KeptUsage(str(subscriber), str(package), str(own), str(other), float(left) - passed)
                for subscriber, package, own, other, left in kept["usages"]
            ]
            caller, callee = (FrozenLeg.of(leg, now) for leg in kept["legs"])
            record, left = thawed_beginning(kept["record"]), tuple(one for one in usages if one.left > 0)
            return cls(record, domain, provider, request_uri, left, caller, callee)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, MalformedMessage):
            return None
