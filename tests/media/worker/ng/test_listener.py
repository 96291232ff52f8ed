"""NG in both forms at a real worker: over UDP beside the gateway's socket, and what others' calls are to it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config.model import Side
from gateway.media import ng_commands
from gateway.media.relay import JSON, Encryption, SdpWish
from gateway.media.worker.loop import Loop, LoopClock
from gateway.media.worker.ng import bencode
from gateway.media.worker.ng.commands import Commands
from gateway.media.worker.ng.listener import NgListener, bound
from tests.support.media_party import SUITES, Party, media_lines
from tests.support.media_relays import Ng, others, own_address, worker


def test_bencoding_is_answered_in_bencoding_and_json_in_json(tmp_path: Path, phone: Party) -> None:
    target = own_address(), 2223
    offer = dict(ng_commands.offer("c", "caller", None, phone.sdp(), SdpWish(Side.PROVIDER, Encryption.SAVP, SUITES)))
    offer["transport protocol"] = offer.pop("transport-protocol")
    with worker(tmp_path, f"--ng={target[0]}:{target[1]}") as ng, others(ng, target) as asked:
        asked.send(b"1 " + bencode.encode(offer))
        cookie, _, body = asked.receive().partition(b" ")
        reply = bencode.decode(body)
        assert isinstance(reply, dict)
        assert (cookie, reply["result"]) == (b"1", "ok")
        assert media_lines(reply["sdp"].encode())[0][2] == "RTP/SAVP"
        assert asked.request({"command": "ping"}) == {"result": "pong"}
        for junk in (b"2 d3:cow", b"2 dd", b"2 d7:command4:pinge", b"nothing", b"2 l1:ae"):
            asked.send(junk)
        assert [asked.receive()[:2] for _ in range(3)] == [b"2 "] * 3
        assert ng.request({"command": "ping"}) == {"result": "pong"}


def test_calls_of_others_are_kept_apart_and_keep_the_worker_up(tmp_path: Path, phone: Party) -> None:
    target = own_address(), 2223
    with worker(tmp_path, f"--ng={target[0]}:{target[1]}") as ng, others(ng, target) as asked:
        asked.offer("same name", phone.sdp(), Encryption.NONE)
        assert ng.request({"command": "list"})["calls"] == []
        ng.delete("same name")
        assert asked.request({"command": "list"})["calls"] == ["same name"]
        ng.process.terminate()
        time.sleep(0.6)
        assert ng.process.poll() is None
        asked.delete("same name")
        ng.process.terminate()
        assert ng.process.wait(3) == 0


def test_a_port_that_is_taken_is_opened_later(tmp_path: Path) -> None:
    target = own_address(), 2223
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(target)
        with worker(tmp_path, f"--ng={target[0]}:{target[1]}") as ng, others(ng, target) as asked:
            taken.close()
            time.sleep(0.5)
            assert asked.request({"command": "ping"}) == {"result": "pong"}


def test_requests_in_json_may_come_together_and_are_answered_together_in_order(ng: Ng, phone: Party) -> None:
    offer = ng_commands.offer("c", "caller", None, phone.sdp(), SdpWish(Side.PROVIDER, Encryption.NONE))
    requests: list[Mapping[str, JSON]] = [{"command": "ping"}, offer, {"command": "nothing"}, ng_commands.delete("c")]
    datagram = b"\0".join(b"own%d " % number + json.dumps(one).encode() for number, one in enumerate(requests))
    for _ in range(2):  # the copy gets the same replies, and is not done again
        ng.send(datagram + b"\0nonsense\0own9 ")
        replies = [reply.partition(b" ") for reply in ng.receive().split(b"\0")]
        assert [cookie for cookie, _, _ in replies] == [b"own0", b"own1", b"own2", b"own3", b"own9"]
        found = [json.loads(body) for _, _, body in replies]
        assert [reply["result"] for reply in found] == ["pong", "ok", "error", "ok", "error"]
        assert "warning" not in found[3]
    assert ng.request({"command": "list"})["calls"] == []


class Recorder(Commands):
    """Notes what it is to do; pings break it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def execute(self, fields: Mapping[str, object]) -> dict[str, object]:
        self.done.append(str(fields["command"]))
        if fields["command"] == "ping":
            raise KeyError("a bug")
        return {"result": "ok"}


def test_one_request_is_done_at_a_time_and_in_order(tmp_path: Path) -> None:
    asking = bound(tmp_path / "asking")
    commands, loop = Recorder(), Loop(LoopClock(), lambda _: None)
    control = NgListener(bound(tmp_path / "own"), commands, loop)
    asking.sendto(b'a {"command": "offer"}\0b {"command": "answer"}', str(tmp_path / "own"))
    asking.sendto(b'c {"command": "delete"}', str(tmp_path / "own"))
    control.receive()
    control.receive()
    assert commands.done == ["offer"]
    work(loop)
    assert commands.done == ["offer", "answer", "delete"]
    assert [asking.recv(100)[:1] for _ in range(2)] == [b"a", b"c"]
    close(asking, control)


def test_a_request_that_breaks_stops_no_other(tmp_path: Path) -> None:
    asking = bound(tmp_path / "asking")
    commands, loop = Recorder(), Loop(LoopClock(), lambda _: None)
    control = NgListener(bound(tmp_path / "own"), commands, loop)
    asking.sendto(b'a {"command": "ping"}\0b {"command": "answer"}\0c {"command": "ping"}', str(tmp_path / "own"))
    asking.sendto(b'd {"command": "delete"}', str(tmp_path / "own"))
    with pytest.raises(KeyError):
        control.receive()
    control.receive()
    with pytest.raises(KeyError):
        work(loop)
    work(loop)
    assert commands.done == ["ping", "answer", "ping", "delete"]
    close(asking, control)


def work(loop: Loop) -> None:
    while not loop.is_free:
        loop._jobs.popleft()()


def close(asking: socket.socket, control: NgListener) -> None:
    asking.close()
    control.socket.close()
