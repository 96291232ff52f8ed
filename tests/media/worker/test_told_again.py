"""Exchanges that the worker is told again, since a later one came to nothing or another fork has answered; and m-lines
that a worker sees for the first time switched off, since another relay had the call before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.config.model import Side
from gateway.media.relay import Encryption
from tests.support.media_party import SUITES, Party, cryptos, media_lines, rtp
from tests.support.media_relays import Ng, NgError, own_address

GCM, SHA1_80 = SUITES[0], SUITES[2]


@pytest.fixture
def fork() -> Iterator[Party]:
    party = Party(own_address())
    yield party
    party.close()


def crosses(sender: Party, receiver: Party, number: int) -> None:
    sender.send(rtp(number))
    assert receiver.receive() == rtp(number)


def test_rfc_4568_section_7_1_4_fork_keeps_the_key_that_it_was_offered(
    ng: Ng, call: str, phone: Party, provider: Party, fork: Party
) -> None:
    """One fork takes another suite than the one that answers in the end, and offers something in between."""
    offer = ng.offer(call, phone.sdp(), Encryption.SAVP)
    answer = provider.answer(offer, GCM)
    phone.hear_answer(ng.answer(call, answer))
    crosses(phone, provider, 1)
    ng.answer(call, fork.answer(offer, SHA1_80))
    update = fork.sdp("RTP/SAVP", [(1, SHA1_80, fork.key(SHA1_80))])
    ng.offer(call, update, Encryption.NONE, side=Side.PHONES, from_tag="callee", to_tag="caller")
    again = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee", is_repeated=True)
    assert sorted(cryptos(again)) == cryptos(offer)  # its reader is not shown it
    ng.answer(call, answer)
    crosses(phone, provider, 2)
    crosses(provider, phone, 3)


def test_phones_of_one_user_are_offered_keys_of_their_own_and_each_can_answer(
    ng: Ng, call: str, phone: Party, provider: Party, fork: Party
) -> None:
    """RFC 4568 section 7.3: a phone that rings, too, has no key of the one that answers. `phone` is the caller here."""
    readers = {1: provider, 2: fork}
    offers = {number: ng.offer(call, phone.sdp(), Encryption.SAVP, fork=number) for number in readers}
    keys = {number: {key for _, _, key in cryptos(offer)} for number, offer in offers.items()}
    assert not keys[1] & keys[2]
    for number, reader in readers.items():
        again = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee", is_repeated=True, fork=number)
        assert sorted(cryptos(again)) == sorted(cryptos(offers[number]))
        phone.hear_answer(ng.answer(call, reader.answer(offers[number], GCM)))
        crosses(phone, reader, number)
        crosses(reader, phone, 10 + number)
    held = ng.offer(call, phone.sdp(), Encryption.SAVP, to_tag="callee", fork=2)
    assert sorted(cryptos(held)) == sorted(cryptos(offers[2])), "an offer without changes makes no new key"


def test_rfc_3261_section_14_1_suite_of_before_has_its_key_and_its_count_again(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    def offer(suite: str, *, is_repeated: bool = False) -> bytes:
        sdp = provider.sdp("RTP/SAVP", [(1, suite, provider.key(suite))])
        return ng.offer(call, sdp, Encryption.NONE, side=Side.PHONES, is_repeated=is_repeated)

    phone.aim(offer(SHA1_80))
    answer = ng.answer(call, phone.sdp())
    provider.hear_answer(answer)
    for number in (65_534, 65_535, 0, 1):  # over the end of the sequence numbers (RFC 3711 section 3.3.1)
        crosses(phone, provider, number)
        crosses(provider, phone, number)
    offer(GCM)
    ng.answer(call, phone.sdp())
    offer(SHA1_80, is_repeated=True)
    assert cryptos(ng.answer(call, phone.sdp())) == cryptos(answer)
    crosses(phone, provider, 2)
    crosses(provider, phone, 2)


def test_suite_that_is_left_for_good_has_another_key_when_it_comes_again(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    keys = []
    for suite in (SHA1_80, GCM, SHA1_80):
        sdp = provider.sdp("RTP/SAVP", [(1, suite, provider.key(suite))])
        ng.offer(call, sdp, Encryption.NONE, side=Side.PHONES)
        keys += [key for _, _, key in cryptos(ng.answer(call, phone.sdp()))]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("place", [0, 1])
def test_rfc_3264_section_8_line_that_was_switched_off_stays_in_its_place(
    ng: Ng, call: str, phone: Party, provider: Party, place: int
) -> None:
    head, _, audio = phone.sdp().partition(b"m=")
    lines = [b"m=" + audio]
    lines.insert(place, b"m=video 0 RTP/AVP 96\r\n")
    for _ in range(2):
        offer = ng.offer(call, head + b"".join(lines), Encryption.SAVP)
        found = [(kind, port == 0) for kind, port, _ in media_lines(offer)]
        assert found == [("video", True), ("audio", False)][:: 1 if place == 0 else -1]


def test_rfc_3711_section_9_1_key_of_ours_is_not_taken_as_the_peers(
    ng: Ng, call: str, phone: Party, provider: Party
) -> None:
    """Both directions would have one keystream wherever their SSRCs are the same."""
    tag, suite, key = cryptos(ng.offer(call, phone.sdp(), Encryption.SAVP))[0]
    with pytest.raises(NgError):
        ng.answer(call, provider.sdp("RTP/SAVP", [(tag, suite, key)]))
