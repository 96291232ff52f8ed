"""What our worker does beyond rtpengine's ground: dual lines, fax, forks, refusals, time-outs, counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import JSON, Encryption, SdpSource
from gateway.media.statistics import RelayFigures
from gateway.media.worker.ng.commands import CALLS_A_JOB
from tests.support.calls.processes import wait_until
from tests.support.media_party import SUITES, Party, cryptos, media_lines, rtp
from tests.support.media_relays import ROOT, Ng, NgError, worker


def dual(party: Party, suite: str) -> bytes:
    """RTP/SAVP and RTP/AVP for the same audio, the secure one second, as some phones write it."""
    plain = party.sdp("RTP/AVP")
    secure = party.sdp("RTP/SAVP", [(1, suite, party.key(suite))])
    return plain + secure[secure.index(b"m=audio") :]


def crosses(sender: Party, receiver: Party, number: int) -> None:
    sender.send(rtp(number))
    assert receiver.receive() == rtp(number)


def test_dual_offer_has_both_lines_and_the_peer_takes_the_secure_one(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.DUAL)
    assert [profile for _, _, profile in media_lines(offer)] == ["RTP/SAVP", "RTP/AVP"]
    answer = provider.answer(offer, SUITES[2]) + b"m=audio 0 RTP/AVP 0\r\n"
    phone.hear_answer(ng.answer(call, answer))
    crosses(phone, provider, 1)
    crosses(provider, phone, 1)
    again = ng.offer(call, phone.sdp(), Encryption.DUAL, to_tag="callee")
    assert [(port == 0, profile) for _, port, profile in media_lines(again)] == [(False, "RTP/SAVP"), (True, "RTP/AVP")]


def test_dual_offer_and_the_peer_takes_the_plain_one(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.DUAL)
    provider.aim(offer)
    plain = provider.sdp("RTP/AVP")
    start = plain.index(b"m=audio")
    answer = ng.answer(call, plain[:start] + b"m=audio 0 RTP/SAVP 0\r\n" + plain[start:])
    assert len(media_lines(answer)) == 1
    phone.hear_answer(answer)
    crosses(phone, provider, 1)
    crosses(provider, phone, 1)
    again = ng.offer(call, phone.sdp(), Encryption.DUAL, to_tag="callee")
    assert [(port == 0, profile) for _, port, profile in media_lines(again)] == [(True, "RTP/SAVP"), (False, "RTP/AVP")]


def test_dual_input_is_one_stream_and_its_answer_has_both_lines(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    for _ in range(2):
        offer = ng.offer(call, dual(phone, SUITES[3]), Encryption.NONE)
        assert [profile for _, _, profile in media_lines(offer)] == ["RTP/AVP"]
        answer = ng.answer(call, provider.answer(offer))
        lines = media_lines(answer)
        assert [(port == 0, profile) for _, port, profile in lines] == [(True, "RTP/AVP"), (False, "RTP/SAVP")]
        assert [suite for _, suite, _ in cryptos(answer)] == [SUITES[3]]


def test_fax_is_relayed_as_it_is(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    def fax(party: Party) -> bytes:
        return party.sdp().replace(b"m=audio", b"m=image").replace(b"RTP/AVP 0 101", b"udptl t38")

    offer = ng.offer(call, fax(phone), Encryption.SAVP)
    assert [(kind, profile) for kind, _, profile in media_lines(offer)] == [("image", "udptl")]
    assert b"a=rtcp" not in offer
    assert not cryptos(offer)
    provider.aim(offer)
    phone.aim(ng.answer(call, fax(provider)))
    for sender, receiver in ((phone, provider), (provider, phone)):
        sender.send(b"\x00\x01\x02short")
        assert receiver.receive() == b"\x00\x01\x02short"


def test_the_latest_fork_is_heard(ng: Ng, call: str, phone: Party, provider: Party, stranger: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    phone.hear_answer(ng.answer(call, provider.answer(offer, SUITES[2]), to_tag="callee:1"))
    crosses(phone, provider, 1)
    phone.hear_answer(ng.answer(call, stranger.answer(offer, SUITES[1]), to_tag="callee:2"))
    crosses(phone, stranger, 2)
    crosses(stranger, phone, 2)
    assert provider.hears_nothing()
    provider.send(rtp(3))
    assert phone.hears_nothing()


def test_key_stays_while_only_the_tag_changes(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    ng.answer(call, provider.answer(offer, SUITES[1]))
    key = next(line for line in cryptos(offer) if line[1] == SUITES[1])[2]
    own = [(77, SUITES[1], provider.key(SUITES[1]))]
    ng.offer(call, provider.sdp("RTP/SAVP", own), Encryption.NONE, from_tag="callee", to_tag="caller")
    assert cryptos(ng.answer(call, phone.sdp(), from_tag="callee", to_tag="caller")) == [(77, SUITES[1], key)]


def test_rfc4568_section_5_1_an_offer_made_again_has_the_line_in_force_first_with_its_tag(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """Some peers answer a re-INVITE with the first line's tag whatever its suite, or look at no other line."""
    first = ng.offer(call, phone.sdp(), Encryption.SAVP)
    ng.answer(call, provider.answer(first, SUITES[2]))
    again = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee")
    in_force = next(line for line in cryptos(first) if line[1] == SUITES[2])
    assert cryptos(again)[0] == in_force
    assert sorted(cryptos(again)) == cryptos(first)
    phone.hear_answer(ng.answer(call, provider.answer(again, SUITES[2])))
    crosses(phone, provider, 1)
    crosses(provider, phone, 2)


def test_a_suite_that_was_left_comes_back_with_another_key(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    seen = []
    for suite in (SUITES[1], SUITES[2], SUITES[1]):
        offer = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee")
        ng.answer(call, provider.answer(offer, suite))
        seen.append(next(line for line in cryptos(offer) if line[1] == suite)[2])
    again = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee")
    ng.answer(call, provider.answer(again, SUITES[1]))
    assert next(line for line in cryptos(again) if line[1] == SUITES[1])[2] == seen[2] != seen[0]


def test_origin_s_version_goes_up_only_with_a_change(ng: Ng, call: str, phone: Party) -> None:
    first = ng.offer(call, phone.sdp(), Encryption.NONE)
    assert ng.offer(call, phone.sdp(), Encryption.NONE) == first
    changed = ng.offer(call, phone.sdp(more=("a=sendonly",)), Encryption.NONE)
    before, after = (sdp.split(b"o=- ")[1].split(b" IN")[0].split() for sdp in (first, changed))
    assert before[0] == after[0]
    assert int(after[1]) == int(before[1]) + 1


@pytest.mark.parametrize(
    ("offered", "answered", "reason"),
    [
        (Encryption.SAVP, b"RTP/AVP", "mirror"),
        (Encryption.NONE, b"RTP/SAVP", "mirror"),
        (Encryption.SAVP, b"RTP/SAVP", "a=crypto"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_nothing_passes(
    ng: Ng, call: str, phone: Party, provider: Party, offered: Encryption, answered: bytes, reason: str
) -> None:
    provider.aim(ng.offer(call, phone.sdp(), offered))
    with pytest.raises(NgError, match=reason):
        ng.answer(call, provider.sdp().replace(b"RTP/AVP", answered))
    provider.send(rtp(1))
    assert phone.hears_nothing()


def test_an_answer_that_only_says_srtp_stands_where_clear_may(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    provider.aim(ng.offer(call, phone.sdp(), Encryption.SAVP, takes_clear=True))
    phone.aim(ng.answer(call, provider.sdp("RTP/SAVP")))
    provider.send(rtp(1))
    assert phone.receive() == rtp(1)


def test_keys_that_do_not_fit_stand_nowhere(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    ng.offer(call, phone.sdp(), Encryption.SAVP, takes_clear=True)
    with pytest.raises(NgError, match="a=crypto"):
        ng.answer(call, provider.sdp("RTP/SAVP", [(99, SUITES[0], provider.key(SUITES[0]))]))


@pytest.mark.parametrize("protocol", [b"UDP/TLS/RTP/SAVPF", b"RTP/SAVP", b"TCP/MSRP", b"DCCP/RTP/AVP"])
def test_lines_that_cannot_be_relayed_are_refused(ng: Ng, call: str, phone: Party, protocol: bytes) -> None:
    with pytest.raises(NgError, match="can be relayed"):
        ng.offer(call, phone.sdp().replace(b"RTP/AVP", protocol), Encryption.NONE)
    other = phone.sdp() + b"m=video 6000 " + protocol + b" 96\r\n"
    offer = ng.offer(call, other, Encryption.NONE)
    assert [kind for kind, _, _ in media_lines(offer)] == ["audio"]
    answer = ng.answer(call, phone.answer(offer))
    assert media_lines(answer)[1] == ("video", 0, protocol.decode())


def test_keys_and_paths_around_the_relay_are_removed(ng: Ng, call: str, phone: Party) -> None:
    more = (
        "a=key-mgmt:mikey AAA",
        "k=clear:secret",
        "a=zrtp-hash:1.10 abc",
        "a=setup:actpass",
        "a=mid:0",
        "a=pcfg:1 t=1",
    )
    offer = ng.offer(call, phone.sdp(more=more), Encryption.SAVP)
    for text in (b"key-mgmt", b"secret", b"zrtp", b"setup", b"a=mid", b"pcfg"):
        assert text not in offer


def test_failed_offer_leaves_no_call_and_no_port(ng: Ng, phone: Party) -> None:
    before = ng.ports_used()
    for sdp in (b"v=0\r\n", phone.sdp("RTP/SAVP"), phone.sdp().replace(b"m=audio", b"m=")):
        with pytest.raises(NgError):
            ng.offer("failed", sdp, Encryption.NONE)
    assert ng.ports_used() == before
    with pytest.raises(NgError, match="Unknown call-id"):
        ng.query("failed")


def test_ports_run_out_with_an_error_and_come_back(tmp_path: Path, phone: Party) -> None:
    with worker(tmp_path, ports="31000-31005") as ng:
        ng.offer("one", phone.sdp(), Encryption.NONE)
        with pytest.raises(NgError, match="ports"):
            ng.offer("two", phone.sdp(), Encryption.NONE)
        ng.delete("one")
        assert ng.ports_used() == 0
        ng.offer("two", phone.sdp(), Encryption.NONE)


def test_10_000_calls_leave_no_port_descriptor_or_memory(tmp_path: Path, phone: Party, provider: Party) -> None:
    """CVE-2025-54995: failed calls give their ports back, too."""
    with worker(tmp_path) as ng:

        def set_up(number: int) -> None:
            name = f"call {number}"
            offer = ng.offer(name, phone.sdp(), Encryption.SAVP, suites=SUITES[2:3])
            if number % 4:
                phone.hear_answer(ng.answer(name, provider.answer(offer, SUITES[2])))
            if number % 4 == 1:
                provider.send(rtp(number & 0xFFFF))
            ng.delete(name)

        for number in range(1_000):
            set_up(number)
        descriptors, memory = _descriptors(ng), _resident(ng)
        for number in range(9_000):
            set_up(number)
        assert _descriptors(ng) == descriptors
        assert _resident(ng) - memory < 3_000_000
        assert ng.ports_used() == 0
        assert ng.request({"command": "list"})["calls"] == []


def test_many_silent_calls_are_ended_though_few_are_looked_at_in_one_go(tmp_path: Path, provider: Party) -> None:
    with worker(tmp_path, "--media-timeout=0.3") as ng:
        for number in range(5 * CALLS_A_JOB + 1):
            name = f"silent-{number}"
            ng.answer(name, provider.answer(ng.offer(name, provider.sdp(), Encryption.SAVP), SUITES[2]))
        deadline = time.monotonic() + 3
        while _calls(ng) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _calls(ng) == []
        assert "tags" in ng.delete("silent-0")


def test_a_silent_call_is_ended_and_a_held_one_is_not(tmp_path: Path, phone: Party, provider: Party) -> None:
    with worker(tmp_path, "--media-timeout=0.3") as ng:
        for name, more in (("silent", ()), ("held", ("a=inactive",)), ("talking", ())):
            ng.answer(name, provider.answer(ng.offer(name, phone.sdp(more=more), Encryption.SAVP), SUITES[2]))
        deadline = time.monotonic() + 3
        number = 0
        while "silent" in _calls(ng) and time.monotonic() < deadline:
            number += 1
            provider.send(rtp(number))
            time.sleep(0.02)
        assert _calls(ng) == ["held", "talking"]
        assert "tags" in ng.delete("silent"), "the last word on it"
        assert ng.delete("silent")["warning"] == "Call-ID not found or tags didn't match"


def test_a_worker_without_calls_or_questions_ends(tmp_path: Path) -> None:
    with worker(tmp_path, "--idle=0.3") as ng:
        assert ng.process.wait(timeout=3) == 0
        assert not (tmp_path / "w.sock").exists()


def test_an_orphan_ends_what_nobody_will_answer_and_then_itself(tmp_path: Path, phone: Party) -> None:
    with worker(tmp_path, "--idle=0.3") as ng:
        ng.offer("never answered", phone.sdp(), Encryption.SAVP)
        assert ng.process.wait(timeout=3) == 0


def test_an_orphan_keeps_an_answered_call(tmp_path: Path, phone: Party, provider: Party) -> None:
    with worker(tmp_path, "--idle=0.3") as ng:
        ng.offer("never answered", phone.sdp(), Encryption.SAVP)
        ng.answer("up", provider.answer(ng.offer("up", phone.sdp(), Encryption.SAVP), SUITES[2]))
        time.sleep(1.0)
        assert _calls(ng) == ["up"]


def test_a_second_worker_does_not_take_the_socket(tmp_path: Path) -> None:
    with worker(tmp_path) as ng:
        command = [sys.executable, "-m", "gateway.media.worker", f"--socket={ng.target}", "--address=127.0.0.1"]
        second = subprocess.run(
            [*command, "--ports=31000-31100"], cwd=ROOT, capture_output=True, timeout=10, check=False
        )
        assert second.returncode == 1
        assert b"taken" in second.stderr
        assert ng.request({"command": "ping"})["result"] == "pong"


def test_statistics_count_packets_by_direction(tmp_path: Path, phone: Party, provider: Party) -> None:
    with worker(tmp_path) as ng:
        offer = ng.offer("c", phone.sdp(), Encryption.SAVP, side=Side.PROVIDER)
        phone.hear_answer(ng.answer("c", provider.answer(offer, SUITES[2])))
        for number in range(3):
            crosses(phone, provider, number)
        crosses(provider, phone, 1)
        for _ in range(2):
            totals = ng.request({"command": "statistics"})["statistics"]["totalstatistics"]["relayed"]  # type: ignore[index,call-overload]
            assert totals == {"to_provider": 3, "to_phone": 1, "errors": 0}
            ng.delete("c")


def test_statistics_tell_of_packets_that_went_no_further_and_of_the_process(
    tmp_path: Path, phone: Party, provider: Party, stranger: Party
) -> None:
    with worker(tmp_path) as ng:
        offer = ng.offer("c", phone.sdp(), Encryption.SAVP, side=Side.PROVIDER)
        phone.hear_answer(ng.answer("c", provider.answer(offer, SUITES[2])))
        crosses(phone, provider, 2)
        wire = provider.send(rtp(1))
        assert phone.receive() == rtp(1)
        provider.rtp.sendto(wire, provider.target)
        provider.rtp.sendto(rtp(2), provider.target)
        stranger.rtp.sendto(rtp(7), phone.target)
        time.sleep(0.2)
        told = ng.request({"command": "statistics"})["statistics"]
        figures = RelayFigures.of({"statistics": told})
        assert figures.failed == {
            ("provider", "authentication"): 1,
            ("provider", "replay"): 1,
            ("phones", "wrong_source"): 1,
        }
        assert figures.cpu_seconds is not None
        assert 0 < figures.cpu_seconds < 60
        assert figures.resident_bytes is not None
        assert 10_000_000 < figures.resident_bytes < 300_000_000


def test_packets_of_many_calls_are_all_counted_in_the_end(tmp_path: Path, phone: Party, provider: Party) -> None:
    """Some are counted after the reply, for the next one; those of calls that end meanwhile neither twice nor never."""
    calls = [f"call {number}" for number in range(20)]
    with worker(tmp_path) as ng:
        for number, name in enumerate(calls):
            phone.hear_answer(ng.answer(name, provider.answer(ng.offer(name, phone.sdp(), Encryption.NONE))))
            crosses(phone, provider, number)
        for ended in ([], calls[:5], calls[5:]):
            ng.request({"command": "statistics"})
            for name in ended:
                ng.delete(name)
        totals = ng.request({"command": "statistics"})["statistics"]["totalstatistics"]["relayed"]  # type: ignore[index,call-overload]
        assert totals == {"to_provider": 20, "to_phone": 0, "errors": 0}


@pytest.mark.parametrize("confirmed", [False, True])
def test_rfc3261_16_6_silence_counts_from_the_answer_of_the_call_and_not_while_it_rings(
    tmp_path: Path, phone: Party, provider: Party, confirmed: bool
) -> None:
    with worker(tmp_path, "--media-timeout=0.3") as ng:
        offer = ng.offer("c", phone.sdp(), Encryption.SAVP)
        phone.hear_answer(ng.answer("c", provider.answer(offer, SUITES[2]), source=SdpSource(is_early=True)))
        crosses(phone, provider, 1)
        time.sleep(1)
        assert _calls(ng) == ["c"]
        if confirmed:
            ng.request(ng_commands.confirm("c"))
        else:
            ng.answer("c", provider.answer(offer, SUITES[2]))
        assert _calls(ng) == ["c"]
        time.sleep(1)
        assert _calls(ng) == []
        with pytest.raises(NgError):
            ng.request(ng_commands.confirm("c"))


def test_loss_age_and_source_are_told(ng: Ng, call: str, phone: Party, provider: Party) -> None:
    phone.hear_answer(ng.answer(call, provider.answer(ng.offer(call, phone.sdp(), Encryption.SAVP), SUITES[2])))
    for number in range(1, 161):
        if number % 10 != 5:
            crosses(phone, provider, number)
    heard = ng.stream(call, "caller")
    assert heard["stats"] == {"packets": 144, "bytes": 144 * 172, "errors": 0}
    assert heard["lost"] == 16
    assert heard["SSRC"] == 0x1234
    assert heard["latched"] is True
    assert isinstance(heard["idle"], float)
    assert heard["idle"] < 1


def _calls(ng: Ng) -> list[JSON]:
    calls = ng.request({"command": "list"})["calls"]
    assert isinstance(calls, list)
    return calls


def _descriptors(ng: Ng) -> int:
    """Its sockets, counted by their address: its files are told to nobody but root."""
    host = "".join(f"{int(byte):02X}" for byte in reversed(ng.address.split(".")))
    return Path("/proc/net/udp").read_text().count(f" {host}:")


def _resident(ng: Ng) -> int:
    pages = int(Path(f"/proc/{ng.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def silent(ng: Ng) -> int:
    """Ports in quarantine."""
    return int(ng.request({"command": "statistics"})["statistics"]["interfaces"][0]["ports"]["silent"])  # type: ignore[index,call-overload,arg-type]


def test_a_call_that_was_offered_and_came_to_nothing_leaves_no_port_in_quarantine(
    tmp_path: Path, phone: Party, provider: Party
) -> None:
    with worker(tmp_path, "--quarantine=10") as ng:
        for number in range(3):
            ng.offer(f"c{number}", phone.sdp(), Encryption.SAVP)
            ng.delete(f"c{number}")
        assert silent(ng) == 0
        offer = ng.offer("spoken", phone.sdp(), Encryption.NONE)
        ng.answer("spoken", provider.answer(offer))
        ng.delete("spoken")
        assert silent(ng) == 4


EARLY = SdpSource(is_early=True)


def test_ports_of_a_call_that_failed_without_a_packet_go_back_at_once_and_those_with_one_later(
    tmp_path: Path, phone: Party, provider: Party
) -> None:
    """A 183 with SDP and then 404: an announcement that nobody sent leaves no late packets."""
    with worker(tmp_path, "--quarantine=10") as ng:
        before = free(ng)
        for number in range(3):
            offer = ng.offer(f"redialled-{number}", phone.sdp(), Encryption.SAVP)
            phone.hear_answer(ng.answer(f"redialled-{number}", provider.answer(offer, SUITES[0]), source=EARLY))
            ng.delete(f"redialled-{number}")
        assert free(ng) == before
        offer = ng.offer("announced", phone.sdp(), Encryption.SAVP)
        phone.hear_answer(ng.answer("announced", provider.answer(offer, SUITES[0]), source=EARLY))
        crosses(provider, phone, 1)
        ng.delete("announced")
        assert free(ng) == before - 2, "the pair that the packet came to is silent now"


def test_ports_of_a_call_that_was_answered_are_silent_after_it_with_or_without_packets(
    tmp_path: Path, phone: Party, provider: Party
) -> None:
    with worker(tmp_path, "--quarantine=10") as ng:
        before = free(ng)
        offer = ng.offer("answered", phone.sdp(), Encryption.SAVP)
        ng.answer("answered", provider.answer(offer, SUITES[0]))
        ng.delete("answered")
        assert free(ng) == before - 4


def free(ng: Ng) -> int:
    """Ports that the next call could have."""
    return RelayFigures.of(ng.request({"command": "statistics"})).ports["free"]


def video(party: Party, port: int) -> bytes:
    """Audio of that party, and video beside it."""
    return party.sdp("RTP/AVP") + b"m=video %d RTP/AVP 31\r\n" % port


def test_a_stream_that_nobody_took_gives_its_ports_back_and_gets_others_when_it_is_offered_again(
    tmp_path: Path, phone: Party, provider: Party
) -> None:
    with worker(tmp_path, "--quarantine=10") as ng:
        before = free(ng)
        offer = ng.offer("c", video(phone, 5_000), Encryption.NONE)
        phone.hear_answer(ng.answer("c", provider.answer(offer) + b"m=video 0 RTP/AVP 31\r\n"))
        assert free(ng) == before - 8
        wait_until("the ports of video are back", lambda: free(ng) == before - 4, 10)
        crosses(phone, provider, 1)
        again = ng.offer("c", video(phone, 5_002), Encryption.NONE, to_tag="callee")
        assert free(ng) == before - 8
        assert [port == 0 for _, port, _ in media_lines(again)] == [False, False]
        answer = ng.answer("c", provider.answer(again) + b"m=video 6000 RTP/AVP 31\r\n")
        assert [port == 0 for _, port, _ in media_lines(answer)] == [False, False]
        time.sleep(7)
        assert free(ng) == before - 8, "now somebody has taken it"
        crosses(phone, provider, 2)
        ng.delete("c")
        assert free(ng) == before - 8


def test_an_offer_that_waits_for_its_answer_keeps_its_ports(tmp_path: Path, phone: Party, provider: Party) -> None:
    """Somebody is asked whether he wants to be seen, and thinks about it."""
    with worker(tmp_path, "--quarantine=10") as ng:
        before = free(ng)
        offer = ng.offer("c", phone.sdp(), Encryption.NONE)
        phone.hear_answer(ng.answer("c", provider.answer(offer)))
        again = ng.offer("c", video(phone, 5_002), Encryption.NONE, to_tag="callee")
        time.sleep(7)
        assert free(ng) == before - 8
        answer = ng.answer("c", provider.answer(again) + b"m=video 6000 RTP/AVP 31\r\n")
        assert [port == 0 for _, port, _ in media_lines(answer)] == [False, False]


def test_without_ports_a_stream_that_is_offered_again_is_refused_and_the_call_goes_on(
    tmp_path: Path, phone: Party, provider: Party
) -> None:
    with worker(tmp_path, "--quarantine=10", ports="31000-31007") as ng:
        offer = ng.offer("c", video(phone, 5_000), Encryption.NONE)
        ng.answer("c", provider.answer(offer) + b"m=video 0 RTP/AVP 31\r\n")
        wait_until("the ports of video are back", lambda: free(ng) == 4, 10)
        ng.offer("other", phone.sdp(), Encryption.NONE)
        again = ng.offer("c", video(phone, 5_000), Encryption.NONE, to_tag="callee")
        assert [port == 0 for _, port, _ in media_lines(again)] == [False, True]
        answer = ng.answer("c", provider.answer(again) + b"m=video 0 RTP/AVP 31\r\n")
        assert [port == 0 for _, port, _ in media_lines(answer)] == [False, True]
