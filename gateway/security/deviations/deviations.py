"""Deviations of one gateway: each outgoing call that ends is judged by its user's and its domain's profile, and told.

    CallHistory -> ended(call) -> profile of the user, and of the domain -> rules -> events deviation.*, and kept
                                   `- not in memory: made from the calls that are kept; calls wait for it meanwhile

Bounded: PROFILES in memory, the least recently used go and are made again when they are needed; LOADING are made at
once, and further calls of others are not judged, but counted in their profiles when these are made. Emergency calls and
calls between phones are no part of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.base.json_codec import Json
from gateway.observe.events import Events, GatewayEvent
from gateway.security.deviations.baselines import profile_before
from gateway.security.deviations.calling_profile import HOUR, CallingProfile, OutgoingCall, country_of
from gateway.security.deviations.deviation_rules import deviations_of
from gateway.state.listing.call_filter import user_of
from gateway.state.listing.call_table import CallTable
from gateway.state.table import KeptTable

log = Logger()

PROFILES: Final = 10_000
LOADING: Final = 500
WAITING: Final = 100
"""Calls of one user or domain that wait for a profile."""
KEPT: Final = 10_000
"""Deviations in the file."""

_parts_of: Callable[[Row], tuple[Any, ...]] = itemgetter(
    "id", "domain", "caller", "callee_number", "started_at", "ended_at", "seconds", "answered_at"
)
_user_of: Final = lru_cache(maxsize=4096)(user_of)
Row = dict[str, Json]
Subject = tuple[str, str]
"""A domain and a user; of the domain itself, the user is empty."""


class Deviations:
    """``offset`` gives the seconds that local time is ahead at a time; ``kept`` keeps the deviations over restarts."""

    def __init__(self, calls: CallTable, kept: KeptTable, events: Events, offset: Callable[[float], float]) -> None:
        self._calls = calls
        self._kept = kept
        self._events = events
        self._offset = offset
        self._profiles: OrderedDict[Subject, CallingProfile] = OrderedDict()
        self._loading: dict[Subject, list[OutgoingCall]] = {}
        self._count = 0

    def ended(self, record: Row) -> None:
        """A call is over; its record as it is kept."""
        call = outgoing(record)
        if call is None:
            return
        if call.user:
            self._judge_or_load((call.domain, call.user), call)
        self._judge_or_load((call.domain, ""), call)

    def since(self, at: float) -> Deferred[list[Row]]:
        """The deviations of that time and later, the newest first. Fails with StoreUnusable."""
        return self._kept.since(at).addCallback(
            lambda found: sorted((row for _, row in found), key=lambda row: cast(float, row["at"]), reverse=True)
        )

    def _judge_or_load(self, subject: Subject, call: OutgoingCall) -> None:
        profile = self._profiles.get(subject)
        if profile is not None:
            self._profiles.move_to_end(subject)
            self._judge(subject, profile, call)
        elif subject in self._loading:
            if len(self._loading[subject]) < WAITING:
                self._loading[subject].append(call)
        elif len(self._loading) < LOADING:
            self._loading[subject] = [call]
            made = Deferred.fromCoroutine(profile_before(self._calls, *subject, call.started_at))
            made.addCallbacks(partial(self._loaded, subject), partial(self._not_loaded, subject))

    def _loaded(self, subject: Subject, profile: CallingProfile) -> None:
        self._profiles[subject] = profile
        while len(self._profiles) > PROFILES:
            self._profiles.popitem(last=False)
        for call in self._loading.pop(subject):
            self._judge(subject, profile, call)

    def _not_loaded(self, subject: Subject, failure: Failure) -> None:
        del self._loading[subject]
        log.error("no profile of {user}@{domain}: {reason}", user=subject[1], domain=subject[0], reason=failure.value)

    def _judge(self, subject: Subject, profile: CallingProfile, call: OutgoingCall) -> None:
        offset = self._offset(call.started_at)
        for deviation in deviations_of(profile, call, offset, of_user=bool(subject[1])):
            # Texts of a record are fit already.
            told = {"domain": subject[0], "who": subject[1], "call": call.id, "fields": deviation.fields}
            event = GatewayEvent.of(deviation.name, self._events.now(), **told)
            self._events.tell(event)
            self._keep(event)

    def _keep(self, event: GatewayEvent) -> None:
        self._count += 1
        self._kept.put(f"{event.at:.3f}-{self._count}-{event.call}", event.at, event.as_json())
        if self._count % 100 == 0:
            self._kept.drop_beyond(KEPT)


def outgoing(record: Row) -> OutgoingCall | None:
    """The part of a record that is judged; None for a call that is not outgoing, or to an emergency number, or whose
    record is of a version that lacks something."""
    if record.get("direction") != "outbound" or record.get("emergency"):
        return None
    try:
        call, domain, caller, number, started, ended, seconds, answered = _parts_of(record)
    except KeyError:
        return None
    if started.__class__ is not float or ended.__class__ is not float:
        return None
    hour, is_answered, country = int(started // HOUR), answered is not None, country_of(number)
    return OutgoingCall(
        call, domain, _user_of(caller), started, ended, hour, number, country, is_answered, seconds or 0.0
    )
