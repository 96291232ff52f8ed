"""Addresses in use against a kernel whose addresses the test sets: lost, back, moved, and damped."""

from __future__ import annotations

import pytest

from gateway.app.network.presence import Back, Lost, Move, Presence, UsedAddress
from gateway.config.places import NamedInterface

ETH0 = NamedInterface("eth0")
FIRST, SECOND, THIRD = "192.0.2.10", "192.0.2.11", "192.0.2.12"
FIXED = UsedAddress(FIRST, ("listener phones",))
FOLLOWED = UsedAddress(FIRST, ("listener phones",), ETH0)


class GivenKernel:
    """Interfaces and their addresses, the first ones first."""

    def __init__(self, *eth0: str) -> None:
        self.eth0 = eth0

    def first_address(self, interface: str, version: int) -> str | None:
        found = (one for one in self.eth0 if (":" in one) is (version == 6))
        return next(found, None) if interface == "eth0" else None

    def is_own(self, address: str) -> bool:
        return address in self.eth0


def test_nothing_changes() -> None:
    presence = Presence([FIXED, FOLLOWED], GivenKernel(FIRST), 10)
    assert presence.look(0) == ()
    assert not presence.lost
    assert presence.look_again is None


def test_an_address_is_away_and_comes_back() -> None:
    kernel = GivenKernel(FIRST)
    presence = Presence([FIXED], kernel, 10)
    kernel.eth0 = ()
    assert presence.look(100) == (Lost(FIXED, is_news=True),)
    assert presence.look(101) == ()
    assert presence.lost == (FIXED,)
    kernel.eth0 = (FIRST,)
    assert presence.look(105) == (Back(FIXED, 5, is_news=True),)
    assert not presence.lost


def test_a_fixed_address_waits_though_its_interface_has_another() -> None:
    kernel = GivenKernel(SECOND)
    assert Presence([FIXED], kernel, 10).look(0) == (Lost(FIXED, is_news=True),)


def test_the_interface_has_another_address() -> None:
    presence = Presence([FOLLOWED], GivenKernel(SECOND), 10)
    assert presence.look(0) == (Lost(FOLLOWED, is_news=True), Move(FOLLOWED, SECOND))
    presence.moved({ETH0: SECOND}, 0)
    assert [used.address for used in presence.used] == [SECOND]
    assert not presence.lost
    assert presence.look(1) == ()


def test_an_address_that_is_there_stays_in_use() -> None:
    """A virtual address of a cluster may come and go on the same interface."""
    presence = Presence([FOLLOWED], GivenKernel(SECOND, FIRST), 10)
    assert presence.look(0) == ()


def test_of_two_versions_of_ip_the_one_in_use_counts() -> None:
    presence = Presence([FOLLOWED], GivenKernel("2001:db8::1"), 10)
    assert presence.look(0) == (Lost(FOLLOWED, is_news=True),)
    v6 = UsedAddress("2001:db8::9", ("media",), NamedInterface("eth0", 6))
    assert Presence([v6], GivenKernel("2001:db8::1"), 10).look(0)[-1] == Move(v6, "2001:db8::1")


def test_one_move_in_the_hold_time() -> None:
    kernel = GivenKernel(SECOND)
    presence = Presence([FOLLOWED], kernel, 10)
    presence.look(0)
    presence.moved({ETH0: SECOND}, 0)
    kernel.eth0 = (THIRD,)
    assert not any(isinstance(change, Move) for change in presence.look(3))
    assert presence.look_again == 10
    [move] = presence.look(10)
    assert isinstance(move, Move)
    assert move.address == THIRD


def test_an_address_that_flaps_moves_once_in_the_hold_time_and_is_told_as_often() -> None:
    kernel = GivenKernel(FIRST)
    presence = Presence([FOLLOWED], kernel, 10)
    moves = told = 0
    for second in range(60):
        kernel.eth0 = ((FIRST,), (SECOND,))[second % 2]
        changes = presence.look(second)
        told += sum(isinstance(change, Lost) and change.is_news for change in changes)
        for change in changes:
            if isinstance(change, Move):
                presence.moved({ETH0: change.address}, second)
                moves += 1
    assert 3 <= moves <= 6
    assert told <= 12


def test_a_fixed_address_that_flaps_is_told_once_in_the_hold_time() -> None:
    kernel = GivenKernel(FIRST)
    presence = Presence([FIXED], kernel, 10)
    told = 0
    for second in range(60):
        kernel.eth0 = ((FIRST,), ())[second % 2]
        told += sum(not isinstance(change, Move) and change.is_news for change in presence.look(second))
    assert told == 2 * 6  # lost and back


def test_a_move_that_failed_is_tried_again_after_the_hold_time() -> None:
    presence = Presence([FOLLOWED], GivenKernel(SECOND), 10)
    presence.look(0)
    presence.not_moved(0)
    assert presence.look_again == 10
    assert presence.look(5) == ()
    assert presence.look(10) == (Move(FOLLOWED, SECOND),)


@pytest.mark.parametrize("seconds", [0.0, 9.9])
def test_a_first_move_waits_for_nothing(seconds: float) -> None:
    assert Move(FOLLOWED, SECOND) in Presence([FOLLOWED], GivenKernel(SECOND), 10).look(seconds)
