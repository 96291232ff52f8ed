"""The instruments themselves: real calls without the gateway, and judges that must catch what is wrong."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from tests.support.calls.audio import assert_hears, decode_g711, encode_ulaw, listen, tone
from tests.support.calls.hosts import FIRST_EPHEMERAL, FIRST_PORT, Hosts
from tests.support.calls.judge import Sides, Verdict, judge_phone_side, judge_provider_side
from tests.support.calls.pcap import UDP, Endpoint, Packet
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.processes import MissingProgram, find_program
from tests.support.calls.rtpengine import Rtpengine
from tests.support.calls.stage import BOB, FAR_HERTZ, PHONE_HERTZ, Scenery, Stage
from tests.support.calls.wire import agreed_keys


@pytest.mark.parametrize(
    ("caller", "callee", "algorithm"),
    [("pjsua2", "pjsua2", "SHA-256"), ("baresip", "pjsua2", "MD5"), ("pjsua2", "baresip", "MD5")],
)
def test_far_ends_call_each_other(make_stage: Callable[..., Stage], caller: str, callee: str, algorithm: str) -> None:
    stage = make_stage(algorithm)
    alice, bob = stage.far_end(caller, "alice"), stage.far_end(callee, "bob")
    alice.reach(bob)
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_recording(alice, 1.2)
    stage.assert_recording(bob, 1.2)
    packets = stage.capture.stop()
    verdict = stage.judge_provider_side(packets)
    verdict.assert_clean()
    _assert_both_tones(verdict)
    _assert_wrong_key_is_caught(stage, packets)
    _assert_clear_rtp_is_caught(stage, packets)


@pytest.mark.parametrize(
    ("caller", "callee"), [("sipp", "baresip"), ("baresip", "pjsua2"), ("pjsua2", "sipp"), ("linphonec", "pjsua2")]
)
def test_plain_phones_call_each_other(make_stage: Callable[..., Stage], caller: str, callee: str) -> None:
    stage = make_stage(clear=True)
    alice, bob = stage.phone(caller, "alice"), stage.phone(callee, "bob")
    alice.reach(bob)
    stage.talk(2)
    alice.hangup()
    bob.wait_ended()

    stage.assert_recording(alice, 1.2)
    stage.assert_recording(bob, 1.2)
    packets = stage.capture.stop()
    each = (
        Sides(gateway=host, provider=(), provider_media=frozenset())
        for host in (stage.hosts.phone, stage.hosts.far_end)
    )
    verdicts = [judge_phone_side(packets, sides, stage.secrets()) for sides in each]
    _assert_both_tones(*verdicts)


def test_far_ends_hold_dial_reject_and_give_up(stage: Stage) -> None:
    alice, bob = stage.far_end("pjsua2", "alice"), stage.far_end("pjsua2", "bob")
    assert isinstance(alice, Pjsua)
    assert isinstance(bob, Pjsua)
    alice.reach(bob)
    alice.hold()
    bob.wait_media("remote_hold")
    alice.resume()
    bob.wait_media("active")
    alice.dtmf("15#")
    bob.wait_dtmf("15#")
    alice.mark_recording()
    stage.talk(1.5)
    alice.hangup()
    bob.wait_ended()
    stage.assert_heard_since_mark(alice, 0.8)

    alice.call(BOB)
    bob.wait_ringing()
    bob.reject(486)
    assert alice.wait_ended().startswith("486")

    alice.call(BOB)
    bob.wait_ringing()
    alice.wait_early()
    alice.hangup()
    bob.wait_ended()
    stage.wait_for_statuses("INVITE", "bob", {200, 486, 487})
    stage.judge_provider_side(stage.capture.stop()).assert_clean()


def test_rtpengine_answers(scenery: Scenery, tmp_path: Path) -> None:
    host, port = scenery.hosts.gateway, scenery.hosts.port
    first = port(scenery.hosts.gateway, 20)
    rtpengine = Rtpengine(host, port(host), (first, first + 19), tmp_path)
    rtpengine.stop()


def _assert_both_tones(*verdicts: Verdict) -> None:
    audio = [heard for verdict in verdicts for heard in verdict.audio.values()]
    tones = {hertz for hertz in (440, 880) for heard in audio if listen(heard, hertz).share > 0.8}
    assert tones == {PHONE_HERTZ, FAR_HERTZ}


def _assert_wrong_key_is_caught(stage: Stage, packets: list[Packet]) -> None:
    agreed = {attrs.evolve(one, key=bytes(len(one.key))) for one in agreed_keys(stage.provider.messages())}
    verdict = judge_provider_side(packets, stage.sides, agreed)
    assert verdict.packets == 0
    assert any("opens with no agreed key" in objection for objection in verdict.objections)


def _assert_clear_rtp_is_caught(stage: Stage, packets: list[Packet]) -> None:
    clear = rtp(stage.hosts.phone, stage.hosts.far_end, encode_ulaw(tone(440, 0.02)))
    verdict = judge_provider_side([*packets, clear], stage.sides, agreed_keys(stage.provider.messages()))
    assert verdict.objections == (f"opens with no agreed key: {clear}",)


def test_capture_sees_what_is_not_tls(stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as plain:
        plain.connect((stage.hosts.provider, stage.provider.terms.port))
        plain.sendall(b"OPTIONS sip:voip.test SIP/2.0\r\n\r\n")
        time.sleep(0.2)
    verdict = judge_provider_side(stage.capture.stop(), stage.sides, set())
    assert [objection[:7] for objection in verdict.objections] == ["not TLS"]


def test_secret_on_the_phone_side_is_caught(stage: Stage) -> None:
    sides = attrs.evolve(stage.sides, gateway="127.0.0.99", provider=())
    for payload in (b"v=0\r\na=crypto:1 X", b"inline:abc", b"xxPASSWORDxx"):
        packet = attrs.evolve(rtp("127.0.0.99", "127.0.0.98", b""), payload=payload)
        assert len(judge_phone_side([packet], sides, {b"PASSWORD"}).objections) == 1
    assert not judge_phone_side([rtp("127.0.0.99", "127.0.0.98", b"abc")], sides, {b"PASSWORD"}).objections


def test_echo_is_no_two_way_audio() -> None:
    mixed = [a + b for a, b in zip(tone(440, 3, 6000), tone(880, 3, 6000), strict=True)]
    for heard in (tone(440, 3), [0] * 24000, [], mixed, tone(880, 0.5) + [0] * 20000, tone(600, 3)):
        with pytest.raises(AssertionError):
            assert_hears(heard, 880, never=440)
    assert_hears(tone(880, 3), 880, never=440)


def test_srtp_taken_for_g711_is_no_tone() -> None:
    noise = random.Random(1).randbytes(24000)
    assert listen(decode_g711(noise, 0), 440).share < 0.05


def test_g711_survives() -> None:
    for hertz in (440, 880):
        assert listen(decode_g711(encode_ulaw(tone(hertz, 2)), 0), hertz).strength > 0.99
    assert decode_g711(bytes([0xD5, 0x55]), 8) == [8, -8]  # A-law's smallest values (G.711 table 1a)


def test_missing_program_names_its_package() -> None:
    with pytest.raises(MissingProgram, match="apt-get install no-such-package"):
        find_program("no-such-program", "no-such-package")


def rtp(source: str, destination: str, payload: bytes) -> Packet:
    """One RTP packet in clear, as a capture holds it."""
    data = b"\x80\x00" + (1).to_bytes(2, "big") + bytes(8) + payload
    return Packet(0.0, UDP, Endpoint(source, 20000), Endpoint(destination, 20002), data)


def test_ports_are_given_again_after_all_others() -> None:
    hosts = Hosts.claim()
    try:
        given = [hosts.port(hosts.gateway, 1000) for _ in range(60)]
    finally:
        hosts.release()
    assert len(set(given[:10])) == 10
    assert all(FIRST_PORT <= first <= FIRST_EPHEMERAL - 1000 for first in given)
