"""Block lists: their forms, bad ones, servers that hang or lie, the provider in a list, all of it in small steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock as Timers

from gateway.base.clock import Clock
from gateway.config.tables.blocklist_table import Blocklist
from gateway.observe.events import Events
from gateway.security.blocklists.blocklists import HOUR, SOON, Blocklists
from gateway.security.blocklists.list_reader import BATCH_SECONDS, MOST, ListReader
from gateway.security.blocklists.list_text import Batch, NoList, texts
from gateway.transport.banned import Banned

PROVIDER = "203.0.113.5"


class CountedTimers(Timers):
    """Counts the turns that are asked for."""

    begun = 0

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> Any:  # noqa: A002
        self.begun += 1
        return super().callLater(delay, callable, *args, **kw)


class House:
    """Lists in force, whose servers are answers by URL."""

    def __init__(self) -> None:
        self.timers = CountedTimers()
        self.answers: dict[str, bytes | Exception | Deferred[bytes]] = {}
        self.asked: list[str] = []
        self.never = [PROVIDER, "198.18.0.0/15"]
        self.banned = Banned()
        self.events = Events(lambda: 0.0)
        clock = Clock(self.timers, lambda: 7.0, lambda: 0.0)
        reader = ListReader(self._fetch, lambda work: succeed(work()), self.timers)
        self.lists = Blocklists(reader, self.banned, lambda: self.never, clock, self.events)

    def _fetch(self, url: str) -> Deferred[bytes]:
        self.asked.append(url)
        answer = self.answers.get(url, NoList("lists.example: the server answered 404"))
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)

    def adopt(self, *tables: Blocklist, in_force: bool = True) -> None:
        self.lists.look(in_force=in_force)
        self.lists.adopt(tables)
        self.settle()

    def settle(self, turns: int = 500) -> None:
        """Let the reactor turn."""
        for _ in range(turns):
            self.timers.advance(0)

    def pass_by(self, seconds: float) -> None:
        self.timers.advance(seconds)
        self.settle()

    def drops(self, *hosts: str) -> list[bool]:
        return [self.banned.is_on and self.banned.drops(host, "udp") for host in hosts]

    @property
    def told(self) -> list[str]:
        return [str(event.name) for _, event in self.events.after(0)]

    def entries(self) -> list[int]:
        standings = self.lists.standings()
        assert [(one.name, one.entries) for one in standings] == [(row[0], n) for _, row, n in self.lists.figures()]
        return [one.entries for one in standings]


@pytest.fixture
def house() -> House:
    return House()


URL = "https://lists.example/list"
WEB = Blocklist("web", url=URL)


def test_a_file_of_addresses_and_networks_is_dropped_by(house: House, tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("# ours\n192.0.2.1\n\n198.51.100.0/24 ; a network\n2001:db8::/32 # v6\r\n")
    house.adopt(Blocklist("office", file=file))
    assert house.drops("192.0.2.1", "198.51.100.200", "2001:db8:7::1", "192.0.2.2") == [True, True, True, False]
    assert house.lists.holding("198.51.100.200") == ("office",)
    standing = house.lists.standings()[0]
    assert (standing.name, standing.entries, standing.read_at, standing.why) == ("office", 3, 7.0, "")
    assert house.told == ["security.blocklist_read"]


def test_the_provider_and_those_never_banned_are_let_in_whatever_a_list_says(house: House) -> None:
    house.answers[URL] = b"203.0.113.0/24\n198.18.0.0/15\n192.0.2.1\n"
    house.adopt(WEB)
    assert house.drops(PROVIDER, "198.18.8.7", "203.0.113.6", "192.0.2.1") == [False, False, True, True]
    event = house.events.after(0)[-1][1]
    assert event.fields["spared"] == f"198.18.0.0/15, {PROVIDER}"
    house.never = ["203.0.113.6"]  # the provider moved
    house.lists.look(in_force=True)
    assert house.drops(PROVIDER, "203.0.113.6") == [True, False]


def test_private_addresses_are_the_phones_here_and_no_list_from_elsewhere_drops_them(
    house: House, tmp_path: Path
) -> None:
    """A list of all that is strange on the internet (RFC 1918, 6598, 3927, 4193); an operator's own file means it."""
    private = ("10.9.8.7", "172.16.0.1", "192.168.1.20", "100.64.0.1", "169.254.7.7", "fd00:1::7", "fe80::1")
    networks = (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.1.20",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fd00:1::/32",
        "fe80::/64",
    )
    house.answers[URL] = "\n".join((*networks, "192.0.2.1")).encode()
    house.adopt(WEB)
    assert house.drops(*private, "192.0.2.1") == [False] * 7 + [True]
    assert house.entries() == [1]
    (tmp_path / "list").write_text("10.9.8.7\n")
    house.adopt(Blocklist("office", file=tmp_path / "list"))
    assert house.drops("10.9.8.7") == [True]


def test_a_gateway_that_only_reports_drops_nothing(house: House) -> None:
    house.answers[URL] = b"192.0.2.1\n"
    house.adopt(WEB, in_force=False)
    assert house.entries() == [1]
    assert house.drops("192.0.2.1") == [False]
    house.adopt(WEB)
    assert house.drops("192.0.2.1") == [True]


BAD: dict[str, bytes | Exception] = {
    "an error page": b"<html><body><h1>Our domain has moved</h1>" + b"<p>more\n" * 20,
    "nothing": b"",
    "remarks alone": b"# nothing\n",
    "bytes": bytes(range(256)) * 4000,
    "too many": b"".join(b"11.%d.%d.%d\n" % (n >> 16 & 255, n >> 8 & 255, n & 255) for n in range(MOST + 1)),
    "half of the world": b"0.0.0.0/0\n::/0\n128.0.0.0/1\n",
    "a refusal": NoList("lists.example: no whole answer within 30 s"),
    "a bug": RuntimeError("ours"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
def test_a_list_that_hangs_or_lies_changes_nothing_and_is_told_once(house: House, bad: bytes | Exception) -> None:
    house.answers[URL] = b"192.0.2.1\n"
    house.adopt(WEB)
    house.answers[URL] = bad
    house.pass_by(HOUR)
    house.pass_by(SOON)
    assert house.drops("192.0.2.1", "11.0.0.1", "128.9.9.9") == [True, False, False]
    assert house.told.count("security.blocklist_failed") == 1
    assert house.lists.standings()[0].why
    house.answers[URL] = b"192.0.2.9\n"
    house.pass_by(2 * SOON)
    assert house.drops("192.0.2.1", "192.0.2.9") == [False, True]
    assert house.told[-1] == "security.blocklist_read"
    assert house.lists.standings()[0].why == ""


def test_a_list_with_some_odd_lines_counts_the_others(house: House) -> None:
    house.answers[URL] = b"192.0.2.1\nnobody\n192.0.2.3\n"
    house.adopt(WEB)
    standing = house.lists.standings()[0]
    assert (standing.entries, standing.unreadable) == (2, 1)


def test_failures_are_tried_again_later_and_later_and_at_most_every_hour(house: House) -> None:
    house.adopt(WEB)
    for seconds in (SOON, 2 * SOON, 4 * SOON, 8 * SOON, 16 * SOON, 32 * SOON, HOUR, HOUR):
        before = len(house.asked)
        house.pass_by(seconds - 1)
        assert len(house.asked) == before, seconds
        house.pass_by(1)
        assert len(house.asked) == before + 1, seconds


def test_a_key_goes_into_the_url_and_nowhere_else(house: House, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    table = Blocklist("web", url="https://lists.example/{key}/list", key_file=tmp_path / "key")
    house.adopt(table)
    assert house.asked == ["https://lists.example/s3cret/list"]
    assert "s3cret" not in repr([house.lists.standings(), house.events.after(0)])
    (tmp_path / "key").write_text("a/../b\n")
    house.pass_by(SOON)
    assert len(house.asked) == 1
    assert "holds no key" in house.lists.standings()[0].why


def batch(following: str, *addresses: str) -> bytes:
    return json.dumps({"ipaddress": addresses, "ID": following}).encode()


APIBAN = Blocklist("apiban", url="https://apiban.example/banned", format="apiban")


def test_batches_are_asked_for_one_by_one_no_faster_than_the_server_allows(house: House) -> None:
    house.answers = {
        APIBAN.url or "": batch("100", "192.0.2.1"),
        f"{APIBAN.url}/100": batch("200", "192.0.2.2"),
        f"{APIBAN.url}/200": batch("none", "no new bans"),
    }
    house.adopt(APIBAN)
    assert house.drops("192.0.2.1") == [False], "a part of a list is none"
    house.pass_by(BATCH_SECONDS)
    assert len(house.asked) == 2
    house.pass_by(BATCH_SECONDS)
    assert house.drops("192.0.2.1", "192.0.2.2") == [True, True]
    assert house.entries() == [2]


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"[]", b"{}", b"null", b"<html>", b'{"ipaddress": "192.0.2.1"}', b'{"ipaddress": [1, 2]}'),
        *(batch("5", "rate limit exceeded"), b"[" * 50_000, json.dumps({"ipaddress": ["192.0.2.1"] * 6000}).encode()),
    ],
)
def test_a_batch_that_is_none_fails_the_list(answer: bytes) -> None:
    with pytest.raises(NoList):
        Batch.of(answer)


def test_a_server_that_goes_on_for_ever_or_in_a_circle_ends(house: House) -> None:
    house.answers = {APIBAN.url or "": batch("100", "192.0.2.1"), f"{APIBAN.url}/100": batch("100", "192.0.2.2")}
    house.adopt(APIBAN)
    house.pass_by(BATCH_SECONDS)
    assert house.entries() == [2]
    assert Batch.of(batch("../../admin", "192.0.2.1")).following == ""


def test_a_reload_keeps_the_entries_and_forgets_lists_that_are_gone(house: House, tmp_path: Path) -> None:
    house.answers[URL] = b"192.0.2.1\n"
    other = tmp_path / "list"
    other.write_text("192.0.2.2\n")
    house.adopt(WEB, Blocklist("office", file=other))
    house.answers[URL] = Deferred()
    house.adopt(WEB)
    assert house.drops("192.0.2.1", "192.0.2.2") == [True, False]
    house.lists.stop()
    assert house.timers.getDelayedCalls() == []


def test_a_list_can_be_read_at_once(house: House) -> None:
    house.answers[URL] = b"192.0.2.1\n"
    house.adopt(WEB)
    assert house.lists.read_now("web")
    assert not house.lists.read_now("nobody")
    house.settle()
    assert len(house.asked) == 2


def test_100_000_entries_are_taken_a_piece_in_each_turn(house: House) -> None:
    lines = [b"11.%d.%d.%d\n" % (n >> 16 & 255, n >> 8 & 255, n & 255) for n in range(MOST)]
    house.answers[URL] = b"".join(lines)
    before = house.timers.begun
    house.adopt(WEB)
    assert house.entries() == [MOST]
    assert house.timers.begun - before > 390, "200 steps to read them, as many to join them"
    assert house.drops("11.1.134.159", "11.1.134.160") == [True, False]


def test_lines() -> None:
    assert [*texts(b" 192.0.2.1\t# a\n;b\n\n192.0.2.2;c\nlast")] == ["192.0.2.1", "192.0.2.2", "last"]
    assert [*texts(b"x" * 10_000)] == ["x" * 200]
