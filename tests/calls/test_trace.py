"""Trace: both legs of a call at a HEP receiver and in a pcapng file, in clear, under one name, without a key."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.calls.gateway import Gateway
from tests.support.calls.processes import find_program, wait_until
from tests.support.calls.sipcapture import Captured, Sipcapture
from tests.support.calls.stage import PASSWORDS, Stage

SIP, CDR = 1, 100


def receiver_of(stage: Stage) -> Sipcapture:
    """A receiver beside the provider, and a gateway's table that leads to it."""
    password = stage.directory / "hep-password"
    password.parent.mkdir(parents=True, exist_ok=True)
    password.write_text("Homer-1234\n")
    password.chmod(0o600)
    host = stage.hosts.control  # where no capture watches for what is in clear
    certificate = stage.scenery.authority.issue("hep", host)
    receiver = stage.keep(Sipcapture(host, stage.hosts.port(host), certificate, stage.directory / "sipcapture"))
    stage.more = f"""
[hep]
to = "{receiver.to}"
trust = "{stage.scenery.authority.trust}"
capture_id = 77
password_file = "{password}"
"""
    return receiver


def call(stage: Stage) -> None:
    """Alice calls Bob, they talk, she hangs up; then another phone's call comes in."""
    alice, bob = stage.phone("baresip"), stage.far_end("baresip")
    alice.reach(bob)
    stage.talk()
    alice.hangup()
    bob.wait_ended()


def of_call(packets: list[Captured], name: str) -> list[Captured]:
    return [one for one in packets if one.call == name and one.kind == SIP]


def seen(packets: list[Captured]) -> Counter[str]:
    """The messages by method or status."""
    return Counter(first_word(one.payload.decode("latin-1")) for one in packets)


def first_word(text: str) -> str:
    """The method of a request, the status of a response."""
    return text.removeprefix("SIP/2.0 ").split(" ")[0]


def steps(record: dict[str, Any]) -> Counter[str]:
    """The messages of the call's ladder, which is made elsewhere."""
    return Counter(first_word(step["what"]) for step in record["ladder"])


def test_a_hep_receiver_gets_both_legs_in_clear_under_one_name_and_no_key(stage: Stage) -> None:
    receiver = receiver_of(stage)
    gateway = stage.start_gateway()
    call(stage)
    stage.assert_call_was_right()
    (record,) = gateway.calls()
    wait_until("its record", lambda: any(one.kind == CDR for one in receiver.packets()), 5)

    packets = receiver.packets()
    assert {(one.id, one.password) for one in packets} == {(77, "Homer-1234")}
    mine = of_call(packets, record["id"])
    methods = {re.split(rb"[ \r]", one.payload)[0] for one in mine}
    assert {b"INVITE", b"ACK", b"BYE", b"SIP/2.0"} <= methods
    phones = {one for one in mine if str(stage.hosts.phone) in (one.source + one.destination)}
    provider = {one for one in mine if stage.hosts.provider in (one.source + one.destination)}
    assert phones
    assert provider
    assert b"a=crypto" in b"".join(one.payload for one in provider)
    assert b"a=crypto" not in b"".join(one.payload for one in phones)
    assert steps(record) - seen(mine) == Counter()  # and beside them those of the attempt that was challenged
    for one in packets:
        if one.kind == SIP:
            head, _, body = one.payload.partition(b"\r\n\r\n")
            (length,) = re.findall(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
            assert int(length) == len(body)
    everything = b"".join(one.payload for one in packets)
    keys = stage.secrets()
    assert len(keys) > len(PASSWORDS)
    assert not [key for key in keys if key in everything]
    assert not re.search(rb"(?i)response=\"(?!A+\")", everything)
    assert gateway.metric("gateway_hep_messages_total", result="sent") == len(packets)
    assert gateway.metric("gateway_hep_messages_total", result="dropped") == 0


def test_a_receiver_that_dies_costs_no_call_and_is_found_again(stage: Stage) -> None:
    receiver = receiver_of(stage)
    gateway = stage.start_gateway()
    wait_until("connected", lambda: "the HEP receiver is there" in gateway.program.text(), 5)
    receiver.stop()
    call(stage)
    stage.assert_call_was_right()
    assert gateway.metric("gateway_hep_queue") > 10
    receiver.start()
    wait_until("sent", lambda: gateway.metric("gateway_hep_queue") == 0, 30)
    time.sleep(0.3)
    (record,) = gateway.calls()
    assert steps(record) - seen(of_call(receiver.packets(), record["id"])) == Counter()


def test_a_receiver_with_another_certificate_gets_nothing(stage: Stage) -> None:
    receiver = receiver_of(stage)
    stage.more = stage.more.replace(receiver.to, receiver.to.replace(stage.hosts.control, "localhost"))
    stage.more = re.sub(r'to = ".*"', f'to = "{receiver.to}"', stage.more)
    stage.more = re.sub(r'trust = ".*"\n', "", stage.more)  # the system's authorities: not the one of the test
    gateway = stage.start_gateway()
    call(stage)
    stage.assert_call_was_right()
    assert receiver.packets() == []
    assert gateway.metric("gateway_hep_messages_total", result="sent") == 0
    assert "the HEP receiver" in gateway.program.text()


def ctl(gateway: Gateway, *arguments: str) -> str:
    """The output of `gatewayctl trace`."""
    program = str(Path(sys.executable).with_name("gatewayctl"))
    command = [program, "trace", *arguments, "--config", str(gateway.configuration)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def test_tshark_reads_both_legs_of_a_traced_call_and_finds_no_key(stage: Stage) -> None:
    gateway = stage.start_gateway()
    trace = json.loads(ctl(gateway, "start", "--user", "alice", "--json"))
    call(stage)
    stage.assert_call_was_right()
    (record,) = gateway.calls()
    ended = json.loads(ctl(gateway, "stop", trace["id"], "--json"))
    assert ended["messages"] > 20
    time.sleep(1)

    file = stage.directory / "trace.pcapng"
    ctl(gateway, "get", trace["id"], "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    whole = tshark(file, "-V")
    assert "[Malformed" not in whole
    rows = [
        row.split("|") for row in tshark(file, *fields("ip.src", "ip.dst", "sip.Method", "frame.comment")).splitlines()
    ]
    assert len(rows) == ended["messages"]
    with_phone = {method for source, to, method, _ in rows if stage.hosts.phone in (source, to)}
    with_provider = {method for source, to, method, _ in rows if stage.hosts.provider in (source, to)}
    assert {"REGISTER", "INVITE", "ACK", "BYE"} <= with_phone & with_provider
    assert {comment for *_, comment in rows if record["id"] in comment} == {
        f"udp; call {record['id']}",
        *(comment for *_, comment in rows if re.fullmatch(rf"tls TLSv1\.\d \w+; call {record['id']}", comment)),
    }
    assert re.search(rf"Number of SIP messages: {len(rows)}\b", tshark(file, "-q", "-z", "sip,stat"))
    data = file.read_bytes()
    assert not [key for key in stage.secrets() if key in data]
    sngrep = find_program("sngrep", "sngrep")
    done = subprocess.run([sngrep, "-N", "-I", str(file)], capture_output=True, text=True, timeout=20, check=True)
    assert re.findall(r"Dialog count: (\d+)", done.stdout)[-1] == "4"  # REGISTER and the call, on both sides


def fields(*names: str) -> list[str]:
    return ["-T", "fields", "-E", "separator=|", *(option for name in names for option in ("-e", name))]


def tshark(file: Path, *options: str) -> str:
    program = find_program("tshark", "tshark")
    done = subprocess.run([program, "-r", str(file), *options], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout
