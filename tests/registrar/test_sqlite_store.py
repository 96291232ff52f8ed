"""The durable store: what was saved is there after a restart, and a bad file is one clear line."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from twisted.enterprise.adbapi import Transaction
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.registrar.binding import Binding
from gateway.registrar.sqlite_store import WRITE_DELAY, SqliteStore, prepare_bindings
from gateway.state.sqlite import Result, StoreUnusable, create_private
from gateway.state.write_behind import RETRY_DELAY
from gateway.transport.flow import Address, FlowKey, Transport
from tests.support.bindings import NOW, binding


class DirectDatabase:
    """Runs each interaction at once, in this thread; can be told to fail or to keep one waiting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self.transactions = 0
        self.failing = False
        self.held: Deferred[None] | None = None

    def run_interaction(self, work: Callable[[Transaction], Result]) -> Deferred[Result]:
        try:
            return self._answer(self._run(work))
        except (sqlite3.Error, OSError, ValueError):
            return fail()

    def _run(self, work: Callable[[Transaction], Result]) -> Result:
        if self.failing:
            raise sqlite3.OperationalError("disk is full")
        if self._connection is None:
            create_private(self._path)
            self._connection = sqlite3.connect(self._path, timeout=0.05)
            prepare_bindings(self._connection)
        self.transactions += 1
        with self._connection:
            return work(cast(Transaction, self._connection.cursor()))

    def _answer(self, result: Result) -> Deferred[Result]:
        if self.held is None:
            return succeed(result)
        return self.held.addCallback(lambda _: result)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Opened:
    """A store on a file, with everything around it."""

    def __init__(self, path: Path, capacity: int = 100) -> None:
        self.clock = Clock()
        self.database = DirectDatabase(path)
        self.store = SqliteStore(path, self.database, self.clock, lambda: NOW + self.clock.seconds(), capacity)
        self.result: list[object] = []
        self.store.start().addBoth(self.result.append)

    @property
    def error(self) -> str:
        (result,) = self.result
        assert isinstance(result, Failure)
        assert isinstance(result.value, StoreUnusable)
        return str(result.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bindings.sqlite"


def test_bindings_outlive_a_restart(path: Path) -> None:
    first = Opened(path)
    kept = binding(instance="<urn:uuid:1>", flow=FlowKey("tls", Transport.TLS, Address("2001:db8::1", 5061), 7))
    first.store.save(kept)
    first.store.save(binding(contact="sip:gone@h", token="gone"))
    first.store.remove("sip:alice@example.com", "sip:gone@h")
    first.store.stop()
    second = Opened(path).store
    assert second.find("sip:alice@example.com") == [kept]
    assert not second.is_reachable(kept)  # its connection did not outlive the gateway


def test_only_this_user_may_read_the_file(path: Path) -> None:
    Opened(path).store.stop()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_burst_is_one_transaction_a_moment_later(path: Path) -> None:
    opened = Opened(path)
    before = opened.database.transactions
    for number in range(20):
        opened.store.save(binding(contact=f"sip:{number}@h", token=str(number)))
    assert opened.database.transactions == before
    opened.clock.advance(WRITE_DELAY)
    assert opened.database.transactions == before + 1
    opened.clock.advance(60)
    assert opened.database.transactions == before + 1
    assert not opened.clock.getDelayedCalls()


def test_what_expired_while_the_gateway_was_down_is_not_loaded(path: Path) -> None:
    first = Opened(path)
    first.store.save(binding(expires_at=NOW))
    first.store.save(binding(contact="sip:b@h", token="b"))
    first.store.stop()
    second = Opened(path)
    assert [item.token for item in second.store.all()] == ["b"]
    second.store.stop()
    assert sqlite3.connect(path).execute("SELECT count(*) FROM binding").fetchone() == (1,)


def test_a_failed_write_is_kept_and_tried_again(path: Path) -> None:
    opened = Opened(path)
    opened.database.failing = True
    opened.store.save(binding())
    opened.clock.advance(WRITE_DELAY)
    opened.store.save(binding(cseq=9))
    opened.database.failing = False
    opened.clock.advance(RETRY_DELAY)
    opened.store.stop()
    assert [item.cseq for item in Opened(path).store.all()] == [9]


def test_changes_during_a_write_follow_it(path: Path) -> None:
    opened = Opened(path)
    opened.database.held = Deferred()
    opened.store.save(binding())
    opened.clock.advance(WRITE_DELAY)
    opened.store.save(binding(cseq=2))
    held, opened.database.held = opened.database.held, None
    held.callback(None)
    opened.clock.advance(WRITE_DELAY)
    opened.store.stop()
    assert [item.cseq for item in Opened(path).store.all()] == [2]


def test_stop_waits_for_a_write_under_way_and_writes_the_rest(path: Path) -> None:
    opened = Opened(path)
    opened.database.held = Deferred()
    opened.store.save(binding())
    opened.clock.advance(WRITE_DELAY)
    opened.store.save(binding(cseq=2))
    stopped: list[None] = []
    opened.store.stop().addCallback(stopped.append)
    assert stopped == []
    held, opened.database.held = opened.database.held, None
    held.callback(None)
    assert stopped == [None]
    assert [item.cseq for item in Opened(path).store.all()] == [2]


def test_a_file_that_is_no_database_is_one_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database at all" * 100)
    assert Opened(path).error == f"{path}: is no usable binding store: file is not a database"


def test_a_file_in_use_is_one_line(path: Path) -> None:
    holder = Opened(path)
    assert Opened(path).error == f"{path}: is in use by another gateway"
    holder.store.stop()
    assert Opened(path).result == [None]


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    opened = Opened(tmp_path / "state" / "bindings.sqlite")
    assert opened.error == f"{tmp_path}/state/bindings.sqlite: cannot be opened: File exists"


@pytest.mark.parametrize(
    ("column", "value"), [("expires_at", "soon"), ("flow", "nonsense"), ("flow", "a/b/c"), ("token", 7), ("aor", None)]
)
def test_a_row_that_makes_no_sense_is_one_line(path: Path, column: str, value: object) -> None:
    first = Opened(path)
    first.store.save(binding())
    first.store.stop()
    connection = sqlite3.connect(path)
    if value is None:
        connection.execute("DROP TABLE binding")
        connection.execute("CREATE TABLE binding (something)")
    else:
        connection.execute(f"UPDATE binding SET {column} = ?", (value,))
    connection.commit()
    connection.close()
    assert f"{path}: is no usable binding store: " in Opened(path).error


def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    assert "another version of the gateway (schema 99)" in Opened(path).error


def test_more_rows_than_fit_are_left_out(path: Path) -> None:
    first = Opened(path)
    for number in range(5):
        first.store.save(binding(contact=f"sip:{number}@h", token=str(number)))
    first.store.stop()
    assert len(Opened(path, capacity=3).store) == 3


_IN_A_PROCESS = """
import sys
from pathlib import Path
from twisted.internet import reactor
from gateway.registrar.sqlite_store import SqliteStore, prepare_bindings
from gateway.state.sqlite import PooledDatabase
from tests.support.bindings import NOW, binding

path = Path(sys.argv[1])
store = SqliteStore(path, PooledDatabase(path, reactor, prepare_bindings), reactor, lambda: NOW)

async def run():
    try:
        await store.start()
    except Exception as error:
        print(error)
    else:
        print(len(store))
        store.save(binding())
        await store.stop()
    reactor.stop()

from twisted.internet.defer import Deferred
reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run()))
reactor.run()
"""


def run_in_a_process(path: Path) -> str:
    command = [sys.executable, "-c", _IN_A_PROCESS, str(path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, cwd=root)
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_real_pool_keeps_bindings_and_explains_a_bad_file(path: Path) -> None:
    assert run_in_a_process(path) == "0"
    assert run_in_a_process(path) == "1"
    holder = Opened(path)
    assert run_in_a_process(path) == f"{path}: is in use by another gateway"
    holder.store.stop()
    path.write_bytes(b"nonsense" * 1000)
    assert run_in_a_process(path) == f"{path}: is no usable binding store: file is not a database"


def test_rows_hold_every_field(path: Path) -> None:
    odd = binding(q=0.25, user_agent="Zürich", provider_interval=7, cseq=2**31 - 1)
    first = Opened(path)
    first.store.save(odd)
    first.store.stop()
    (loaded,) = Opened(path).store.all()
    assert loaded == odd
    assert isinstance(loaded, Binding)


def test_a_file_of_the_first_version_is_taken_over(path: Path) -> None:
    create_private(path)
    columns = "aor, contact, flow, expires_at, call_id, cseq, q, instance, user_agent, token"
    with sqlite3.connect(path) as connection:
        connection.execute(
            f"CREATE TABLE binding ({columns}, provider_expires_at, provider_interval, PRIMARY KEY (aor, contact))"
            " WITHOUT ROWID"
        )
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    connection = sqlite3.connect(path)
    prepare_bindings(connection)
    assert {"service_route", "source"} <= {row[1] for row in connection.execute("PRAGMA table_info(binding)")}
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()


def test_binding_that_no_file_can_hold_is_left_out_and_every_other_is_written(path: Path) -> None:
    opened = Opened(path)
    for user in ("alice", "b\udcffb", "carol"):
        opened.store.save(binding(aor=f"sip:{user}@example.com", token=f"{user}-1"))
    opened.clock.advance(WRITE_DELAY)
    opened.store.stop()
    assert (opened.store.standing.failures, opened.store.standing.is_failing) == (1, False)
    again = Opened(path)
    assert sorted(item.token for item in again.store.all()) == ["alice-1", "carol-1"]
