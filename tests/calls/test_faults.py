"""What goes wrong around a call: a worker dies, nonsense arrives, the gateway starts anew."""

from __future__ import annotations

import random
import socket

from tests.support.calls.judge import is_rtcp, is_rtp
from tests.support.calls.pcap import UDP
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.stage import ALICE, BOB, Stage
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


def test_worker_dies_in_a_call(stage: Stage) -> None:
    """It is the only one: the call waits for the next, and both phones are told of the new media."""
    gateway = stage.start_gateway()
    alice, bob = registered(stage)
    assert isinstance(alice, Pjsua)
    call(stage, alice, bob)
    stage.talk(0.5)

    gateway.kill_worker()
    stage.talk(1)
    alice.mark_recording()
    stage.talk(2)

    stage.assert_heard_since_mark(alice, 1.0)
    alice.hangup()
    bob.wait_ended()
    stage.assert_recording(bob, 1.5)
    packets = stage.capture.stop()
    # The SRTCP of bob's pjsua opens with neither of its keys once it was offered another; all else is judged.
    own = [packet for packet in packets if not (packet.source.address == bob.line.address and is_rtcp(packet.payload))]
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


def registered(stage: Stage) -> tuple[Telephone, Telephone]:
    """Alice behind the gateway, Bob at the provider."""
    alice, bob = stage.phone("pjsua2"), stage.far_end()
    assert isinstance(alice, Pjsua)
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
    ends = (stage.hosts.phone, stage.hosts.gateway)
    sent = (packet for packet in stage.capture.packets() if packet.protocol == UDP and is_rtp(packet.payload))
    return next(p.destination.port for p in sent if (p.source.address, p.destination.address) == ends)
