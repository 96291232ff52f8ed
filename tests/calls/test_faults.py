"""What goes wrong around a call: a worker dies, nonsense arrives, the gateway starts anew."""

from __future__ import annotations

import random
import socket

import pytest

from tests.support.calls.judge import is_rtcp, is_rtp
from tests.support.calls.pcap import UDP
from tests.support.calls.stage import ALICE, BOB, LOOSE_HOST, Stage
from tests.support.calls.telephone import Telephone

NONSENSE = (
    b"",
    b"\x00" * 4,
    b"\r\n\r\n",
    random.Random(7).randbytes(1200),
    b"INVITE",
    b"INVITE sip:bob@voip.test SIP/2.0\r\n\r\n",
    b"INVITE sip:bob@voip.test SIP/3.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n",
    b"REGISTER \xff\xfe SIP/2.0\r\nVia: \x00\r\nContent-Length: -5\r\n\r\n",
    b"INVITE sip:bob@voip.test SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nCSeq: 99999999999 INVITE\r\n\r\n",
    b"BYE sip:x SIP/2.0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP nowhere;branch=z9hG4bKno\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\n\r\n",
)


@pytest.mark.parametrize(("phone", "far_end"), [("pjsua2", "pjsua2"), ("linphonec", "linphonec")])
def test_worker_dies_in_a_call(stage: Stage, phone: str, far_end: str) -> None:
    """It is the only one: the call waits for the next, and both phones are told of the new media."""
    gateway = stage.start_gateway()
    alice, bob = registered(stage, phone, far_end)
    call(stage, alice, bob)
    stage.talk(0.5)

    gateway.kill_worker()
    stage.talk(1)
    alice.mark_recording()
    stage.talk(2)

    alice.hangup()
    bob.wait_ended()
    stage.assert_heard_since_mark(alice, 1.0)
    stage.assert_recording(bob, 1.5)
    packets = stage.capture.stop()
    # The SRTCP of bob's program opens with neither of its keys once it was offered another; all else is judged.
    bobs = (bob.line.address, LOOSE_HOST)
    own = [packet for packet in packets if not (packet.source.address in bobs and is_rtcp(packet.payload))]
    stage.judge_provider_side(own).assert_clean()
    stage.judge_phone_side(packets).assert_clean()
    stage.assert_gateway_is_well()


def test_nonsense_does_nothing_to_a_call(stage: Stage) -> None:
    gateway = stage.start_gateway()
    alice, bob = registered(stage)
    call(stage, alice, bob)
    stage.talk(0.5)

    with stage.stranger() as stranger:
        for nonsense in NONSENSE:
            stranger.sendto(nonsense, (gateway.terms.address, gateway.terms.phone_port))
            stranger.sendto(nonsense, (gateway.terms.address, phone_media_port(stage)))
    with socket.create_connection((gateway.terms.address, gateway.terms.provider_port)) as intruder:
        intruder.sendall(b"OPTIONS sip:gw1 SIP/2.0\r\n\r\n")
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_call_was_right()


def test_restarted_gateway_still_finds_the_phone(stage: Stage) -> None:
    gateway = stage.start_gateway()
    alice, bob = registered(stage)

    gateway.restart()

    call(stage, bob, alice)
    stage.talk(2)
    bob.hangup()
    alice.wait_ended()
    stage.assert_call_was_right(seconds=1.2)


def test_crashed_gateway_still_finds_the_phone(stage: Stage) -> None:
    gateway = stage.start_gateway()
    alice, bob = registered(stage)

    stage.talk(1)  # bindings are written to the disk behind the answer, but not long behind
    gateway.kill()
    gateway.start()

    call(stage, bob, alice)
    stage.talk(2)
    bob.hangup()
    alice.wait_ended()
    stage.assert_call_was_right(seconds=1.2)


def registered(stage: Stage, phone: str = "linphonec", far_end: str = "baresip") -> tuple[Telephone, Telephone]:
    """Alice behind the gateway, Bob at the provider."""
    alice, bob = stage.phone(phone), stage.far_end(far_end)
    alice.register()
    bob.register()
    return alice, bob


def call(stage: Stage, caller: Telephone, callee: Telephone) -> None:
    """One calls the other, who answers."""
    caller.call(ALICE if callee.line.user == "alice" else BOB)
    callee.wait_ringing()
    callee.answer()
    caller.wait_answered()


def phone_media_port(stage: Stage) -> int:
    """Where the gateway takes the phone's RTP."""
    sides = stage.sides
    sent = (packet for packet in stage.capture.packets() if packet.protocol == UDP and is_rtp(packet.payload))
    came = (packet.destination for packet in sent if sides.is_phone_side(packet))
    return next(end.port for end in came if end.address == stage.hosts.gateway)
