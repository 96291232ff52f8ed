"""Bans kept and operated: the file that they outlive a restart in, the kernel's sets, block lists, and their routes.

    bans.sqlite -recall-> Bans -listener-> bans.sqlite
    Doors -> Nftables -> the sets of the kernel               Blocklists -> Banned

A part of the defence, which builds it, starts and stops it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThreadPool

from gateway.admin.pages.desk import Desk
from gateway.admin.routes import HttpRoute
from gateway.admin.security.bans.ban_office import BanOffice
from gateway.admin.security.bans.ban_pages import ban_routes
from gateway.app.parts import Basis, GatewayPart
from gateway.app.start_checks import go_on_without
from gateway.config.model import Configuration, DefenceTerms
from gateway.observe.figures import DefenceFigures
from gateway.security.blocklists.blocklists import Blocklists
from gateway.security.blocklists.list_fetch import list_fetch
from gateway.security.blocklists.list_reader import ListReader
from gateway.security.defence.defence import JoinedDefence
from gateway.security.defence.doors import Doors
from gateway.security.defence.kept_bans import KeptBans
from gateway.security.defence.mode import Mode
from gateway.security.firewall.nft_commands import NftSets
from gateway.security.firewall.nft_process import nft_run
from gateway.security.firewall.nftables import KernelStanding, Nftables
from gateway.state.table import KeptTable
from gateway.transport.banned import Banned

TIDY_SECONDS: Final = 86_400.0
"""Between two looks for bans in the file that ended long ago."""


class BansPart(GatewayPart):
    """The keeping of bans, and the work of operators with them."""

    def __init__(self, basis: Basis, table: KeptTable, defence: JoinedDefence, doors: Doors, banned: Banned) -> None:
        reactor, clock, events = basis.reactor, basis.clock, basis.metrics.events
        self._configuration = basis.configuration
        self._defence = defence
        self._now, self._tidied_at = clock.now, clock.now()
        self._kept = KeptBans(table, clock.now)
        self._kernel = Nftables(_sets(basis.configuration.defence), nft_run(reactor), clock, events)
        doors.add(self._kernel)
        self._doors = doors
        reader = ListReader(list_fetch(reactor), partial(_in_thread, reactor), reactor)
        self._lists = Blocklists(reader, banned, lambda: defence.trusts.never_banned, clock, events)
        basis.metrics.asked.add(self._lists.figures)
        basis.pages.append(self._routes)

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Put the bans of before in force, and begin to read lists. Fails with InUse."""
        kept = self._kept.recall()
        kept.addCallback(lambda bans: self._defence.bans.restore(bans, self._defence.trusts.may_be_banned_now()))
        yield kept.addErrback(go_on_without)
        self._defence.bans.listen(self._kept.keep)
        self._kept.tidy()
        self._doors.look()  # so that the kernel's sets are written whole at once, and nobody is let in meanwhile
        self.adopt(self._configuration)

    def stop(self) -> Deferred[None]:
        """Read no more lists; the kernel's elements stand on."""
        self._lists.stop()
        return self._kernel.stop()

    def adopt(self, configuration: Configuration) -> None:
        """Go by other lists, and another way to ban."""
        self._configuration = configuration
        if configuration.defence.ban_by == "nftables":
            self._kernel.start(_sets(configuration.defence))
        self.look()
        self._lists.adopt(configuration.blocklists)

    def look(self) -> None:
        """See what has changed. To be called every few seconds."""
        self._lists.look(in_force=self._defence.mode.mode is Mode.DEFEND)
        if self._now() - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = self._now()
            self._kept.tidy()

    def figures(self) -> DefenceFigures:
        """The state of the defence in short, with the kernel's and the lists'."""
        kernel = self._kernel_standing()
        failing = tuple(f"{one.name}: {one.why}" for one in self._lists.standings() if one.why)
        why = "" if kernel is None else kernel.why
        return attrs.evolve(self._defence.figures(), kernel_why=why, failing_lists=failing)

    def _kernel_standing(self) -> KernelStanding | None:
        return self._kernel.standing if self._configuration.defence.ban_by == "nftables" else None

    def _routes(self, desk: Desk) -> tuple[HttpRoute, ...]:
        audit = desk.gathering.settings.audit
        office = BanOffice(self._defence, self._lists, self._kernel_standing, audit, self._now)
        return ban_routes(office, desk)


def _in_thread(reactor: Any, work: Callable[[], bytes]) -> Deferred[bytes]:
    return deferToThreadPool(reactor, reactor.getThreadPool(), work)


def _sets(terms: DefenceTerms) -> NftSets:
    ipv4, ipv6 = terms.nft_sets
    return NftSets(ipv4, ipv6)
