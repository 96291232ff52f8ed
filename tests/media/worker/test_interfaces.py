"""What an interface may be, the mark on packets, and hold between two versions of IP."""

from __future__ import annotations

import socket
from pathlib import Path

import attrs
import pytest

from gateway.media.relay import JSON, Encryption
from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.loop import Loop, LoopClock
from gateway.media.worker.port_pool import PoolOptions
from tests.support.media_party import Party, rtp
from tests.support.media_relays import NgError, others, own_address, worker

LOOP = Loop(LoopClock(), lambda _: None)
PORTS = PoolOptions("", 31_000, 31_099)


def test_interfaces_are_known_by_name_and_share_ports_at_one_address() -> None:
    found = Interfaces(["phones/10.0.0.1", "provider/10.0.0.1!192.0.2.1", "six/::1"], PORTS, LOOP)
    phones, provider, six = (found.named(name) for name in ("phones", "provider", "six"))
    assert (phones.advertised, provider.advertised, six.advertised) == ("10.0.0.1", "192.0.2.1", "::1")
    assert phones.ports is provider.ports is not six.ports
    assert (phones.family, six.family) == (4, 6)
    assert found.named("another") is found.named("") is phones


@pytest.mark.parametrize("written", [[], ["host"], ["phones/10.0.0.1!::1"], ["phones/"]])
def test_what_is_no_interface_is_refused(written: list[str]) -> None:
    with pytest.raises(ValueError, match=r"address|IPv4"):
        Interfaces(written, PORTS, LOOP)


@pytest.mark.parametrize(("host", "level", "option"), [("", 0, socket.IP_RECVTOS), ("::1", 41, socket.IPV6_RECVTCLASS)])
def test_packets_leave_with_the_mark_that_was_asked_for(tmp_path: Path, host: str, level: int, option: int) -> None:
    phone, provider = Party(host or own_address()), Party(host or own_address())
    with worker(tmp_path, "--dscp=34", interfaces=(host or own_address(),)) as ng:
        phone.hear_answer(ng.answer("call", provider.answer(ng.offer("call", phone.sdp(), Encryption.NONE))))
        for _ in range(2):  # from the open socket, then from the linked one
            provider.send(rtp(1))
            phone.receive()
            provider.rtp.setsockopt(level, option, 1)
            phone.send(rtp(1))
            provider.rtp.settimeout(2)
            _, ancillary, _, _ = provider.rtp.recvmsg(2_048, 64)
            assert [value[0] for _, _, value in ancillary] == [34 << 2]
    phone.close()
    provider.close()


@pytest.mark.parametrize("place", ["session", "media"])
def test_a_hold_of_the_old_kind_is_told_in_the_readers_version_of_ip(tmp_path: Path, place: str) -> None:
    phone, provider = Party(own_address()), Party("::1")
    with worker(tmp_path, interfaces=(f"phones/{own_address()}", "provider/::1")) as ng:
        held = phone.sdp(address="0.0.0.0") if place == "session" else phone.sdp(more=("c=IN IP4 0.0.0.0",))
        offer = ng.offer("call", held.replace(b"a=rtpmap:0 PCMU/8000\r\n", b""), Encryption.NONE)
        assert b"c=IN IP6 ::\r\n" in offer
        assert b"0.0.0.0" not in offer
        assert ng.answer("call", provider.sdp(address="::")).count(b"c=IN IP4 0.0.0.0\r\n") == 1
    phone.close()
    provider.close()


def test_ipv6_addresses_are_the_same_however_written(tmp_path: Path) -> None:
    """The SDP's address is the source's: the stranger who was faster loses its place."""
    phone, provider = Party("::1"), Party("::1")
    with worker(tmp_path, interfaces=("::1",)) as ng:
        answer = ng.answer("call", provider.answer(ng.offer("call", phone.sdp(address="0:0::0001"), Encryption.NONE)))
        phone.hear_answer(answer)
        phone.send(rtp(1))
        assert provider.receive() == rtp(1)
        assert ng.stream("call", "caller")["advertised endpoint"] == ng.stream("call", "caller")["endpoint"]
    phone.close()
    provider.close()


def test_a_worker_moves_and_calls_that_are_up_stay(tmp_path: Path) -> None:
    """Only new calls have ports at the other address; those of before keep theirs until they end."""
    before, after = own_address(), own_address()
    with worker(tmp_path, interfaces=(f"phones/{before}", f"provider/{before}")) as ng:
        phone, provider = Party(before), Party(before)
        phone.hear_answer(ng.answer("old", provider.answer(ng.offer("old", phone.sdp(), Encryption.NONE))))
        ng.request({"command": "interfaces", "interfaces": [f"phones/{after}", f"provider/{after}"]})
        assert f"c=IN IP4 {after}" in str(ng.offer("new", phone.sdp(), Encryption.NONE))
        phone.send(rtp(1))
        assert provider.receive() == rtp(1)


@pytest.mark.parametrize("written", [[], ["phones/192.0.2.77"], ["phones/nowhere"], "x" * 100])
def test_a_worker_that_cannot_move_stays(tmp_path: Path, written: JSON) -> None:
    with worker(tmp_path) as ng:
        with pytest.raises(NgError, match="The interfaces cannot be used"):
            ng.request({"command": "interfaces", "interfaces": written})
        assert f"c=IN IP4 {ng.address}" in str(ng.offer("call", Party(ng.address).sdp(), Encryption.NONE))


def test_nobody_but_its_own_gateway_moves_a_worker(tmp_path: Path) -> None:
    place = (own_address(), 22_900)
    asked: dict[str, JSON] = {"command": "interfaces", "interfaces": [f"phones/{own_address()}"]}
    with (
        worker(tmp_path, f"--ng={place[0]}:{place[1]}") as ng,
        others(ng, place) as stranger,
        pytest.raises(NgError, match="Unrecognized command"),
    ):
        stranger.request(asked)


def test_ports_of_an_address_of_before_are_forgotten_once_they_are_free() -> None:
    here, there = own_address(), own_address()
    found = Interfaces([f"phones/{here}"], attrs.evolve(PORTS, quarantine=0), LOOP)
    before = found.named("phones").ports
    pair = before.take()
    found.replace([f"phones/{there}"])
    found.expire(0.0)
    assert found.named("phones").ports.range.address == there
    before.give_back(pair, 0.0)
    found.expire(0.0)
    found.replace([f"phones/{here}"])
    assert found.named("phones").ports is not before
