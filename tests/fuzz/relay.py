"""Packets of chance through the hot path in C and its twin: `python -m tests.fuzz.relay LIBRARY SECONDS [SEED]`.

LIBRARY is a build of gateway/native/relay.c of the caller's choice, such as one with sanitizers; "" is the one in use.
Ends with an error as soon as the twins differ. Half of the packets are good ones, so that the others meet streams that
flow, and some are good ones with a few bytes changed, cut or added, or sent again.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import random
import sys
import time

NAME = "gateway.native.relay"


def load(library: str) -> None:
    """Let everybody import that build of the extension from now on."""
    loader = importlib.machinery.ExtensionFileLoader(NAME, library)
    spec = importlib.util.spec_from_file_location(NAME, library, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[NAME] = module


def play(seconds: float, seed: int) -> int:
    """How many packets passed in that time; AssertionError where the twins differ."""
    from tests.support.media_party import SUITES, rtcp, rtp
    from tests.support.relay_twins import Packet, Suites, compare

    chance = random.Random(seed)
    legs: list[Suites] = [*((None, suite) for suite in SUITES), (None, None), ("AEAD_AES_256_GCM", None)]

    def data(number: int) -> bytes:
        good = rtp(number & 0xFFFF, chance.randbytes(chance.choice([0, 20, 160, 1_400])), chance.choice([1, 1, 1, 2]))
        if chance.random() < 0.5:
            return good
        if chance.random() < 0.2:
            return rtcp(kind=chance.randrange(190, 226))[: chance.choice([28, 28, 7, 12])]
        changed = bytearray(good)
        for _ in range(chance.randrange(4)):
            changed[chance.randrange(12)] = chance.randrange(256)
        return bytes(changed[: chance.choice([len(changed), chance.randrange(20)])]) + chance.randbytes(
            chance.choice([0, 0, 1, 200])
        )

    def packet(number: int) -> Packet:
        party, is_sealed, is_moved = chance.randrange(2), chance.random() < 0.8, chance.random() < 0.05
        return Packet(party, data(number), is_sealed, is_moved, number // 2 if chance.random() < 0.1 else None)

    end, passed = time.monotonic() + seconds, 0
    while time.monotonic() < end or not passed:
        packets = [packet(number) for number in range(chance.choice([5, 50, 100]))]
        passed += len(compare(packets, chance.choice(legs), is_multiplexed=chance.random() < 0.7))
    return passed


if __name__ == "__main__":
    if sys.argv[1]:
        load(sys.argv[1])
    number = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    print(f"{play(float(sys.argv[2]), number)} packets, seed {number}: the twins agree")
