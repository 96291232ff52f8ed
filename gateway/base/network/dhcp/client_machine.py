"""The DHCP client without any I/O: states and timers of RFC 2131 section 4.4, figure 5.

    start, receive, conflict, expired, renew -> ClientMachine -> acts: send, probe, use, leave (client_acts.py)
                                                              -> due: when to call `expired`

    WAITING -> SELECTING -> REQUESTING -> PROBING -> BOUND -T1-> RENEWING -T2-> REBINDING -end-> WAITING
    REBOOTING (an address from before) -> BOUND       NAK, an address that another has -> WAITING, ever longer

Times are seconds of a clock that never goes back. The exchange proves nothing: anybody on the wire can answer a
broadcast. So the first acceptable offer wins, its server alone is heard until T2, a lease is refused by the rules of
lease.py, and setbacks are answered ever more slowly; nothing that arrives makes this send more than one message.

Not here: sockets and the kernel (lease_loop.py), the bytes (dhcp_messages.py), the distance between renewals that are
asked for (asked_renewal.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from random import Random
from typing import Final

from gateway.base.network.dhcp.asked_renewal import AskedRenewal
from gateway.base.network.dhcp.client_acts import (
    BACKOFF,
    MOST_COPIES,
    Act,
    ClientIdentity,
    ClientState,
    DhcpExchange,
    LeaveAddress,
    ProbeAddress,
    UseLease,
)
from gateway.base.network.dhcp.dhcp_messages import DhcpReply, ReplyKind
from gateway.base.network.dhcp.lease import Lease, NoLease, lease_of, objection
from gateway.base.network.dhcp.renewals import (
    OtherServers,
    RefusedReplies,
    RenewalCause,
    RenewalResult,
    Renewals,
    Setbacks,
)

LEAST_APART: Final = 60.0
"""Seconds between two copies while a lease is renewed (RFC 2131 section 4.4.5)."""
PROBES, PROBE_APART = 3, 0.1
"""Questions for another owner of the address, and seconds from each to the next: within them a host on the same wire
answers. RFC 5227 waits for four seconds and more, which calls that are up do not have."""
AFTER_DECLINE: Final = 10.0
"""Seconds at least after a DHCPDECLINE (RFC 2131 section 3.1)."""
LONGEST_WAIT: Final = 64.0


class ClientMachine:
    """One client on one interface. ``taken`` gives the addresses that are others' for certain."""

    def __init__(self, identity: ClientIdentity, chance: Random, taken: Callable[[], Collection[str]]) -> None:
        self._identity = identity
        self._chance = chance
        self._taken = taken
        self._exchange = DhcpExchange(0, 0.0, 0.0)
        self._candidate: Lease | None = None
        self._known = ""
        self._probes = 0
        self._setbacks = Setbacks(LONGEST_WAIT)
        self._asked = AskedRenewal()
        self.state = ClientState.WAITING
        self.acts: deque[Act] = deque()
        """To be carried out, in order."""
        self.due: float = float("inf")
        """When to call `expired`."""
        self.lease: Lease | None = None
        """The one in force."""
        self.renewals = Renewals()
        self.others = OtherServers()
        self.refusals = RefusedReplies()

    def start(self, now: float, known: str = "") -> None:
        """Begin: ask whether an address that the interface has from before is still this client's (RFC 2131 section
        3.2), or for a new one."""
        self._known = known
        if known:
            self._ask(ClientState.REBOOTING, now)
        else:
            self._wait(now, 0.0)

    def link_up(self, now: float) -> None:
        """The cable is plugged in: ask at once instead of at the next copy's time."""
        if self.state in (ClientState.WAITING, ClientState.SELECTING) and not self._setbacks.count:
            self._wait(now, 0.0)

    def look_again(self, now: float) -> None:
        """Other addresses are taken now: the one in force is given back where it is among them (RFC 2131 section
        3.1)."""
        lease = self.lease
        if lease is not None and (reason := objection(lease, self._taken())):
            self.refusals.note("lease", reason)
            self._decline(lease, now)
            self._known = ""
            self._leave()
            self._wait(now, self._setbacks.next_wait(AFTER_DECLINE))

    def renew(self, now: float) -> float:
        """Send one DHCPREQUEST for the lease in force; 0.0 where that is done, else the seconds after which it can be:
        infinity without a lease, or while one is renewed anyway."""
        lease = self.lease
        if lease is None or self.state is not ClientState.BOUND:
            return float("inf")
        wait = self._asked.wait(now)
        if not wait:
            exchange = self._asked.begin(self._new_xid(), now)
            self.acts.append(self._identity.renew(exchange, lease, is_broadcast=self._asked.is_broadcast))
            self._plan_bound(lease, now)
        return wait

    def conflict(self, address: str, now: float) -> None:
        """Another host has this address."""
        candidate = self._candidate
        if self.state is not ClientState.PROBING or candidate is None or candidate.address != address:
            return
        self.refusals.note("probe", f"{address} belongs to another host")
        self._decline(candidate, now)
        self._candidate = None
        if self.lease is None:
            self._known = ""
            self._wait(now, self._setbacks.next_wait(AFTER_DECLINE))
        else:  # the address before is this client's until its end; a renewal at once would get the other one again
            self.state = ClientState.BOUND
            self.due = min(self.lease.ends, max(self.lease.obtained + self.lease.t1, now + LEAST_APART))

    def expired(self, now: float) -> None:
        """Carry out all that is due."""
        if now < self.due:
            return
        if self.lease is not None and now >= self.lease.ends:
            self.renewals.note(RenewalCause.LEASE, RenewalResult.ENDED, now)
            self._leave()  # nothing may use it any more (RFC 2131 section 4.4.5)
            self._wait(now, 0.0)
            return
        match self.state:
            case ClientState.WAITING:
                self._ask(ClientState.SELECTING, now)
            case ClientState.SELECTING | ClientState.REQUESTING | ClientState.REBOOTING:
                self._unanswered(now)
            case ClientState.PROBING:
                self._probe(now)
            case ClientState.BOUND:
                self._bound_expired(now)
            case ClientState.RENEWING | ClientState.REBINDING:
                self._renew_on(now)

    def receive(self, reply: DhcpReply, mac: bytes, now: float) -> None:
        """A reply came from a MAC address. Those for others, and for questions that are over, are nothing."""
        asked = self._asked.exchange
        exchange = asked if asked is not None and reply.xid == asked.xid else self._exchange
        if reply.mac != self._identity.mac or reply.xid != exchange.xid:
            return
        server = reply.server
        if server is None:
            self.refusals.note("reply", "it names no server")
            return
        chosen = self._candidate or self.lease
        if chosen is not None and server != chosen.server:
            self.others.note(server, mac, now)
        is_heard = self._hears(server, is_asked=exchange is asked)
        match reply.kind:
            case ReplyKind.OFFER if self.state is ClientState.SELECTING:
                self._take_offer(reply, mac, now)
            case ReplyKind.ACK if is_heard:
                self._take_ack(reply, mac, exchange.sent, now)
            case ReplyKind.NAK if is_heard:
                self._take_nak(now)
            case _:
                self.refusals.note(f"{reply.kind.name.lower()} while {self.state}")

    def _hears(self, server: str, *, is_asked: bool) -> bool:
        """Whether this server may decide now: the one that was chosen, or any that answers a broadcast (RFC 2131
        section 4.4.5)."""
        is_own = self.lease is not None and server == self.lease.server
        match self.state:
            case ClientState.BOUND:
                return is_asked and (is_own or self._asked.is_broadcast)
            case ClientState.REQUESTING:
                return self._candidate is not None and server == self._candidate.server
            case ClientState.RENEWING:
                return is_own
            case ClientState.REBINDING | ClientState.REBOOTING:
                return True
            case _:
                return False

    def _take_offer(self, reply: DhcpReply, mac: bytes, now: float) -> None:
        self._candidate = self._judged(reply, mac, self._exchange.sent)
        if self._candidate is not None:  # the request is of the offer's exchange (RFC 2131 section 4.4.1)
            self._ask(ClientState.REQUESTING, now, self._exchange.xid)

    def _take_ack(self, reply: DhcpReply, mac: bytes, sent: float, now: float) -> None:
        """A lease is granted. One that is refused here is as if it had not come: copies, T2 and end go on."""
        lease = self._judged(reply, mac, sent)
        if lease is None:
            return
        wanted = self._candidate.address if self._candidate is not None else self._known if self.lease is None else ""
        if wanted and lease.address != wanted:
            self.refusals.note("ack", f"it is for {lease.address}, and {wanted} was asked for")
            return
        is_same = self.lease is not None and lease.address == self.lease.address
        if self.lease is not None:
            self._renewed(RenewalResult.SAME if is_same else RenewalResult.OTHER, now)
        if is_same or self.state is ClientState.REBOOTING:
            self._use(lease, now)
        else:
            self._candidate, self._probes = lease, 0
            self.state = ClientState.PROBING
            self._probe(now)

    def _take_nak(self, now: float) -> None:
        """The server has no such lease: the address is left, and another is asked for (RFC 2131 section 3.1)."""
        if self.lease is not None:
            self._renewed(RenewalResult.REFUSED, now)
        elif self.state is ClientState.REBOOTING:
            self.acts.append(LeaveAddress(self._known))
        self._known = ""
        self._leave()
        self._wait(now, self._setbacks.next_wait())

    def _judged(self, reply: DhcpReply, mac: bytes, sent: float) -> Lease | None:
        try:
            lease = lease_of(reply, mac, sent)
            reason = objection(lease, self._taken())
        except NoLease as refusal:
            reason = str(refusal)
        if reason:
            self.refusals.note(reply.kind.name.lower(), reason)
            return None
        return lease

    def _use(self, lease: Lease, now: float) -> None:
        self.lease, self._candidate, self._known = lease, None, lease.address
        self._asked.settled()
        self.acts.append(UseLease(lease))
        self.state = ClientState.BOUND
        self._plan_bound(lease, now)

    def _renewed(self, result: RenewalResult, now: float) -> None:
        self.renewals.note(RenewalCause.LEASE if self._asked.exchange is None else RenewalCause.ASKED, result, now)
        self._asked.settled()

    def _plan_bound(self, lease: Lease, now: float) -> None:
        self.due = min(max(lease.obtained + lease.t1, now), self._asked.ends)

    def _bound_expired(self, now: float) -> None:
        lease = self.lease
        assert lease is not None
        if self._asked.exchange is not None:
            self._asked.silent()
            self.renewals.note(RenewalCause.ASKED, RenewalResult.SILENT, now)
        if now < lease.obtained + lease.t1:
            self._plan_bound(lease, now)
            return
        self._setbacks.forget()
        self.state = ClientState.RENEWING
        self._exchange = DhcpExchange(self._new_xid(), now, now)
        self._renew_on(now)

    def _renew_on(self, now: float) -> None:
        """One more DHCPREQUEST to the lease's server until T2, to all until its end (RFC 2131 section 4.4.5)."""
        lease = self.lease
        assert lease is not None
        t2 = lease.obtained + lease.t2
        if now >= t2 and self.state is ClientState.RENEWING:
            self.renewals.note(RenewalCause.LEASE, RenewalResult.SILENT, now)
            self.state = ClientState.REBINDING
        is_broadcast = self.state is ClientState.REBINDING
        limit = lease.ends if is_broadcast else t2
        self._exchange = self._exchange.again(now)
        self.acts.append(self._identity.renew(self._exchange, lease, is_broadcast=is_broadcast))
        self.due = min(limit, now + max(LEAST_APART, (limit - now) / 2))

    def _leave(self) -> None:
        if self.lease is not None:
            self.acts.append(LeaveAddress(self.lease.address))
        self.lease = None
        self._asked.settled()

    def _wait(self, now: float, seconds: float) -> None:
        self.state = ClientState.WAITING
        self._candidate = None
        self.due = now + seconds

    def _ask(self, state: ClientState, now: float, xid: int | None = None) -> None:
        """Begin a question that is asked of everybody."""
        self.state = state
        self._exchange = DhcpExchange(self._new_xid() if xid is None else xid, now, now)
        self._unanswered(now)

    def _unanswered(self, now: float) -> None:
        """Send the next copy, or give up."""
        copies = self._exchange.copies
        if copies >= MOST_COPIES.get(self.state, copies + 1):
            self._wait(now, self._setbacks.next_wait())
            return
        exchange = self._exchange = self._exchange.again(now)
        if self._candidate is not None:
            self.acts.append(self._identity.take(exchange, self._candidate))
        elif self.state is ClientState.REBOOTING:
            self.acts.append(self._identity.reboot(exchange, self._known))
        else:
            self.acts.append(self._identity.discover(exchange, self._known))
        self.due = now + BACKOFF[min(copies, len(BACKOFF) - 1)] + self._chance.uniform(-1, 1)

    def _probe(self, now: float) -> None:
        assert self._candidate is not None
        if self._probes == PROBES:
            self._use(self._candidate, now)
            return
        self._probes += 1
        self.acts.append(ProbeAddress(self._candidate.address))
        self.due = now + PROBE_APART

    def _decline(self, lease: Lease, now: float) -> None:
        self.acts.append(self._identity.decline(DhcpExchange(self._new_xid(), now, now), lease))

    def _new_xid(self) -> int:
        return self._chance.getrandbits(32)
