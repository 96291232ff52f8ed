"""State: bindings, the memory of peers, calls that ended, and the rounds that write them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gateway.app.cluster.cluster_part import ClusterPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.start_checks import go_on_without, put_aside_what_is_bad
from gateway.base.private_files import kept_secret
from gateway.observe.figures import KeptFile
from gateway.observe.log import LogOutput
from gateway.registrar.news import DeviceWatches
from gateway.registrar.sightings import DeviceSightings
from gateway.registrar.sqlite_store import SqliteStore, prepare_bindings
from gateway.security.policy.peer_memory import CAPACITY, PeerMemory, keeper, recalled
from gateway.state.cdr import CdrFile
from gateway.state.devices.device_table import DeviceTable, prepare_devices
from gateway.state.history import CallHistory
from gateway.state.journal.live_journal import FILE, LiveJournal
from gateway.state.listing.call_table import CallTable, prepare_calls
from gateway.state.security_file import SecurityFile
from gateway.state.sqlite import PooledDatabase
from gateway.state.table import KeptTable, table_in

log = Logger()

WRITING_SECONDS = 2.0
"""Between two looks whether the log's reader, or the disk, takes the lines that wait for it."""


class StatePart(GatewayPart):
    """Everything that outlives the process, and the files that it is kept in."""

    def __init__(self, basis: Basis, log_output: LogOutput) -> None:
        self._directory = basis.configuration.gateway.state_directory
        self._metrics = basis.metrics
        self._log_output, self._reactor = log_output, basis.reactor
        self._cluster, replica = ClusterPart(basis), basis.replica
        reactor, now, path = basis.reactor, basis.clock.now, self._directory / "bindings.sqlite"
        self.store = SqliteStore(path, PooledDatabase(path, reactor, prepare_bindings, replica), reactor, now)
        self._peers = table_in(self._directory / "peers.sqlite", reactor, replica)
        self.memory = PeerMemory(now, basis.metrics, keeper(self._peers, now))
        self._cdr = CdrFile(self._directory / "cdr.jsonl")
        ended = self._directory / "calls.sqlite"
        self.ended_calls = CallTable(ended, PooledDatabase(ended, reactor, prepare_calls), reactor)
        days = basis.configuration.gateway.history_days
        self.history = CallHistory(self.ended_calls, self._cdr, basis.clock, days)
        devices = self._directory / "devices.sqlite"
        self.devices = DeviceTable(devices, PooledDatabase(devices, reactor, prepare_devices, replica), reactor, now)
        self.device_watches = DeviceWatches(DeviceSightings(self.devices))
        """Told of each registration that is granted."""
        self.rollouts = table_in(self._directory / "rollouts.sqlite", reactor, replica)
        self.known_sources = table_in(self._directory / "sources.sqlite", reactor, replica)
        """Those from which a registration was granted."""
        self.deviations = table_in(self._directory / "deviations.sqlite", reactor, replica)
        self.bans = table_in(self._directory / "bans.sqlite", reactor, replica)
        self.limits = table_in(self._directory / "limits.sqlite", reactor, replica)
        """The counts of limits of calls."""
        self.posture = table_in(self._directory / "posture.sqlite", reactor, replica)
        self.probes = table_in(self._directory / "probes.sqlite", reactor)
        """Probes of providers that were made by themselves."""
        self.provisioning = table_in(self._directory / "provisioning.sqlite", reactor, replica)
        """Generations of phones' files, and devices that were adopted."""
        secret = kept_secret(self._directory / "secret")
        journal = self._unkept = LiveJournal(self._directory / FILE, secret, replica)
        self.journal = journal if basis.configuration.gateway.keep_calls else None
        """The calls that are up; None where none is kept."""
        tables = self.devices, self.deviations, self.known_sources, self.bans, self.limits, self.posture
        self._tables: tuple[KeptTable, ...] = (self._peers, *tables, self.probes, self.provisioning, self.rollouts)
        self._security = SecurityFile(self._directory / "security.jsonl")
        basis.metrics.events.subscribe(self._security.note)
        self._writing = LoopingCall(self._write_waiting)

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Read the files. A bad one is put aside; fails with InUse for one that another gateway has."""
        put_aside_what_is_bad(self._directory)
        yield self.store.start().addErrback(go_on_without)
        if self.journal is None:
            self._unkept.remove()  # or its calls would come back where they are kept again
        kept = self._peers.latest(CAPACITY).addCallback(lambda kept: self.memory.recall(recalled(kept)))
        yield kept.addErrback(go_on_without)
        yield self.history.start().addErrback(go_on_without)
        self._cluster.start()
        self._writing.start(WRITING_SECONDS)
        self._log_output.gather(self._reactor)

    @inlineCallbacks
    def stop(self) -> Generator[Deferred[Any], Any, None]:
        """Write the rest, and close the files."""
        if self._writing.running:
            self._writing.stop()
        self._cluster.stop()
        self._log_output.gather(None)
        self._security.write()
        yield self.history.stop()
        for table in self._tables:
            yield table.stop()
        yield self.store.stop()

    @property
    def files(self) -> tuple[KeptFile, ...]:
        """How each file stands."""
        tables = (table.standing for table in (self.ended_calls, *self._tables))
        journal = () if self.journal is None else (self.journal.standing,)
        return self.store.standing, *tables, self._cdr.standing, self._security.standing, *journal

    def _write_waiting(self) -> None:
        self._log_output.retry()
        self._cdr.retry()
        self._security.write()

    def count_unseen(self, calls: Sequence[Mapping[str, Any]]) -> None:
        """Count the calls of the process before, which died under them."""
        for call in calls:
            labels = (str(call.get(name)) for name in ("domain", "direction", "verdict", "reason"))
            self._metrics.calls.labels(*labels).inc()
            log.warn("call {call_id} was up when the gateway ended: nobody saw its end", call_id=call.get("id"))
