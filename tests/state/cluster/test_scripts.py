"""The scripts as Debian's redis-server runs them: one holder, a fence that grows, writes under the lease alone."""

from __future__ import annotations

import time

import pytest

from gateway.state.cluster import scripts
from tests.support.calls.processes import wait_until
from tests.support.cluster.store import RedisServer

LEASE, EPOCH, STATE, SEEN, NODES, FRESH = (
    scripts.key("c", name) for name in ("lease", "epoch", "state", "seen", "nodes", "fresh")
)
RECORDS, OTHERS = scripts.key("c", "g", "one"), scripts.key("c", "g", "two")


class Asked:
    """Runs scripts for nodes. The store has had a cluster before."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        redis.ask("SET", EPOCH, "4")

    def run(self, script: str, keys: tuple[str, ...], *arguments: str) -> list[str]:
        answer = self.redis.ask("EVAL", script, str(len(keys)), *keys, *arguments)
        return [line.strip() for line in answer.decode().splitlines()]

    def take(
        self, node: str, own: str = "", role: str = "waiting", life: str = "10000", known: str = "0", process: str = "p"
    ) -> list[str]:
        keys = (LEASE, EPOCH, STATE, SEEN, NODES, FRESH)
        return self.run(scripts.TAKE, keys, node, known, life, "1000.5", own, role, "300", process)

    def renew(self, token: str, life: str = "10000") -> list[str]:
        return self.run(scripts.RENEW, (LEASE, SEEN, NODES, STATE, RECORDS), token, life, "a", "1001.5", "one")

    def write(self, token: str, *pairs: str, kind: str = "more", half: str = "two") -> str:
        return self.run(scripts.WRITE, (LEASE, RECORDS, STATE, OTHERS), token, kind, half, *pairs)[0]

    def complete(self, token: str, *before: str) -> str:
        return self.run(scripts.COMPLETE, (LEASE, STATE, RECORDS, *before), token, "one")[0]


@pytest.fixture
def asked(redis: RedisServer) -> Asked:
    return Asked(redis)


def test_one_of_two_gets_it(asked: Asked) -> None:
    assert asked.take("a")[:2] == ["1", "a 5 1000.5 p"]
    assert asked.take("b", process="of b")[:2] == ["0", "a 5 1000.5 p"]
    assert set(asked.take("b", process="of b")[2:]) == {"a", "b", "1000.5"}
    assert asked.renew("a 5 1000.5 p")[0] == "1"
    assert asked.renew("b 6 1000.5 p")[:2] == ["0", "a 5 1000.5 p"]


def test_the_fence_grows_even_where_the_store_knows_less(asked: Asked) -> None:
    assert asked.take("a", known="17")[1] == "a 18 1000.5 p"
    asked.run(scripts.RELEASE, (LEASE, NODES), "a 18 1000.5 p", "a")
    assert asked.take("b", process="of b", known="2")[1] == "b 19 1000.5 of b"


def test_the_lease_ends_by_itself(asked: Asked) -> None:
    asked.take("a", life="200")
    wait_until("b gets it", lambda: asked.take("b", process="of b")[0] == "1", 10)
    assert asked.renew("a 5 1000.5 p")[0] == "0"


def test_a_renewal_prolongs_it(asked: Asked) -> None:
    asked.take("a", life="60000")
    asked.renew("a 5 1000.5 p", life="90000")
    assert 60_000 < int(asked.redis.ask("PTTL", LEASE)) <= 90_000


def test_a_token_of_a_process_that_is_over_is_replaced_at_once(asked: Asked) -> None:
    asked.take("a")
    assert asked.take("a", own="a 5 1000.5 p", process="q")[:2] == ["1", "a 6 1000.5 q"]
    assert asked.take("a", own="a 5 1000.5 p", process="r")[0] == "0"


def test_a_lease_that_was_given_after_the_asker_had_given_up_is_its_own(asked: Asked) -> None:
    """A store that stood still carries out old questions when it goes on."""
    asked.take("b", process="of b")
    assert asked.take("b", process="another")[0] == "0"
    assert asked.take("b", process="of b")[:2] == ["1", "b 6 1000.5 of b"]


def test_only_the_holder_gives_it_back(asked: Asked) -> None:
    asked.take("a")
    assert asked.run(scripts.RELEASE, (LEASE, NODES), "b 4 1000.5 p", "b") == ["0"]
    assert asked.run(scripts.RELEASE, (LEASE, NODES), "a 5 1000.5 p", "a") == ["1"]
    assert asked.take("b", process="of b")[0] == "1"


def test_in_an_emptied_store_others_wait_as_long_as_a_forgotten_lease_may_last(asked: Asked) -> None:
    asked.redis.ask("FLUSHALL")
    began = time.monotonic()
    assert asked.take("b", process="of b", known="7")[:2] == ["0", ""]
    wait_until("it gets the lease", lambda: asked.take("b", process="of b", known="7")[0] == "1", 10)
    assert time.monotonic() - began >= 0.3
    assert asked.redis.ask("GET", EPOCH).strip() == b"8"


def test_the_holder_of_a_forgotten_lease_takes_it_anew_at_once(asked: Asked) -> None:
    asked.take("a")
    asked.redis.ask("FLUSHALL")
    assert asked.take("b", process="of b", known="5")[0] == "0"
    assert asked.take("a", own="a 5 1000.5 p", role="holder", known="5")[:2] == ["1", "a 6 1000.5 p"]


def test_a_write_counts_under_the_lease_alone(asked: Asked) -> None:
    asked.take("a")
    token = "a 5 1000.5 p"
    assert asked.write(token, "f", "v") == "emptied"
    assert asked.write(token, "f", "v", "g", "w", kind="new") == "written"
    assert asked.write(token, "g", "") == "written"
    assert asked.write("b 4 1000.5 p", "f", "stolen") == "lost"
    assert asked.redis.ask("HGET", RECORDS, "f").strip() == b"v"
    assert asked.redis.ask("HEXISTS", RECORDS, "g").strip() == b"0"
    assert 0 < int(asked.redis.ask("TTL", RECORDS)) <= scripts.HALF_SECONDS


def test_a_whole_copy_takes_the_place_of_the_one_before(asked: Asked) -> None:
    asked.take("a")
    token = "a 5 1000.5 p"
    asked.redis.ask("HSET", OTHERS, "f", "old")
    asked.redis.ask("SET", STATE, "two")
    assert asked.complete(token, OTHERS) == "emptied"
    asked.write(token, "f", "v", kind="new")
    assert asked.complete("b 4 1000.5 p", OTHERS) == "lost"
    assert asked.complete(token, OTHERS) == "written"
    assert asked.redis.ask("GET", STATE).strip() == b"one"
    assert asked.redis.ask("EXISTS", OTHERS).strip() == b"0"
    assert int(asked.redis.ask("TTL", RECORDS)) > scripts.HALF_SECONDS


def test_a_half_that_was_given_up_goes_when_the_next_copy_begins(asked: Asked) -> None:
    asked.take("a")
    asked.redis.ask("HSET", OTHERS, "f", "half")
    assert asked.write("a 5 1000.5 p", kind="new") == "written"
    assert asked.redis.ask("EXISTS", OTHERS).strip() == b"0"


def test_a_generation_that_is_read_stays_when_the_next_copy_begins(asked: Asked) -> None:
    """The answer to COMPLETE was lost: its maker takes it for a half."""
    asked.take("a")
    asked.redis.ask("HSET", OTHERS, "f", "whole")
    asked.redis.ask("SET", STATE, "two")
    assert asked.write("a 5 1000.5 p", kind="new") == "written"
    assert asked.redis.ask("HGET", OTHERS, "f").strip() == b"whole"
