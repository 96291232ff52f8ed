"""The client's process on a wire of the test's own, against dnsmasq and against those that mean no good."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from gateway.base.network.dhcp.dhcp_messages import ReplyKind, RequestKind
from gateway.base.network.dhcp.frames import checksum
from gateway.base.network.dhcp.lease_report import LeaseQuestion
from tests.support.calls.processes import find_program, wait_until
from tests.support.network.dhcp_lan import (
    CABLE,
    GATEWAY_USER,
    LEASED,
    OTHER_LEASE,
    SERVER,
    STRANGER,
    DhcpLan,
    spoken,
)
from tests.support.network.dhcp_server import payload

ORDER = LeaseQuestion(renew=True)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[DhcpLan]:
    made = DhcpLan(tmp_path)
    yield made
    print(made.said() if made.log.exists() else "")
    made.close()


def test_a_lease_is_had_told_and_outlives_the_client(lan: DhcpLan) -> None:
    """Killed, it leaves an address that the kernel takes away at the lease's end; the next one asks for the same."""
    lan.serve(LEASED, 3600, "--dhcp-option=option:ntp-server,10.78.0.9", "--dhcp-option=120,00:01:61:00")
    report = lan.bind().report
    assert lan.client is not None
    assert "CapEff:\t0000000000003000\n" in Path(f"/proc/{lan.client.pid}/status").read_text()  # NET_ADMIN, NET_RAW
    assert report.state == "bound"
    assert report.lease is not None
    assert (report.lease.address, report.lease.prefix, report.lease.server) == (LEASED, 24, SERVER)
    assert report.lease.seconds_left is not None
    assert 3590 < report.lease.seconds_left <= 3600
    assert (report.lease.ntp, report.lease.sip_servers) == (("10.78.0.9",), ("a",))
    assert lan.route().startswith(f"default via {SERVER} dev {CABLE} proto dhcp src {LEASED}")
    lan.kill()
    assert lan.addresses() == [LEASED]
    before = len(lan.wire.messages)
    lan.launch()  # its socket is there still, and nobody's
    wait_until("it asks for the address from before", lambda: len(lan.wire.messages) > before, 5)
    wait_until("it has its lease", lambda: lan.ask().report.lease is not None, 5)
    assert [kind for _, kind, _ in lan.wire.messages[before:]] == [RequestKind.REQUEST]
    assert lan.addresses() == [LEASED]


def test_silent_router_and_server_are_one_request(lan: DhcpLan) -> None:
    """However often it is asked for; and none while the router answers."""
    lan.serve()
    lan.bind()
    before = len(lan.wire.of(RequestKind.REQUEST))
    assert lan.ask(ORDER).renewed == "router"
    lan.silence()
    lan.mute_lan()
    assert lan.ask(ORDER).renewed == "sent"
    for _ in range(30):
        answer = lan.ask(LeaseQuestion(renew=True, even_with_router=True))
        assert answer.renewed == "wait"
        assert 290 < answer.wait <= 300
    time.sleep(1.5)
    assert lan.wire.of(RequestKind.REQUEST)[before:] == [SERVER]
    assert lan.addresses() == [LEASED]


def test_a_renewal_to_another_address(lan: DhcpLan) -> None:
    """The server refuses the old one (RFC 2131 section 3.1): the interface has the new one within a second."""
    lan.serve()
    lan.bind()
    lan.serve(OTHER_LEASE)
    lan.ask(LeaseQuestion(renew=True, even_with_router=True))
    wait_until("the new address is there", lambda: lan.addresses() == [OTHER_LEASE], 3)
    assert lan.ask().report.renewals == (("asked", "refused", 1),)
    assert f"src {OTHER_LEASE}" in lan.route()


def test_an_address_of_another_host_is_declined(lan: DhcpLan) -> None:
    lan.networks.ip("lan", "address", "add", f"{LEASED}/32", "dev", "lo")  # the kernel answers ARP for it
    lan.serve()
    lan.launch()
    wait_until("it is declined", lambda: lan.wire.of(RequestKind.DECLINE) != [], 10)
    assert lan.addresses() == []
    assert lan.ask().report.refused == f"{LEASED} belongs to another host"


def test_a_lease_that_names_the_providers_address_is_given_back(lan: DhcpLan) -> None:
    lan.serve()
    lan.bind()
    report = lan.ask(LeaseQuestion(taken=(LEASED,))).report
    assert report.lease is None
    assert report.refused == f"{LEASED} belongs to another"
    assert lan.addresses() == []
    wait_until("it is declined", lambda: lan.wire.of(RequestKind.DECLINE) != [], 2)


def test_a_lease_of_a_second_is_not_taken(lan: DhcpLan) -> None:
    """dnsmasq gives no less than two minutes: this server is forged."""
    with lan.networks.inside("lan"):
        forger = Forger()
    lan.launch()
    forger.answer(lan, seconds=1)
    wait_until("it is refused", lambda: lan.socket.exists() and lan.ask().report.refusals > 0, 5)
    assert lan.ask().report.refused == "it is for 1 s: 30 s are the least"
    assert lan.addresses() == []
    assert lan.wire.of(RequestKind.REQUEST) == []
    forger.close()


class Forger:
    """Somebody on the wire who hears the client's broadcasts, and answers as it likes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self._socket.bind((CABLE, 0x0800))
        self._socket.settimeout(5)
        self.xid, self.mac = 0, bytes(6)

    def answer(self, lan: DhcpLan, **more: Any) -> None:
        """Answer the client's first DHCPDISCOVER by an offer."""
        self.hear()
        self.send(payload(ReplyKind.OFFER, self.xid, LEASED, server=SERVER, mac=self.mac, **more))

    def hear(self) -> None:
        """Wait for a message of the client."""
        while True:
            frame = self._socket.recv(2048)
            if frame[23] == 17 and frame[36:38] == b"\0\x43":
                self.xid, self.mac = int.from_bytes(frame[46:50], "big"), frame[6:12]
                return

    def send(self, data: bytes) -> None:
        """From the server's address, to everybody."""
        udp = pack("!HHHH", 67, 68, 8 + len(data), 0) + data
        header = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(SERVER), b"\xff" * 4)
        header = header[:10] + pack("!H", checksum(header)) + header[12:]
        self._socket.send(b"\xff" * 6 + b"\x02\0\0\0\0\x09" + b"\x08\0" + header + udp)

    def close(self) -> None:
        self._socket.close()


def test_a_flood_of_forged_replies_costs_little_and_breaks_nothing(lan: DhcpLan) -> None:
    """20,000 replies of chance, with the right number of the question, and a good server among them."""
    with lan.networks.inside("lan"):
        forger = Forger()
    lan.launch()
    forger.hear()
    chance = random.Random(7)
    for number in range(20_000):
        kind = chance.choice([ReplyKind.OFFER, ReplyKind.ACK, ReplyKind.NAK, 0, 200])
        data = bytearray(payload(kind, forger.xid, "127.0.0.1", server="127.0.0.1", mac=forger.mac))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = chance.randrange(len(data)) if number % 3 == 0 else len(data)
        forger.send(bytes(data[:cut]))
    forger.close()
    assert lan.client is not None
    used = Path(f"/proc/{lan.client.pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")
    assert seconds < 3  # its start is most of it
    lan.serve()
    wait_until("it has its lease all the same", lambda: lan.addresses() == [LEASED], 20)
    assert "Traceback" not in lan.said()


CALLER = """\
import socket, sys
own = socket.socket(socket.AF_UNIX)
own.settimeout(6)
try:
    own.connect(sys.argv[1])
    own.sendall(sys.argv[2].encode() + b"\\n")
    sys.stdout.buffer.write(own.recv(65536))
except (BrokenPipeError, ConnectionResetError):
    pass
"""


def asked_as(user: int, path: Path, line: str) -> bytes:
    command = [
        find_program("setpriv", "util-linux"),
        f"--reuid={user}",
        "--clear-groups",
        "--regid=5060",
        "--inh-caps=-all",
    ]
    done = subprocess.run(
        [*command, sys.executable, "-I", "-S", "-c", CALLER, str(path), line], capture_output=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_socket_serves_the_gateways_user_alone(lan: DhcpLan) -> None:
    lan.serve()
    lan.bind()
    line = json.dumps({"taken": [LEASED], "renew": True, "even_with_router": True})
    for _ in range(5):
        assert asked_as(STRANGER, lan.socket, line) == b""
    assert lan.said().count(f"user {STRANGER} is turned away") == 1
    assert lan.addresses() == [LEASED]
    assert lan.ask().report.renewals == ()
    assert b'"bound"' in asked_as(GATEWAY_USER, lan.socket, '{"taken":[]}')


def test_bad_questions_and_idle_callers_take_nothing_away(lan: DhcpLan) -> None:
    lan.serve()
    lan.bind()
    bad = [b"", b"\n", b"[]\n", b"\xff\xfe\n", b"[" * 9000 + b"\n", b'{"taken":["x"]}\n', b"x" * 40_000]
    bad += [b'{"taken":' + json.dumps(["10.0.0.1"] * 65).encode() + b"}\n", b'{"taken":{}}\n']
    for line in bad[1:]:
        assert spoken(lan.socket, line) == b""
    idle = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for one in idle:
        one.connect(str(lan.socket))
    time.sleep(0.3)
    assert spoken(lan.socket, LeaseQuestion().encoded()) == b""  # four at once
    wait_until("their time is over", lambda: spoken(lan.socket, LeaseQuestion().encoded()) != b"", 7)
    for one in idle:
        one.close()
    assert lan.ask().report.lease is not None
    assert "Traceback" not in lan.said()


def test_without_its_rights_or_its_interface_it_says_so(lan: DhcpLan) -> None:
    command = [sys.executable, "-m", "gateway.base.network.dhcp", "--socket", str(lan.directory / "s"), "--interface"]
    bare = [find_program("setpriv", "util-linux"), "--bounding-set=-all", "--inh-caps=-all"]
    with lan.networks.inside("host"):
        for start, name in ((bare, CABLE), ([], "eth99"), ([], "lo")):
            done = subprocess.run([*start, *command, name], capture_output=True, text=True, timeout=20)
            assert done.returncode == 1
            assert f"{name} cannot be used" in done.stderr
            assert "Traceback" not in done.stderr
