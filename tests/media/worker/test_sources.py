"""Where a party's packets may come from, and where its own go: the host of its signalling, NAT, other ports."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Side
from gateway.media.relay import Encryption, SdpSource
from gateway.media.worker.streams.latch import SILENCE_SECONDS
from tests.support.media_party import SUITES, Party, rtcp, rtp
from tests.support.media_relays import Ng, own_address, worker

SUITE = SUITES[2]


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ng]:
    address = own_address()
    with worker(
        tmp_path_factory.mktemp("l"),
        "--rtp-from-anywhere=phones",
        "--follow-port=phones",
        interfaces=(f"phones/{address}", f"provider/{address}"),
    ) as running:
        yield running


def connect(ng: Ng, call: str, phone: Party, provider: Party, *, source: str, told: str | None = None) -> None:
    """A plain phone whose signalling comes from `source` and whose SDP names its own address, or `told`."""
    offer = ng.offer(call, phone.sdp(address=told), Encryption.SAVP, source=SdpSource(source))
    answer = provider.answer(offer, SUITE)
    phone.hear_answer(ng.answer(call, answer, source=SdpSource(provider.address)))


def hears(provider: Party, phone: Party, number: int) -> None:
    provider.send(rtp(number))
    assert phone.receive() == rtp(number)


def test_a_third_host_is_neither_heard_nor_sent_to(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    """Neither as the first that sends, nor after the phone fell silent, nor by RTCP."""
    connect(ng, call, phone, provider, source=phone.address)
    for silence in (0.0, SILENCE_SECONDS + 0.3):
        time.sleep(silence)
        stranger.rtp.sendto(rtp(1, ssrc=666), phone.target)
        stranger.rtp.sendto(rtcp(ssrc=666), phone.target)
        stranger.rtcp.sendto(rtcp(ssrc=666), phone.control_target)
        assert provider.hears_nothing()
        hears(provider, phone, 10 + int(silence))
        provider.send_control(rtcp())
        phone.receive_control()
        assert stranger.hears_nothing()
        phone.send(rtp(20 + int(silence)))
        assert provider.receive() == rtp(20 + int(silence))
    errors: Any = ng.stream(call, "caller")["errors by cause"]
    assert errors["wrong source"] == 6
    assert ng.stream(call, "caller")["elsewhere"] is False


def test_a_packet_that_came_to_a_port_before_its_call_is_no_part_of_it(
    tmp_path: Path, phone: Party, provider: Party, stranger: Party
) -> None:
    """The worker binds the next ports ahead: of a phone from anywhere, the first that sends is believed."""
    address = own_address()
    with worker(tmp_path, "--rtp-from-anywhere=phones", "--quarantine=10", interfaces=(f"phones/{address}",)) as ng:
        connect(ng, "first", phone, provider, source=phone.address)
        following = max(phone.target[1], provider.target[1]) + 2
        deadline = time.monotonic() + 30
        while not (is_bound(address, following + 1) and is_bound(address, following + 3)):
            assert time.monotonic() < deadline, "no port was bound ahead"
            time.sleep(0.05)
        for port in (following, following + 2):
            stranger.rtp.sendto(rtp(1, ssrc=666), (address, port))
        connect(ng, "second", phone, provider, source=phone.address, told="127.200.200.200")
        assert {phone.target[1], provider.target[1]} == {following, following + 2}
        assert provider.hears_nothing()
        assert not any(ng.stream("second", party).get("errors by cause") for party in ("caller", "callee"))
        phone.send(rtp(2))
        assert provider.receive() == rtp(2)
        hears(provider, phone, 3)
    assert stranger.hears_nothing()


def is_bound(address: str, port: int) -> bool:
    """As the kernel tells: to try it would keep the port from the worker."""
    number = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    return f" {number:08X}:{port:04X} " in Path("/proc/net/udp").read_text("ascii")


def test_rfc4961_a_phone_behind_nat_is_known_by_its_signalling(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider, source=phone.address, told="127.200.200.200")
    stranger.rtp.sendto(rtp(1), phone.target)
    assert provider.hears_nothing()
    phone.rtcp.sendto(rtp(1), phone.target)
    assert provider.receive() == rtp(1)
    provider.send(rtp(1))
    assert phone.receive_wire(phone.rtcp) == rtp(1), "the port that NAT chose"


def test_a_phone_that_sends_from_the_host_in_its_sdp_is_heard(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    """Its signalling came through a proxy."""
    connect(ng, call, phone, provider, source="127.200.200.200")
    phone.send(rtp(1))
    assert provider.receive() == rtp(1)


def test_a_new_place_of_signalling_is_followed(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    """A phone that changed networks: its re-INVITE comes from there."""
    connect(ng, call, phone, provider, source=phone.address, told="127.200.200.200")
    phone.send(rtp(1))
    assert provider.receive() == rtp(1)
    again = phone.sdp(address="127.200.200.200")
    offer = ng.offer(call, again, Encryption.SAVP, to_tag="callee", source=SdpSource(stranger.address))
    ng.answer(call, provider.answer(offer, SUITE), source=SdpSource(provider.address))
    phone.send(rtp(2))
    assert provider.hears_nothing()
    stranger.rtp.sendto(rtp(3), phone.target)
    assert provider.receive() == rtp(3)
    provider.send(rtp(1))
    assert stranger.receive() == rtp(1)


def test_srtp_proves_itself_wherever_it_comes_from(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider, source=phone.address)
    stranger.rtp.sendto(provider.sender.protect(rtp(1)) if provider.sender else b"", provider.target)
    assert phone.receive() == rtp(1)
    phone.send(rtp(1))
    assert provider.opens(stranger.receive_wire()) == rtp(1)


def test_a_plain_provider_is_held_to_its_hosts_like_a_phone(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.NONE, source=SdpSource(phone.address))
    answer = provider.answer(offer)
    phone.hear_answer(ng.answer(call, answer, source=SdpSource(provider.address)))
    stranger.rtp.sendto(rtp(1), provider.target)
    assert phone.hears_nothing()
    hears(provider, phone, 1)


def test_an_address_of_signalling_that_is_none_shuts_out_all_but_the_sdp(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider, source="nowhere")
    stranger.rtp.sendto(rtp(1), phone.target)
    assert provider.hears_nothing()
    phone.send(rtp(1))
    assert provider.receive() == rtp(1)


def test_rfc3264_5_1_audio_goes_to_the_port_in_the_sdp_of_a_host_that_sends_from_another(
    ng: Ng, call: str, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(ng, call, phone, provider, source=phone.address)
    assert provider.sender is not None
    for number in range(3):
        provider.rtcp.sendto(provider.sender.protect(rtp(number)), provider.target)
        assert phone.receive() == rtp(number)
        phone.send(rtp(number))
        assert provider.receive() == rtp(number)
    assert not provider.drain(provider.rtcp)
    assert ng.stream(call, "callee")["latched"] is True


def test_a_configured_side_is_heard_from_anywhere_and_that_is_told(
    loose: Ng, phone: Party, provider: Party, stranger: Party
) -> None:
    connect(loose, "loose", phone, provider, source=phone.address)
    stranger.rtp.sendto(rtp(1), phone.target)
    assert provider.receive() == rtp(1)
    provider.send(rtp(1))
    assert stranger.receive() == rtp(1)
    assert loose.stream("loose", "caller")["elsewhere"] is True
    assert loose.stream("loose", "callee")["elsewhere"] is False


def test_a_configured_side_is_sent_to_the_port_that_it_sends_from(loose: Ng, phone: Party, provider: Party) -> None:
    connect(loose, "port", phone, provider, source=phone.address)
    phone.rtcp.sendto(rtp(1), phone.target)
    assert provider.receive() == rtp(1)
    provider.send(rtp(1))
    assert phone.receive_wire(phone.rtcp) == rtp(1)


def test_the_quirk_is_not_the_other_sides(loose: Ng, phone: Party, provider: Party, stranger: Party) -> None:
    offer = loose.offer("plain", phone.sdp(), Encryption.NONE, side=Side.PROVIDER, source=SdpSource(phone.address))
    phone.hear_answer(loose.answer("plain", provider.answer(offer), source=SdpSource(provider.address)))
    stranger.rtp.sendto(rtp(1), provider.target)
    assert phone.hears_nothing()
