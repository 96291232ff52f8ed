"""An hour's packets, every one of them, through a worker process; no sampling (RFC 3711 section 3.3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.media.relay import Encryption
from tests.support.media_hour import HOUR_PACKETS, hour_each_way
from tests.support.media_party import SUITES, Party, cryptos, rtp
from tests.support.media_relays import Ng


@pytest.mark.parametrize("suite", SUITES)
def test_an_hour_arrives_bit_for_bit_each_way(ng: Ng, call: str, phone: Party, provider: Party, suite: str) -> None:
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    (ours,) = (key for _, name, key in cryptos(offer) if name == suite)
    phone.hear_answer(ng.answer(call, provider.answer(offer, suite)))
    phone.send(rtp(59_999))  # locks both sides, so that nothing waits for it
    assert provider.receive() == rtp(59_999)
    provider.send(rtp(4_999))
    assert phone.receive() == rtp(4_999)

    assert hour_each_way(phone, provider, suite, ours) == (HOUR_PACKETS, HOUR_PACKETS)

    for tag in ("caller", "callee"):
        stream: Any = ng.stream(call, tag)
        assert stream["stats"]["packets"] == HOUR_PACKETS + 1
        assert (stream["lost"], stream["stats"]["errors"]) == (0, 0)
