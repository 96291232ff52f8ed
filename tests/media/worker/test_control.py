"""NG in both forms at a real worker: over UDP beside the gateway's socket, and what others' calls are to it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.config import Side
from gateway.media import fields
from gateway.media.relay import JSON, Encryption, Terms
from gateway.media.worker import bencode
from tests.support.media_party import SUITES, Party, media_lines
from tests.support.media_relays import Ng, others, own_address, worker


def test_bencoding_is_answered_in_bencoding_and_json_in_json(tmp_path: Path, phone: Party) -> None:
    target = own_address(), 2223
    offer = dict(fields.offer("c", "caller", None, phone.sdp(), Terms(Side.PROVIDER, Encryption.SAVP, SUITES)))
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
    offer = fields.offer("c", "caller", None, phone.sdp(), Terms(Side.PROVIDER, Encryption.NONE))
    requests: list[Mapping[str, JSON]] = [{"command": "ping"}, offer, {"command": "nothing"}, fields.delete("c")]
    datagram = b"\0".join(b"t%d " % number + json.dumps(one).encode() for number, one in enumerate(requests))
    for _ in range(2):  # the copy gets the same replies, and is not done again
        ng.send(datagram + b"\0nonsense\0t9 ")
        replies = [reply.partition(b" ") for reply in ng.receive().split(b"\0")]
        assert [cookie for cookie, _, _ in replies] == [b"t0", b"t1", b"t2", b"t3", b"t9"]
        found = [json.loads(body) for _, _, body in replies]
        assert [reply["result"] for reply in found] == ["pong", "ok", "error", "ok", "error"]
        assert "warning" not in found[3]
    assert ng.request({"command": "list"})["calls"] == []
