"""A pair of gateways: the second takes over calls, registrations and records; the store is stopped, emptied, paused; a
node that stood still, has another secret, or finds records of another version."""

from __future__ import annotations

import ast
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.cluster.cluster_node import FENCED
from gateway.state.cluster.cluster_seal import ClusterSeal
from gateway.state.journal.live_journal import FILE
from tests.support.calls.hosts import Hosts
from tests.support.calls.load import Caller
from tests.support.calls.processes import wait_until
from tests.support.cluster.pair import Node, Pair, told
from tests.support.faults.phone import Phone
from tests.support.phone_messages import FORMS

CALLS = 100
RATE = 20
LAST_MOMENT = 0.5
"""Seconds that copies may be behind on a busy machine."""


@pytest.fixture
def pair(hosts: Hosts, tmp_path: Path) -> Iterator[Pair]:
    with told(Pair(hosts, tmp_path)) as made:
        yield made


@pytest.fixture
def phone(pair: Pair) -> Iterator[Phone]:
    made = Phone(pair.a.hosts.phone, pair.a.proxy)
    yield made
    made.close()


def die(node: Node) -> None:
    """As the machine of a node does: signalling and media at once."""
    workers = node.workers()
    node.kill()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)


def wait_active(node: Node) -> None:
    wait_until(f"{node.name} is active and ready", lambda: node.is_active and node.is_ready(), 60)


def records(pair: Pair) -> list[dict[str, object]]:
    return [record for node in pair.nodes for record in node.records()]


def test_calls_up_and_calls_that_come_survive_the_death_of_a_machine(pair: Pair, phone: Phone, tmp_path: Path) -> None:
    """100 calls up and 20 a second: each that was up is hung up at both ends by the other node, with one record."""
    pair.start()
    answer = phone.register()
    assert answer is not None
    dialogs = [phone.must_call() for _ in range(CALLS)]
    phone.must_be_heard()
    proxy = f"{pair.a.proxy[0]}:{pair.a.proxy[1]}"
    caller = Caller(
        pair.a.hosts.host(12),
        pair.a.hosts.port(pair.a.hosts.host(12), 2),
        proxy,
        "sip:echo@example.com",
        tmp_path / "sipp",
    )
    caller.start(RATE, RATE * 15)
    try:
        pair.settle(pair.a)
        time.sleep(2)  # of calls at that rate
        died = time.monotonic()
        die(pair.a)
        wait_until("b takes calls", lambda: phone.register(1) is not None, 60)
        gap = time.monotonic() - died
        wait_active(pair.b)
        whole, failed = caller.wait_ended(90)
    finally:
        caller.stop()
    print(f"nobody answered for {gap:.1f} s; of {whole + failed} calls at {RATE}/s {failed} failed")
    assert f"{CALLS} calls of the process before go on" in pair.b.text() or _went_on(pair.b) >= CALLS
    assert gap < 20
    assert failed <= RATE * (gap + 2)
    before = pair.a.provider.count("BYE")
    for dialog in dialogs:
        hung_up = phone.hang_up(dialog)
        assert hung_up is not None
        assert hung_up.status == 200
    wait_until("every far end was told", lambda: pair.a.provider.count("BYE") - before >= CALLS, 30)
    wait_until("no call is up", lambda: pair.b.metric("gateway_active_calls") == 0, 60)
    wait_until("all are recorded", lambda: len(records(pair)) >= CALLS + whole, 30)
    one, other = ([record["id"] for record in node.records()] for node in pair.nodes)
    assert (len(one), len(other)) == (len(set(one)), len(set(other)))
    # A call that ended in the last moment of the first node, before its end was copied, ends on the second one, too.
    assert len({*one} & {*other}) <= RATE * LAST_MOMENT


def _went_on(node: Node) -> int:
    found = re.search(r"(\d+) calls of the process before go on", node.text())
    return int(found[1]) if found else 0


def test_the_other_node_knows_the_registrations_and_hands_them_back(pair: Pair, phone: Phone) -> None:
    """There and back: what b learnt is there when a is active again, and a call that both had has one record."""
    pair.start()
    assert phone.register() is not None
    call = phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    pair.a.kill()
    wait_active(pair.b)
    assert "example.com" in (pair.b.fetch("/api/phones") or "")
    pair.a.launch()
    wait_until("a waits", lambda: pair.a.is_waiting, 30)
    other = phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.b)
    pair.b.kill()
    wait_until("a is active again", lambda: pair.a.is_active and pair.a.is_ready(), 60)
    assert "2 calls of the process before go on" in pair.a.text()
    for dialog in (call, other):
        answer = phone.hang_up(dialog)
        assert answer is not None
        assert answer.status == 200
    wait_until("both are recorded", lambda: len(records(pair)) == 2, 15)
    pair.b.launch()
    wait_until("b waits", lambda: pair.b.is_waiting, 30)
    pair.settle(pair.a)
    pair.a.kill()
    wait_active(pair.b)
    assert len(records(pair)) == 2


def test_a_node_that_is_killed_and_comes_back_first_goes_on_with_its_own_files(pair: Pair, phone: Phone) -> None:
    pair.store.start()
    pair.a.launch()
    wait_active(pair.a)
    call = phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    pair.a.kill()
    began = time.monotonic()
    pair.a.launch()
    wait_until("it is active", lambda: pair.a.text().count("it becomes active") == 2, 30)
    took = time.monotonic() - began
    wait_active(pair.a)
    assert "this node's own files are the newest" in pair.a.text()
    assert "1 calls of the process before go on, 0 of them with new media" in pair.a.text()
    answer = phone.hang_up(call)
    assert answer is not None
    assert answer.status == 200
    print(f"it had the lease {took:.1f} s after its start")


def test_a_planned_stop_hands_over_at_once(pair: Pair, phone: Phone) -> None:
    pair.start()
    call = phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    wait_until("the other one is seen", lambda: pair.a.json("/api/v1/drain")["stop"] == "keep", 30)
    pair.a.stop()
    assert "calls that are up are left to the next process, since another node of the cluster waits" in pair.a.text()
    assert not pair.a.caretakers(), "the other node goes on with the call"
    assert pair.store.ask("GET", "gw:{gateway}:lease").decode().split(" ")[0] in ("b", "\n")
    wait_active(pair.b)
    assert "1 calls of the process before go on" in pair.b.text()
    answer = phone.hang_up(call)
    assert answer is not None
    assert answer.status == 200


def test_the_last_node_ends_its_calls(pair: Pair, phone: Phone) -> None:
    pair.start()
    phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    wait_until("the other one is seen", lambda: pair.a.json("/api/v1/drain")["stop"] == "keep", 30)
    pair.b.stop()
    wait_until("the other one is missed", lambda: pair.a.json("/api/v1/drain")["stop"] == "end", 30)
    pair.a.stop()
    assert "calls that are up are ended, since no other node of the cluster waits" in pair.a.text()
    assert [one["ending"] for one in pair.a.records()] == ["The gateway is being stopped"]


def test_a_store_that_stops_ends_the_active_node_and_its_return_brings_the_calls_back(pair: Pair, phone: Phone) -> None:
    pair.start()
    call = phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    pair.store.stop()
    assert pair.a.process is not None
    assert pair.a.process.wait(30) == FENCED
    assert "this node may not be active any more: its lease was not renewed in time" in pair.a.text()
    assert not pair.b.is_active
    pair.a.launch()
    wait_until("a waits", lambda: pair.a.is_waiting, 30)
    pair.store.start()
    wait_until("one is active", lambda: pair.a.is_active or pair.b.is_active, 60)
    active = pair.a if pair.a.is_active else pair.b
    wait_active(active)
    if active is pair.a:
        assert "1 calls of the process before go on" in pair.a.text()
        answer = phone.hang_up(call)
        assert answer is not None
        assert answer.status == 200
    assert sum(node.is_active for node in pair.nodes) == 1


def test_a_store_that_is_away_stops_nobody_where_the_address_decides(hosts: Hosts, tmp_path: Path) -> None:
    """Paused, then gone, then back and empty: no call waits, and a node that comes later takes over all of it."""
    more = f'address = "{hosts.gateway}"\nwithout_store = "serve"'
    with told(Pair(hosts, tmp_path, more=more)) as pair:
        pair.store.start()
        pair.a.launch()
        wait_active(pair.a)
        phone = Phone(hosts.phone, pair.a.proxy)
        pair.settle(pair.a)
        pair.store.pause()
        wait_until("a goes on alone", lambda: pair.a.metric("gateway_cluster_without_store") == 1, 30)
        slowest = 0.0
        calls = []
        for _ in range(20):
            began = time.monotonic()
            calls.append(phone.must_call())
            slowest = max(slowest, time.monotonic() - began)
        print(f"the slowest call took {slowest:.3f} s while the store stood still")
        assert '"active without store"' in (pair.a.fetch("/api/v1/cluster") or "")
        pair.store.stop()
        calls.append(phone.must_call())
        assert pair.a.is_alive
        pair.store.start()
        wait_until("a has a lease", lambda: pair.a.metric("gateway_cluster_without_store") == 0, 30)
        phone.must_be_heard()
        pair.settle(pair.a)
        assert pair.a.metric("gateway_cluster_whole_copies_total") >= 2
        pair.b.launch()
        wait_until("b waits", lambda: pair.b.is_waiting, 30)
        pair.a.kill()
        wait_active(pair.b)
        assert _went_on(pair.b) == len(calls)
        phone.close()


def test_an_emptied_store_changes_nothing_and_is_filled_again(pair: Pair, phone: Phone) -> None:
    pair.start()
    phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    pair.store.ask("FLUSHALL")
    wait_until("it is filled", lambda: pair.a.metric("gateway_cluster_whole_copies_total") >= 2, 30)
    assert pair.a.is_active
    assert not pair.b.is_active
    pair.settle(pair.a)
    pair.a.kill()
    wait_active(pair.b)
    assert _went_on(pair.b) == 1


def test_a_node_that_stood_still_is_ended_by_the_kernel_and_answers_nobody(pair: Pair, phone: Phone) -> None:
    pair.start()
    call = phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    assert pair.a.process is not None
    pair.a.process.send_signal(signal.SIGSTOP)
    try:
        # Its sockets are bound still, on this one machine: b cannot open its own, and says so.
        wait_until("b has the lease", lambda: "node b has the lease" in pair.b.text(), 30)
        phone.throw(phone.invite())
    finally:
        pair.a.process.send_signal(signal.SIGCONT)
    assert pair.a.process.wait(10) == -signal.SIGALRM
    if not pair.b.is_alive:
        pair.b.launch()
    wait_active(pair.b)
    assert _went_on(pair.b) >= 1
    answer = phone.hang_up(call)
    assert answer is not None
    assert answer.status == 200


def test_a_node_with_another_secret_does_not_become_active(pair: Pair) -> None:
    (pair.b.directory / "cluster.key").write_bytes(b"x" * 32)
    pair.start()
    pair.settle(pair.a)
    pair.a.kill()
    assert pair.b.process is not None
    assert pair.b.process.wait(40) == 1
    assert "cluster.key_file: opens none of" in pair.b.text()
    assert "each node needs the same file" in pair.b.text()
    pair.a.launch()
    wait_active(pair.a)


def test_records_of_another_version_are_left_out_with_a_line(pair: Pair, phone: Phone) -> None:
    pair.start()
    phone.must_call()
    phone.must_be_heard()
    pair.settle(pair.a)
    generation = pair.store.ask("GET", "gw:{gateway}:state").decode().strip()
    pair.store.ask("HSET", f"gw:{{gateway}}:g:{generation}", "0123456789abcdef", "\x02 of a version to come")
    pair.a.kill()
    wait_active(pair.b)
    assert "1 records in the cluster's store are left out: of another version" in pair.b.text()
    assert _went_on(pair.b) == 1


def test_no_key_of_media_is_in_the_store_and_nothing_can_be_read_there(hosts: Hosts, tmp_path: Path) -> None:
    """RFC 4568: `inline:` is nowhere, sealed or opened, though the phone's offers have it."""
    with told(Pair(hosts, tmp_path)) as pair:
        pair.start()
        phone = Phone(hosts.phone, pair.a.proxy, form=FORMS["polycom required"])
        phone.register()
        assert b"inline:" in phone.invite()
        phone.must_call()
        phone.must_be_heard()
        pair.settle(pair.a)
        secret = (pair.a.directory / "cluster.key").read_bytes()
        opened = b"".join(value for value in _opened(pair, secret))
        assert b"inline:" not in opened
        assert b"alice" in opened
        assert FILE.encode() in _files(pair, secret)
        raw = b"".join(key + value for key, value in pair.store.contents())
        for word in (b"inline:", b"alice", b"example.com", b"crypto", b".sqlite"):
            assert word not in raw, word
        phone.close()


def _entries(pair: Pair) -> Iterator[tuple[str, bytes, bytes]]:
    """Generation, field and record of everything in the store."""
    for key in pair.store.ask("--scan", "--pattern", "gw:{gateway}:g:*").decode().split():
        lines = pair.store.ask("--no-raw", "HGETALL", key).decode().splitlines()
        values = [ast.literal_eval("b" + line.split(" ", 1)[1].strip()) for line in (one.strip() for one in lines)]
        for field, record in zip(values[::2], values[1::2], strict=True):
            if field != b"generation":
                yield key.rpartition(":")[2], field, record


def _opened(pair: Pair, secret: bytes) -> Iterator[bytes]:
    for generation, field, record in _entries(pair):
        found = ClusterSeal([secret], generation).opened(field, record)
        assert found is not None
        yield found.key + found.value


def _files(pair: Pair, secret: bytes) -> set[bytes]:
    found = [ClusterSeal([secret], generation).opened(field, record) for generation, field, record in _entries(pair)]
    return {one.file.encode() for one in found if one is not None}
