"""Subscriptions of the process before, rebuilt: message waiting and busy lamps go on through a restart.

    journal -> FrozenSubscription -> Subscription, with both dialogs and the time that it has left
                                  `-> left: of a domain, provider or listener that is no more; its phone gets 481 to its
                                      refresh and subscribes anew (RFC 6665 section 4.1.2.2)

Nothing is sent: the notifier speaks when something happens, and the subscriber when it refreshes.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from twisted.logger import Logger

from gateway.b2bua.legs.border import border_at
from gateway.b2bua.legs.leg import LegServices, LegSpec
from gateway.b2bua.subscription import Subscription, UsageLeg
from gateway.b2bua.subscriptions import Subscriptions
from gateway.b2bua.survival.frozen_subscription import FrozenSubscription
from gateway.b2bua.survival.kept_legs import KeptWays, NotRebuilt
from gateway.routing.router import Route, Router

log = Logger()


@attrs.frozen
class RebuiltSubscriptions:
    """Rebuilds subscriptions into the table of all."""

    services: LegServices
    subscriptions: Subscriptions
    router: Router
    ways: KeptWays

    def rebuild(self, kept: Iterable[tuple[bytes, ...]], now: float) -> list[Subscription]:
        """Take up those of a journal; the ones that go on. `now` is its time. Never raises for one of them."""
        going_on = list[Subscription]()
        for pieces in kept:
            frozen = FrozenSubscription.of(pieces, now)
            if frozen is None or not frozen.usages:
                continue
            try:
                going_on.append(self._subscription(frozen))
            except NotRebuilt as error:
                log.info("subscription {id} is not gone on with: {reason}", id=frozen.record.id, reason=str(error))
            except Exception:
                log.failure("subscription {id} is not gone on with", id=frozen.record.id)
        return going_on

    def _subscription(self, frozen: FrozenSubscription) -> Subscription:
        route, services = self._route(frozen), self.services
        ways = [self.ways.of(leg.way, route.provider) for leg in (frozen.caller, frozen.callee)]
        border = border_at(route, services.own_hosts)
        subscription = self.subscriptions.resumed(frozen.record)
        legs = []
        for kept, (way, reopen) in zip((frozen.caller, frozen.callee), ways, strict=True):
            leg = UsageLeg(
                LegSpec(kept.name, kept.side, kept.wish, kept.user, border, reopen), way.flow, services, subscription
            )
            leg.way, leg.dialog = way, kept.dialog
            services.dialogs.began(leg, kept.dialog)
            legs.append(leg)
        subscription.resume((legs[0], legs[1]), frozen.usages)
        return subscription

    def _route(self, frozen: FrozenSubscription) -> Route:
        domain = self.router.domain_named(frozen.domain)
        if domain is None or domain.name != frozen.domain:
            raise NotRebuilt(f"there is no domain {frozen.domain} any more")
        provider = self.router.provider_of(domain)
        if provider.name != frozen.provider:
            raise NotRebuilt(f"the domain {frozen.domain} has another provider than {frozen.provider} now")
        caller, callee, numbers = frozen.caller.way.phone, frozen.callee.way.phone, self.router.numbers_of(domain)
        return Route(domain, provider, frozen.request_uri, callee, caller=caller, numbers=numbers)
