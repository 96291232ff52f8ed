"""Network: the watch over this machine's addresses, its lease and its clock, and the move to another address.

an interface has another address -> listeners open there -> providers are told with the phones' next refresh
                                 -> workers take ports there -> calls that are up: re-INVITE on both legs
                                 -> hold_seconds later: the old ports are closed
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.admin.v1.network_routes import (
    AddressAnswer,
    ClockAnswer,
    MoveAnswer,
    NetworkAnswer,
    NetworkApi,
    NoClient,
    NoLeaseHere,
    RenewedAnswer,
)
from gateway.app.calls_part import CallsPart
from gateway.app.ingress_part import IngressPart
from gateway.app.network.address_watch import AddressWatch, Moves
from gateway.app.network.clock_watch import ClockWatch
from gateway.app.network.lease_client import DhcpClientFailed, asking_client
from gateway.app.network.lease_watch import LeaseWatch, SipSilence, lease_answer
from gateway.app.network.presence import used_addresses
from gateway.app.parts import Basis, GatewayPart
from gateway.app.peers_part import PeersPart
from gateway.base.network.kernel import RunningKernel
from gateway.config.model import Configuration, NetworkMode, Side
from gateway.config.placement import addresses_of, at_addresses, does_media_move, moved_listeners
from gateway.config.switches import Settings
from gateway.media import configured_nodes

log = Logger()


class NetworkPart(GatewayPart):
    """Addresses that are gone, and those that interfaces have instead."""

    def __init__(
        self, basis: Basis, settings: Settings, peers: PeersPart, calls: CallsPart, ingress: IngressPart
    ) -> None:
        self._written = basis.written
        self._reactor = basis.reactor
        self._settings = settings
        self._router = peers.router
        self._calls = calls
        self._transport = ingress.transport
        self._addresses = addresses_of(basis.written, basis.configuration)
        self._closing: IDelayedCall | None = None
        used, terms = used_addresses(basis.written, self._addresses), basis.written.network
        self._hold = terms.hold_seconds
        self.addresses = AddressWatch(used, RunningKernel(), terms, basis.metrics, basis.reactor)
        self.clock = ClockWatch(basis.reactor, basis.clock.wall, basis.metrics)
        self.lease = _lease_watch(basis, peers)
        basis.routes.extend(NetworkApi(self.standing, self._renew, settings.audit).routes())

    def start(self) -> None:
        """Begin to watch."""
        self.addresses.start(lambda moves: Deferred.fromCoroutine(self._follow(moves)))
        self.clock.start()
        if self.lease is not None:
            self.lease.start()

    def stop(self) -> Deferred[None]:
        """Watch no more."""
        self.addresses.stop()
        self.clock.stop()
        if self.lease is not None:
            self.lease.stop()
        self._keep_left()
        return succeed(None)

    def standing(self) -> NetworkAnswer:
        """How this machine stands, for people."""
        watch, terms = self.addresses, self._written.network
        lost = watch.lost
        return NetworkAnswer(
            str(terms.mode),
            watch.is_watching,
            terms.hold_seconds,
            tuple(
                AddressAnswer(one.address, str(one.interface or ""), one.users, one not in lost) for one in watch.used
            ),
            tuple(
                MoveAnswer(one.at, one.interface, one.before, one.after, one.calls, one.failure)
                for one in reversed(watch.moves)
            ),
            ClockAnswer(self.clock.synchronized, self.clock.witness),
            None if self.lease is None else lease_answer(self.lease),
        )

    def other_dhcp_servers(self) -> int | None:
        """DHCP servers that do not belong on the machine's network; None where nobody looks."""
        report = None if self.lease is None else self.lease.report
        return None if report is None else len(report.others)

    async def _renew(self) -> RenewedAnswer:
        if self.lease is None:
            raise NoLeaseHere('there is no lease to renew: [network] has no mode = "dhcp"')
        try:
            answer = await self.lease.renew()
        except DhcpClientFailed as failure:
            raise NoClient(f"the DHCP client: {failure}") from None
        return RenewedAnswer(answer.renewed, answer.wait)

    def placed(self) -> Configuration:
        """The configuration with the addresses that interfaces have now."""
        return at_addresses(self._written, self._addresses)

    async def _follow(self, moves: Moves) -> int:
        """Go to other addresses; the number of calls that go along. Raises CannotListen, RelayFailure."""
        addresses = {**self._addresses, **moves}
        configuration = at_addresses(self._written, addresses)
        now = {one.name: one.address for one in configuration.listeners}
        moved = moved_listeners(self._written, moves)
        self._keep_left()
        await self._transport.close_left()  # it may be one of these that is there again
        self._transport.move({one.name: now[one.name] for one in moved})
        self._closing = self._reactor.callLater(self._hold, self._close_left)
        self._router.move(configuration)
        if any(one.side is Side.PROVIDER for one in moved):
            self._settings.address_changed()
        do_media_move = does_media_move(self._written.media, self._written.network.interface, moves)
        if do_media_move:
            await configured_nodes.move(self._calls.relay.nodes, configuration.media)
        self._addresses = addresses
        return self._calls.calls.address_changed({one.name for one in moved}, do_media_move=do_media_move)

    def _close_left(self) -> None:
        self._closing = None
        closed = self._transport.close_left()
        closed.addErrback(lambda failure: log.failure("ports of the address before are not closed", failure))

    def _keep_left(self) -> None:
        """Close nothing later: it is done now."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None


def _lease_watch(basis: Basis, peers: PeersPart) -> LeaseWatch | None:
    """None but in mode dhcp."""
    terms, health = basis.written.network, peers.trunk.health
    if terms.mode is not NetworkMode.DHCP:
        return None
    ask = asking_client(basis.reactor, terms.helper, terms.helper_user)

    def peer_hosts() -> set[str]:
        pbxs = {target.address.host for pbx in peers.pbx.pbxs.all for target in pbx.known()}
        return peers.admission.addresses() | health.target_hosts() | pbxs

    silence = SipSilence(health.silent_since, health.are_names_lost, peer_hosts)
    return LeaseWatch(terms, ask, silence, basis.metrics, basis.reactor)
