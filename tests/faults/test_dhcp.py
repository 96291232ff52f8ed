"""A gateway at a leased address: another lease moves it and its calls; silence of all is one request; a client that is
killed, or whose socket another user has, is told and moves nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from gateway.base.network.dhcp.dhcp_messages import RequestKind
from tests.support.calls.processes import find_program, wait_until
from tests.support.network.dhcp_lan import STRANGER
from tests.support.network.lan import CABLE, FIRST, LAN, SECOND, Talk
from tests.support.network.leased_lan import LeasedLan


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[LeasedLan]:
    made = LeasedLan(tmp_path)
    made.dhcp.serve(FIRST)
    made.dhcp.bind()
    yield made
    print(made.text() if made.log.exists() else "", made.dhcp.said())
    made.close()


def gatewayctl(lan: LeasedLan, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("gatewayctl")), *arguments]
    with lan.networks.inside("gateway"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


SQUATTER = """\
import socket, sys
own = socket.socket(socket.AF_UNIX)
own.bind(sys.argv[1])
own.listen(4)
print("there", flush=True)
while True:
    one, _ = own.accept()
    one.settimeout(1)
    try:
        print("heard", one.recv(65536), flush=True)
        one.sendall(b'{"report":{}}')
    except OSError as error:
        print(error, flush=True)
    one.close()
"""


def test_another_lease_moves_the_gateway_and_its_call(lan: LeasedLan) -> None:
    """RFC 2131 section 3.1: the server refuses the old address. Audio is away for less than a second."""
    lan.start()
    wait_until("the lease is told", lambda: lan.lease()["address"] == FIRST, 5)
    assert lan.lease()["server"] == LAN
    assert "ok" in gatewayctl(lan, "check", "--strict", str(lan.configuration))
    shown = gatewayctl(lan, "network", "--config", str(lan.configuration))
    assert f"lease: {FIRST}/24 on {CABLE}, " in shown
    assert f"of {LAN}, router {LAN} (bound)" in shown
    assert lan.metric("gateway_dhcp_client_up") == 1
    assert 3500 < lan.metric("gateway_dhcp_lease_seconds") <= 3600
    phone = lan.phone()
    assert phone.register() is not None
    talk = Talk(lan, phone)
    before = lan.provider.count("REGISTER")

    phone.proxy = (SECOND, 5060)
    lan.dhcp.serve(SECOND)
    assert lan.order("/api/v1/network/renew") == {"renewed": "sent", "wait": 0.0}
    wait_until("the address is there", lambda: lan.dhcp.addresses() == [SECOND], 5)
    changed = time.monotonic()
    wait_until("audio flows again", lambda: talk.flows(changed + 0.2), 5)
    talk.stop()
    gaps = {end: talk.gap(end) for end in ("provider", "phone")}
    print(f"audio was away for {gaps}")
    assert max(gaps.values()) < 1
    invite = [one for one in lan.provider.requests if one.method == "INVITE"][-1]
    assert f"@{SECOND}:5080" in invite.header("contact")
    assert phone.register() is not None
    assert lan.provider.count("REGISTER") > before
    assert SECOND in [one for one in lan.provider.requests if one.method == "REGISTER"][-1].header("contact")
    answer = phone.hang_up(talk.dialog)
    assert answer is not None
    assert answer.status == 200
    assert 290 < lan.order("/api/v1/network/renew")["wait"] <= 300
    assert lan.metric('gateway_dhcp_renewals_total{cause="asked",result="refused"}') == 1
    phone.close()
    _killed_and_taken(lan)


def _killed_and_taken(lan: LeasedLan) -> None:
    """The client is killed, and another user puts a socket of its own in that place."""
    lan.dhcp.kill()
    for _ in range(2):
        with pytest.raises(HTTPError, match="503"):
            lan.order("/api/v1/network/renew")
    assert "the DHCP client does not answer: nobody answers at" in lan.text()
    shown = gatewayctl(lan, "network", "--config", str(lan.configuration))
    assert "lease: not known, the DHCP client does not answer: nobody answers at" in shown
    assert lan.metric("gateway_dhcp_client_up") == 0
    assert "nobody answers at" in gatewayctl(lan, "check", str(lan.configuration))
    lan.dhcp.socket.unlink()
    lan.dhcp.socket.parent.chmod(0o777)
    users = [f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    command = [find_program("setpriv", "util-linux"), *users, sys.executable, "-I", "-c", SQUATTER]
    with subprocess.Popen([*command, str(lan.dhcp.socket)], stdout=subprocess.PIPE, text=True) as squatter:
        assert squatter.stdout is not None
        assert squatter.stdout.readline() == "there\n"
        lan.dhcp.socket.chmod(0o777)
        try:
            wait_until("the other user is seen", lambda: f"of user {STRANGER}" in lan.lease()["why"], 8)
            assert f"is of user {STRANGER}" in gatewayctl(lan, "check", str(lan.configuration))
        finally:
            squatter.kill()
        assert "heard b'{" not in squatter.stdout.read()
    assert lan.dhcp.addresses() == [SECOND]
    assert lan.is_ready()


def test_silence_of_provider_and_router_is_one_request(lan: LeasedLan) -> None:
    """On the wire; that no second one follows in five minutes, test_lease_watch.py shows by a clock."""
    lan.dhcp.silence()
    lan.dhcp.mute_lan()
    lan.start()
    before = len(lan.dhcp.wire.of(RequestKind.REQUEST))
    wait_until("it is asked for", lambda: len(lan.dhcp.wire.of(RequestKind.REQUEST)) > before, 30)
    time.sleep(5.5)  # one more look of the gateway at least
    assert lan.dhcp.wire.of(RequestKind.REQUEST)[before:] == [LAN]
    assert "the lease is renewed" in lan.text()
    assert lan.dhcp.addresses() == [FIRST]
