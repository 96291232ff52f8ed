"""RTP endpoints talk to each other over loopback's place in memory: plain, and protected with SDES keys."""

from os import urandom

import pytest
from twisted.internet.task import Clock

from gateway.demo.audio.listen import Ear
from gateway.demo.audio.rtp_port import PACE, RtpEndpoint, tone_alone, tone_with_echo
from gateway.demo.audio.samples import Tone
from gateway.sdp.crypto import generate
from tests.support.demo_network import Network

SUITES = ("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")


def pair(clock: Clock, network: Network) -> tuple[RtpEndpoint, RtpEndpoint]:
    phone = RtpEndpoint(network, clock, tone_alone(Tone(440)), Ear())
    provider = RtpEndpoint(network, clock, tone_with_echo(Tone(880)), Ear())
    return phone, provider


def connect(phone: RtpEndpoint, provider: RtpEndpoint) -> None:
    addresses = [("127.0.0.11", phone.open("127.0.0.11")), ("127.0.0.21", provider.open("127.0.0.21"))]
    provider.send_to(addresses[0])
    phone.send_to(addresses[1])


def talk(clock: Clock, ends: tuple[RtpEndpoint, RtpEndpoint], seconds: float) -> None:
    connect(*ends)
    clock.pump([PACE] * round(seconds / PACE))


def test_each_side_hears_the_other_and_one_its_echo() -> None:
    clock, network = Clock(), Network()
    phone, provider = pair(clock, network)
    talk(clock, (phone, provider), 1.0)
    assert phone.ear.heard().tones == (440, 880)
    assert provider.ear.heard().tones == (440,)
    assert provider.ear.heard().lost == 0


@pytest.mark.parametrize("suite", SUITES)
def test_the_same_with_keys(suite: str) -> None:
    clock, network = Clock(), Network()
    phone, provider = pair(clock, network)
    ours, theirs = generate(suite, 1, urandom), generate(suite, 1, urandom)
    phone.protect(ours, theirs)
    provider.protect(theirs, ours)
    talk(clock, (phone, provider), 1.0)
    assert phone.ear.heard().tones == (440, 880)
    assert provider.ear.heard().tones == (440,)


def test_a_wrong_key_is_not_heard() -> None:
    clock, network = Clock(), Network()
    phone, provider = pair(clock, network)
    phone.protect(generate(SUITES[0], 1, urandom), None)
    provider.protect(None, generate(SUITES[0], 1, urandom))
    talk(clock, (phone, provider), 1.0)
    heard = provider.ear.heard()
    assert (heard.packets, heard.tones) == (0, ())
    assert heard.unreadable > 40


def test_frames_missed_while_busy_are_sent_later() -> None:
    clock, network = Clock(), Network()
    phone, provider = pair(clock, network)
    connect(phone, provider)
    clock.advance(10 * PACE)
    assert provider.ear.heard().packets == 11


def test_nothing_is_sent_or_scheduled_after_the_end() -> None:
    clock, network = Clock(), Network()
    phone, provider = pair(clock, network)
    talk(clock, (phone, provider), 0.1)
    phone.close()
    provider.close()
    assert clock.getDelayedCalls() == []
    assert network.bound == {}


def test_the_next_pair_of_ports_is_taken_when_one_is_not_free() -> None:
    clock, network = Clock(), Network()
    first, second = (RtpEndpoint(network, clock, tone_alone(Tone(440)), Ear()) for _ in range(2))
    assert second.open("127.0.0.11") - first.open("127.0.0.11") == -2
