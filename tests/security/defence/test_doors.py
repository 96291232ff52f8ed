"""Bans put in force: at sockets, in the kernel, and for sources with a stake."""

from __future__ import annotations

from gateway.security.defence.bans import Ban, BanAction, Bans, BanState
from gateway.security.defence.doors import Doors
from gateway.transport.banned import Banned

SOURCE = "192.0.2.7"


class Kernel:
    def __init__(self) -> None:
        self.out: dict[str, float] = {}

    def keep_out(self, source: str, seconds: float) -> None:
        self.out[source] = seconds

    def let_in(self, source: str) -> None:
        del self.out[source]


class World:
    def __init__(self, *stakes: str) -> None:
        self.now = 1000.0
        self.stakes = set(stakes)
        self.asked = 0
        self.bans = Bans(lambda: self.now, lambda source: True)
        self.banned = Banned()
        self.doors = Doors(self.bans, self.banned, self._stakes, lambda: self.now)
        self.kernel = Kernel()
        self.doors.add(self.kernel)

    def _stakes(self) -> set[str]:
        self.asked += 1
        return self.stakes

    def ban(
        self, action: BanAction = BanAction.NFTABLES, state: BanState = BanState.ACTIVE, source: str = SOURCE
    ) -> None:
        self.bans.ban(Ban(source, "scan", self.now, self.now + 600, action, state))

    def looks(self) -> None:
        self.now += 2
        self.bans.expire()
        self.doors.look()


def test_a_ban_closes_both_doors_and_its_end_opens_them() -> None:
    world = World()
    world.ban()
    assert world.banned.drops(SOURCE, "udp")
    assert world.kernel.out == {SOURCE: 600}

    world.bans.lift(SOURCE, "alice")
    assert not world.banned.is_banned(SOURCE)
    assert world.kernel.out == {}


def test_a_ban_that_waits_or_would_be_closes_none() -> None:
    for state in (BanState.WAITING, BanState.WOULD_BE):
        world = World()
        world.ban(state=state)
        assert not world.banned.is_on
        assert world.kernel.out == {}


def test_by_process_alone_the_kernel_hears_nothing() -> None:
    world = World()
    world.ban(BanAction.DROP)
    world.looks()
    assert world.kernel.out == {}


def test_a_call_that_is_up_goes_on_and_its_source_is_dropped_when_it_has_ended() -> None:
    world = World(SOURCE)
    world.ban()
    assert not world.banned.drops(SOURCE, "udp")
    assert world.banned.is_banned(SOURCE)
    assert world.kernel.out == {}

    world.stakes.clear()
    world.looks()
    assert world.banned.drops(SOURCE, "udp")
    assert world.kernel.out == {SOURCE: 598}


def test_an_emergency_call_from_a_banned_source_takes_it_out_of_the_kernel() -> None:
    world = World()
    world.ban()
    world.stakes.add(SOURCE)
    world.looks()
    assert world.kernel.out == {}
    assert not world.banned.drops(SOURCE, "udp")


def test_a_ban_in_the_place_of_another_gives_the_kernel_its_time() -> None:
    world = World()
    world.ban()
    world.now += 100
    world.ban()
    assert world.kernel.out == {SOURCE: 600}
    world.ban(BanAction.DROP)
    assert world.kernel.out == {}
    assert world.banned.drops(SOURCE, "udp")


def test_a_source_comes_back_to_the_kernel_as_often_as_its_stakes_end() -> None:
    world = World()
    world.ban()
    for _ in range(2):
        world.stakes.add(SOURCE)
        world.looks()
        assert world.kernel.out == {}
        world.stakes.clear()
        world.looks()
        assert list(world.kernel.out) == [SOURCE]
    world.bans.lift(SOURCE, "alice")
    world.looks()
    assert world.kernel.out == {}


def test_nobody_is_asked_for_stakes_while_nothing_is_banned() -> None:
    world = World()
    world.looks()
    assert world.asked == 0


def test_many_bans_at_once_ask_once() -> None:
    world = World()
    for last in range(100):
        world.ban(source=f"198.51.100.{last}")
    assert world.asked == 1
    world.looks()
    assert len(world.kernel.out) == 100
