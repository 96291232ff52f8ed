"""HEP and pcapng, read by others: a decoder of the test's own, and tshark."""

from __future__ import annotations

import re
import struct
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from gateway.transport.trace.hep import LONGEST, HepMessage, packet
from gateway.transport.trace.pcapng import interface, section
from gateway.transport.trace.pcapng import packet as pcapng_packet
from tests.support.calls.processes import find_program

PHONE, GATEWAY, PHONE6 = ("192.0.2.11", 5070), ("192.0.2.20", 5060), ("2001:db8::11", 5070)


def chunks(data: bytes) -> dict[tuple[int, int], bytes]:
    """The chunks of a packet by vendor and type; its lengths are right."""
    assert data[:4] == b"HEP3"
    assert struct.unpack("!H", data[4:6])[0] == len(data)
    found, rest = {}, data[6:]
    while rest:
        vendor, kind, length = struct.unpack("!HHH", rest[:6])
        found[vendor, kind], rest = rest[6:length], rest[length:]
    return found


def test_a_hep_packet_says_where_a_message_went_and_whose_it_is() -> None:
    message = HepMessage(1796027431.045831, PHONE, GATEWAY, True, b"OPTIONS", "call-1", "TLSv1.3 X")
    found = chunks(packet(message, 7, "secret"))
    assert found[0, 1] == b"\x02"  # AF_INET
    assert found[0, 2] == b"\x11"
    assert (found[0, 3], found[0, 4]) == (ip_address(PHONE[0]).packed, ip_address(GATEWAY[0]).packed)
    assert (found[0, 7], found[0, 8]) == (struct.pack("!H", 5070), struct.pack("!H", 5060))
    assert struct.unpack("!II", found[0, 9] + found[0, 10]) == (1796027431, 45831)
    assert found[0, 11] == b"\x01"
    assert found[0, 12] == b"\0\0\0\x07"
    assert (found[0, 14], found[0, 15], found[0, 17]) == (b"secret", b"OPTIONS", b"call-1")
    assert found[0x7A53, 1] == b"TLSv1.3 X"


def test_an_ipv6_leg_and_a_mixed_one() -> None:
    found = chunks(packet(HepMessage(0.9999999, PHONE6, GATEWAY, False, b"x"), 1))
    assert found[0, 1] == b"\x0a"
    assert found[0, 2] == b"\x06"
    assert found[0, 5] == ip_address(PHONE6[0]).packed
    assert found[0, 6] == ip_address("::ffff:192.0.2.20").packed
    assert struct.unpack("!I", found[0, 10])[0] <= 999_999


def test_a_message_that_does_not_fit_is_cut_and_says_so() -> None:
    data = packet(HepMessage(1.0, PHONE, GATEWAY, True, b"x" * 70_000, "c" * 900, "s" * 900), 1, "p" * 900)
    assert len(data) <= LONGEST
    assert chunks(data)[0x7A53, 2] == b"cut: 70000 bytes"


@pytest.mark.parametrize("host", ["phone.example.com", "", "192.0.2"])
def test_no_address_is_an_error(host: str) -> None:
    with pytest.raises(ValueError, match="address"):
        packet(HepMessage(1.0, (host, 1), GATEWAY, True, b""), 1)
    with pytest.raises(ValueError, match="address"):
        pcapng_packet(0, 1.0, (host, 1), GATEWAY, b"", "")


OPTIONS = (
    b"OPTIONS sip:voip.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5070;branch=z9hG4bK1\r\n"
    b"From: <sip:a@voip.test>;tag=1\r\nTo: <sip:voip.test>\r\n"
    b"Call-ID: 1@a\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def test_tshark_reads_messages_interfaces_comments_and_times(tmp_path: Path) -> None:
    file = tmp_path / "trace.pcapng"
    file.write_bytes(
        section("test")
        + interface("phones (phones, udp)")
        + pcapng_packet(0, 1796027431.045831, PHONE, GATEWAY, OPTIONS, "udp; call 1")
        + interface("provider (provider, tls)")
        + pcapng_packet(1, 1796027431.5, PHONE6, GATEWAY, OPTIONS + b"x" * 7, "tls TLSv1.3 X")
        + pcapng_packet(1, 1796027432.0, PHONE, GATEWAY, b"y" * 70_000, "")
    )
    fields = ["frame.time_epoch", "frame.interface_name", "frame.comment", "ip.src", "ipv6.src", "udp.srcport"]
    fields += ["sip.Method", "ip.checksum.status", "udp.checksum.status", "udp.length"]
    tshark = find_program("tshark", "tshark")
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    wanted = [option for field in fields for option in ("-e", field)]
    command = [tshark, "-r", str(file), *checks, "-T", "fields", "-E", "separator=|", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert float(rows[0][0]) == pytest.approx(1796027431.045831, abs=2e-6)
    assert rows[0][1:7] == ["phones (phones, udp)", "udp; call 1", PHONE[0], "", "5070", "OPTIONS"]
    assert rows[0][7] == "1"  # the checksum is good
    assert rows[1][1:7] == ["provider (provider, tls)", "tls TLSv1.3 X", "", PHONE6[0], "5070", "OPTIONS"]
    assert rows[1][8] == "1"
    assert "cut: it has 70000 bytes" in rows[2][2]
    everything = subprocess.run([tshark, "-r", str(file), "-V"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"\[Malformed", everything)
