"""The short way of descriptions in the usual form beside the full way: the same bytes, the same state of the call."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.media.worker import usual
from gateway.media.worker.interfaces import Interfaces
from gateway.media.worker.media_call import MediaCall
from gateway.media.worker.offering import NgRefusal, OfferWish
from gateway.media.worker.packet_loop import PYTHON, chosen
from gateway.media.worker.parties import Line
from gateway.media.worker.port_pool import NoPorts, PoolOptions
from gateway.media.worker.rewriting import Profile
from gateway.media.worker.streams.endpoint import Endpoint, StreamServices
from gateway.media.worker.usual import UsualSdp
from gateway.rtp.srtp import PacketBuffer
from gateway.sdp.crypto import SUITE_NAMES, SUITES
from gateway.sdp.description import Description, MalformedDescription
from tests.sdp import test_phones as phones
from tests.support.media_relays import own_address

KEYS = {one.name: base64.b64encode(bytes(range(one.key_bytes + one.salt_bytes))).decode() for one in SUITES}
CRYPTO = [f"a=crypto:{tag} {name} inline:{key}" for tag, (name, key) in enumerate(KEYS.items(), 1)]
HEAD = ["v=0", "o=- 1 2 IN IP4 192.0.2.7", "s=-", "c=IN IP4 192.0.2.7", "t=0 0"]
SIPP = [*HEAD, "m=audio 6000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=sendrecv"]
SECURE = [*HEAD, "m=audio 6000 RTP/SAVP 0", CRYPTO[0], CRYPTO[2]]

Step = tuple[str, int, bytes, OfferWish]
"""offer or answer, the party that makes it, its words, and the form of an offer."""


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


class Way:
    """A call at a worker's ports, where descriptions go one of both ways."""

    def __init__(self, host: str, read: Callable[[bytes], Any]) -> None:
        buffer, numbers = PacketBuffer(), count(1)
        made = chosen(PYTHON, lambda _: None, buffer, 0.0)
        made.loop.clock.now = 1_000.0
        self._read, ports = read, PoolOptions("", 31_200, 31_299, 0.0)
        names = [f"{name}/{host}!192.0.2.99" for name in ("phones", "provider")]
        interfaces = Interfaces(names, ports, made.loop)
        self._services = StreamServices(made.loop, made.loop.clock, interfaces, buffer, made.hot_path, made.counters)
        self.call = MediaCall(self._services, lambda size: next(numbers).to_bytes(size, "big"), ("phones", "provider"))

    def done(self, step: Step) -> object:
        """The bytes, or the refusal."""
        name, side, sdp, wish = step
        try:
            told = self._read(sdp)
            if name == "offer":
                return self.call.offer(side, told, wish)
            return self.call.answer(side, told, is_early=name == "early")
        except (NgRefusal, NoPorts, MalformedDescription) as error:
            return type(error), str(error)

    def state(self) -> object:
        """All of the call that a later command or packet could tell."""
        call, streams = self.call, {id(one): number for number, one in enumerate(self.call.streams)}
        first = call.streams[0].ends[0].pair.port if call.streams else 0
        return (
            [(party.name, party.source, party.version, party.written) for party in call.parties],
            [[(streams.get(id(line.stream)), _fields(line)) for line in party.lines] for party in call.parties],
            [(one.offered, one._keys, one._shown, one.is_released) for one in call.streams],
            [_end(end, first) for one in call.streams for end in one.ends],
            (call.offerer, call.takes_clear, call.is_urgent, call.has_open_offer, call.is_answered, call.fork),
        )

    def close(self) -> None:
        self.call.close()


def _fields(line: Line) -> list[object]:
    """Those of an m-line, but for its stream."""
    return [getattr(line, field.name) for field in attrs.fields(Line) if field.name != "stream"]


def _end(end: Endpoint, first: int) -> object:
    latches = [(one.expected, one.source, one.hosts) for one in (end.latch, end.control.latch)]
    sessions = end.sessions
    keys = sessions._keys, list(sessions._senders), list(sessions._receivers), sessions.is_refusing
    return end.remote, end.is_described, end.is_open, latches, keys, end.pair.port - first, end.target is None


def usually(sdp: bytes) -> UsualSdp | Description:
    return UsualSdp.read(sdp.decode("utf-8", "surrogateescape")) or Description.parse(sdp)


def compare(steps: list[Step]) -> list[object]:
    """The results of all steps: the same both ways, as is the state of the call after each."""
    short, full = Way(own_address(), usually), Way(own_address(), Description.parse)
    try:
        results = []
        for step in steps:
            results.append(short.done(step))
            assert results[-1] == full.done(step), step
            assert short.state() == full.state(), step
        return results
    finally:
        short.close()
        full.close()


PLAIN, SAVP, OSRTP = OfferWish(Profile.PLAIN), OfferWish(Profile.SAVP), OfferWish(Profile.OSRTP)
FORKED = OfferWish(Profile.SAVP, suites=SUITE_NAMES[1:], takes_clear=True, is_urgent=True, fork=2)
USUAL = {
    "sipp": SIPP,
    "keys": SECURE,
    "c= and a=rtcp below, bandwidth": [
        *(line for line in HEAD if line[0] != "c"), "m=audio 4000 RTP/AVP 96 0", "c=IN IP4 192.0.2.8", "b=TIAS:64000",
        "a=rtcp:4321 IN IP4 192.0.2.9", "a=rtpmap:96 opus/48000/2", "a=rtcp-mux", "a=mid:0",
    ],
    "direction of the session": [*HEAD, "a=sendonly", "a=tool:x", "m=audio 65535 RTP/AVPF 9", "a=rtcp-fb:* nack"],
    "a name for an address": [*HEAD[:3], "c=IN IP4 phone.example", "b=AS:84", "t=0 0", "m=audio 1 RTP/AVP 18"],
    "its own c= beside the session's 0.0.0.0": [
        *HEAD[:3], "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 6000 RTP/AVP 0", "c=IN IP4 192.0.2.8",
    ],
    "keys of no use": [*HEAD, "m=audio 6000 RTP/AVP 0", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA"],
}  # fmt: skip
UNUSUAL = {
    "on hold": [*HEAD[:3], "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 6000 RTP/AVP 0"],
    "refused": [*HEAD, "m=audio 0 RTP/AVP 0"],
    "two lines": [*SIPP, "m=video 6002 RTP/AVP 31"],
    "fax": [*HEAD, "m=image 6000 udptl t38"],
    "a key elsewhere": [*HEAD, "k=clear:x", "m=audio 6000 RTP/AVP 0"],
    "a key in an attribute": [*SIPP, "a=x-key:1"],
    "a key with a blank": [*SIPP, "a= crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"],
    "an attribute with a blank": [*SIPP, "a=ptime: 20"],
    "port too high": [*HEAD, "m=audio 65536 RTP/AVP 0"],
    "ICE": [*SIPP, "a=ice-ufrag:abcd"],
    "another version": ["v=1", *SIPP[1:]],
    "bandwidth after an attribute": [*SIPP, "b=AS:64"],
    "too long": [*SIPP, f"a=x:{'x' * 4_096}"],
}


@pytest.mark.parametrize("lines", USUAL.values(), ids=USUAL)
def test_a_description_in_the_usual_form_is_read_the_short_way(lines: list[str]) -> None:
    assert UsualSdp.read(text(lines).decode()) is not None


@pytest.mark.parametrize("lines", UNUSUAL.values(), ids=UNUSUAL)
def test_any_other_is_left_to_the_full_way(lines: list[str]) -> None:
    assert UsualSdp.read(text(lines).decode()) is None


def test_each_sort_of_line_end_but_crlf_is_left_to_the_full_way() -> None:
    usual_text = text(SIPP).decode()
    for other in (usual_text.replace("\r", ""), usual_text.replace("\n", ""), usual_text[:-2], usual_text + "\r\n"):
        assert UsualSdp.read(other) is None


@pytest.mark.parametrize("offer", [*USUAL.values(), *UNUSUAL.values()], ids=[*USUAL, *UNUSUAL])
@pytest.mark.parametrize("wish", [PLAIN, SAVP, OSRTP, FORKED], ids=["plain", "savp", "osrtp", "forked"])
def test_both_ways_write_the_same(offer: list[str], wish: OfferWish) -> None:
    answers = [SIPP, SECURE, [*HEAD, "m=audio 7000 RTP/AVP 0", "a=rtcp-mux", CRYPTO[1]]]
    for answer in answers:
        steps: list[Step] = [("offer", 0, text(offer), wish), ("early", 1, text(answer), wish)]
        compare([*steps, ("answer", 1, text(answer), wish), ("offer", 0, text(SIPP), wish), steps[1]])


PHONES = {name: words for name, words in vars(phones).items() if isinstance(words, str) and words.startswith("v=0")}


@pytest.mark.parametrize("sdp", PHONES.values(), ids=PHONES)
def test_both_ways_write_the_same_to_phones_of_all_kinds(sdp: str) -> None:
    for wish in (PLAIN, SAVP, OfferWish(Profile.SAVP, is_dual=True)):
        compare([("offer", 0, sdp.encode(), wish), ("answer", 1, text(SECURE), wish), ("answer", 1, text(SIPP), wish)])
        compare([("offer", 0, text(SIPP), wish), ("answer", 1, sdp.encode(), wish)])


def test_rfc3264_8_4_an_address_of_the_session_that_no_line_has_is_no_hold() -> None:
    """A refresh, which goes the full way, would mute the call."""
    offer = text(USUAL["its own c= beside the session's 0.0.0.0"])
    first, _, again = compare(
        [("offer", 0, offer, PLAIN), ("answer", 1, text(SIPP), PLAIN), ("offer", 0, offer, PLAIN)]
    )
    for written in (first, again):
        assert isinstance(written, bytes)
        assert b"0.0.0.0" not in written


def test_rfc_4568_section_7_1_4_an_offer_told_again_has_its_keys_the_short_way_first() -> None:
    """The first offer goes the short way, all later ones the full way: they know each other's."""
    again = OfferWish(Profile.SAVP, is_repeated=True)
    other = text([*SIPP, "a=ptime:30"])
    results = compare(
        [
            ("offer", 0, text(SIPP), SAVP),
            ("answer", 1, text([*HEAD, "m=audio 7000 RTP/SAVP 0", CRYPTO[2]]), SAVP),
            ("offer", 0, other, SAVP),
            ("offer", 0, text(SIPP), again),
        ]
    )
    first, last = (sorted(line for line in bytes(results[at]).split(b"\r\n") if b"crypto" in line) for at in (0, 3))  # type: ignore[call-overload]
    assert len(first) == len(SUITE_NAMES)
    assert first == last


def test_no_key_is_remembered() -> None:
    usual._form.cache_clear()
    for lines in UNUSUAL["a key in an attribute"], UNUSUAL["ICE"], [*SIPP, "a=x:inline:AAAA"]:
        assert UsualSdp.read(text(lines).decode()) is None
    assert usual._form.cache_info().currsize == 0
    assert UsualSdp.read(text(SECURE).decode()) is not None
    assert usual._form.cache_info().currsize == 1
    assert KEYS[SUITE_NAMES[0]] not in repr(UsualSdp.read(text(SECURE).decode()))


_ATTRIBUTES = st.sampled_from(
    [
        *CRYPTO,
        CRYPTO[0] + "|2^31",
        CRYPTO[0] + "|1:1",
        CRYPTO[0] + " UNENCRYPTED_SRTP",
        CRYPTO[1] + " ",
        "a=crypto",
        "a=crypto:",
        "a=crypto:x",
        "a=rtcp:5 IN IP4 192.0.2.1",
        "a=rtcp:70000",
        "a=rtcp:",
        "a=rtcp",
        "a=rtcp:5 IN IP6 ::1",
        "a=sendrecv",
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=rtcp-mux",
        "a=mid:1",
        "a=group:BUNDLE 1",
        "a=setup:active",
        "a=fingerprint:sha-1 AB",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:8 x",
        "a=fmtp:0 a=1",
        "a=x:",
        "a=:x",
        "a=",
        "a= x",
        "a=x ",
        "a=rtcp-fb:* nack",
        "a=RTCP-fb:0 y",
        "a=ssrc:1 cname:x",
        "b=AS:64",
        "i=x",
        "c=IN IP4 192.0.2.3",
        "c=IN IP4 192.0.2.3/127",
        "c=IN IP4 0.0.0.0",
        "c=IN IP6 ::1",
        "k=clear:x",
        "a=3ge2ae:requested",
        "a=\t",
        "a=x\x0bv=0",
    ]
)
_PORTS = st.sampled_from(["0", "1", "6000", "06000", "65535", "65536", "6000/2", "x"])
_PROFILES = st.sampled_from(["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF", "rtp/avp", "UDP/TLS/RTP/SAVPF", "udptl"])


@st.composite
def descriptions(draw: st.DrawFn) -> bytes:
    """Near the usual form, mostly within it."""
    lines = ["v=0", draw(st.sampled_from(["o=- 1 2 IN IP4 192.0.2.7"] * 4 + ["o=a b 1 2 IN IP4 h", "o=x"])), "s=-"]
    lines += draw(st.sampled_from([["c=IN IP4 192.0.2.7"]] * 4 + [[], ["c=IN IP6 ::2"], ["i=x", "c=IN IP4 192.0.2.7"]]))
    lines += draw(st.sampled_from([["t=0 0"]] * 4 + [["b=AS:1", "t=0 0"], ["t=0 0", "a=sendonly"], []]))
    for _ in range(draw(st.sampled_from([1, 1, 1, 1, 2]))):
        port = draw(st.one_of(st.just("6000"), _PORTS))
        profile = draw(st.one_of(st.sampled_from(["RTP/AVP", "RTP/SAVP"]), _PROFILES))
        kind, formats = draw(st.sampled_from(["audio"] * 5 + ["video"])), draw(st.sampled_from(["0", "96 0", ""]))
        lines.append(f"m={kind} {port} {profile} {formats}")
        lines += draw(st.lists(_ATTRIBUTES, max_size=4))
    return text(lines)


_WISHES = st.builds(
    OfferWish,
    st.sampled_from([Profile.PLAIN, Profile.SAVP, Profile.OSRTP, Profile.DTLS, None]),
    is_dual=st.sampled_from([False, False, False, True]),
    suites=st.sampled_from([SUITE_NAMES, SUITE_NAMES[2:]]),
    takes_clear=st.booleans(),
    is_repeated=st.booleans(),
    fork=st.sampled_from([0, 0, 1, 2]),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(["offer", "answer", "early"]), st.sampled_from([0, 1]), descriptions(), _WISHES),
        max_size=3,
    ),
    descriptions(),
    _WISHES,
)
def test_both_ways_leave_the_same(later: list[Step], first: bytes, wish: OfferWish) -> None:
    compare([("offer", 0, first, wish), *later])
