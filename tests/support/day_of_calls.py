"""A day of calls as an office has them, made by chance that repeats itself: for pages, their screenshots, and bounds.

    calls(now, number, seed) -> records in the form that CallHistory keeps, the oldest first

Most calls fall into the hours of work; a few leave in clear, are refused, or find nobody. Ladders and chains are those
that the gateway writes for such calls.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from gateway.base.json_codec import Json

Row = dict[str, Json]

HOURS: Final = (2, 1, 1, 1, 1, 3, 12, 38, 82, 110, 118, 112, 74, 92, 116, 114, 96, 64, 34, 22, 14, 10, 6, 3)
"""How busy each hour of the day is."""
PEOPLE: Final = (
    *(("ana", "Ana Kovač"), ("ben", "Ben Adler"), ("chiara", "Chiara Rossi"), ("deniz", "Deniz Yıldız")),
    *(("emma", "Emma Lindqvist"), ("farid", "Farid Nassar"), ("grace", "Grace Obi"), ("hugo", "Hugo Martin")),
    *(("reception", "Reception"), ("door", "Door"), ("lab", "Laboratory"), ("workshop", "Workshop")),
)
DOMAIN: Final = "example.com"
BRANCH: Final = "branch.example.com"


@attrs.frozen
class Kind:
    """A way that a call can go."""

    weight: int
    verdict: str
    reason: str = ""
    status: int = 200
    ending: str = "caller hung up"
    cause: str = ""


KINDS: Final = (
    Kind(820, "ENCRYPTED_TO_PROVIDER"),
    Kind(60, "ENCRYPTED"),
    Kind(14, "SIGNALLING_ONLY", "CLEAR_PEER_NO_SRTP"),
    Kind(5, "CLEAR", "CLEAR_PEER_NO_TLS"),
    Kind(9, "REFUSED", "REFUSED_CERTIFICATE", 503, "the provider's certificate has expired"),
    Kind(60, "UNANSWERED", "", 486, "Busy Here"),
    Kind(34, "UNANSWERED", "", 487, "caller hung up"),
    Kind(12, "UNANSWERED", "", 404, "Not Found"),
    Kind(4, "UNANSWERED", "PROVIDER_ERROR", 503, "Service Unavailable"),
)


def calls(now: float, number: int, seed: int = 7, days: float = 1.0) -> Iterator[Row]:
    """Records of calls that began within ``days`` before now, the oldest first; each ended before now."""
    chance = random.Random(seed)
    begins = sorted(_begin(chance, now, days) for _ in range(number))
    for index, began in enumerate(begins):
        yield _call(chance, began, now, index)


def _begin(chance: random.Random, now: float, days: float) -> float:
    while True:
        at = now - chance.uniform(600, days * 86_400)
        if chance.uniform(0, max(HOURS)) <= HOURS[datetime.fromtimestamp(at, UTC).hour]:
            return at


def _call(chance: random.Random, began: float, now: float, index: int) -> Row:
    user, name = chance.choice(PEOPLE)
    outside = f"+49{chance.choice(('30', '89', '40', '221'))}{chance.randrange(10**6, 10**8)}"
    direction = "inbound" if chance.random() < 0.4 else "outbound"
    domain = BRANCH if chance.random() < 0.2 else DOMAIN
    kind = chance.choices(KINDS, [one.weight for one in KINDS])[0]
    phone, other = f'"{name}" <sip:{user}@{domain}>', f"sip:{outside}@{domain}"
    caller, callee = (phone, other) if direction == "outbound" else (other, f"sip:{user}@{domain}")
    ring = chance.lognormvariate(-0.6, 0.5)
    answer = ring + chance.uniform(1, 9)
    length = min(chance.lognormvariate(4.6, 1.0), 500, now - began - answer - 5)
    is_answered = kind.status == 200
    ended = began + (answer + length if is_answered else ring + chance.uniform(0.2, 8))
    media = _media(chance, direction, kind, ended, length) if is_answered else None
    return {
        "id": f"{chance.getrandbits(128):032x}",
        "direction": direction,
        "domain": domain,
        "provider": "backup" if domain == BRANCH else "main",
        "caller": caller,
        "callee": callee,
        "state": "ended",
        "verdict": kind.verdict,
        "reason": kind.reason,
        "cause": kind.cause,
        "emergency": False,
        "started_at": began,
        "answered_at": began + answer if is_answered else None,
        "ended_at": ended,
        "seconds": round(length, 3) if is_answered else 0.0,
        "status": kind.status,
        "ending": "callee hung up" if is_answered and index % 3 == 0 else kind.ending,
        "ladder": [*_ladder(began, ring, answer if is_answered else ended - began, ended - began, kind)],
        "steps_left_out": 0,
        "chain": [*_chain(direction, kind)],
        "media": media,
        "mos": _mos(media),
    }


def _mos(media: Json) -> Json:
    """The mean opinion score of the worse direction."""
    text = json.dumps(media)
    scores = [float(text) for text in re.findall(r'"MOS": ([0-9.]+)', text)]
    return min(scores, default=None)


def _ladder(began: float, ring: float, answer: float, end: float, kind: Kind) -> Iterator[Json]:
    def step(after: float, leg: str, passage: str, what: str) -> Json:
        return {"at": began + after, "leg": leg, "direction": passage, "what": what}

    yield step(0, "caller", "received", "INVITE")
    yield step(0.001, "caller", "sent", "100 Trying")
    if kind.verdict == "REFUSED":
        yield step(0.09, "caller", "sent", "503 Service Unavailable")
        yield step(0.1, "caller", "received", "ACK")
        return
    yield step(0.003, "callee", "sent", "INVITE")
    yield step(0.021, "callee", "received", "100 Trying")
    yield step(ring, "callee", "received", "180 Ringing")
    yield step(ring + 0.001, "caller", "sent", "180 Ringing")
    if kind.status != 200:
        told = f"{kind.status} {kind.ending if kind.status != 487 else 'Request Terminated'}"
        yield step(answer, "callee", "received", told)
        yield step(answer + 0.001, "callee", "sent", "ACK")
        yield step(answer + 0.001, "caller", "sent", told)
        yield step(answer + 0.02, "caller", "received", "ACK")
        return
    yield step(answer, "callee", "received", "200 OK")
    yield step(answer + 0.001, "callee", "sent", "ACK")
    yield step(answer + 0.006, "caller", "sent", "200 OK")
    yield step(answer + 0.506, "caller", "sent", "200 OK")
    yield step(answer + 0.52, "caller", "received", "ACK")
    yield step(end, "caller", "received", "BYE")
    yield step(end + 0.001, "caller", "sent", "200 OK")
    yield step(end + 0.003, "callee", "sent", "BYE")
    yield step(end + 0.02, "callee", "received", "200 OK")


def _chain(direction: str, kind: Kind) -> Iterator[Json]:
    def link(leg: str, step: str, what: str, code: str = "") -> Json:
        return {"leg": leg, "step": step, "what": what, "code": code}

    provider, phone = ("callee", "caller") if direction == "outbound" else ("caller", "callee")
    if kind.verdict == "REFUSED":
        yield link("callee", "offered", "tls, RTP/SAVP with SDES keys")
        yield link("callee", "answered", "failed: the certificate expired on 2026-11-28 (certificate)")
        yield link("callee", "policy", "the provider's certificate does not verify", kind.reason)
        return
    if kind.reason == "CLEAR_PEER_NO_TLS":
        yield link("callee", "offered", "tls, RTP/SAVP with SDES keys")
        yield link("callee", "answered", "failed: its port refuses connections (refused)")
        yield link("callee", "offered", "clear, RTP/AVP", kind.reason)
    else:
        yield link("callee", "offered", "tls, RTP/SAVP with SDES keys")
    if kind.status != 200:
        return
    is_srtp = kind.verdict.startswith("ENCRYPTED")
    yield link("callee", "answered", "SRTP" if is_srtp else "RTP in clear")
    yield link("callee", "policy", "accepted", kind.reason if kind.verdict == "SIGNALLING_ONLY" else "")
    way = "UDP in clear" if kind.verdict == "CLEAR" else "TLS"
    yield link(provider, "outcome", f"{way}, {'SRTP' if is_srtp else 'RTP in clear'}")
    phone_leg = "TLS, SRTP" if kind.verdict == "ENCRYPTED" else "UDP in clear, RTP in clear"
    yield link(phone, "outcome", phone_leg)


def _course(chance: random.Random, length: float, loss: float) -> Json:
    """A sample each ten seconds, as a worker takes them, with a bad moment."""
    number = min(int(length // 10), 29)
    bad = chance.randrange(number) if number else 0
    shares = [round(min(loss * 12, 0.2) if one == bad else loss / 2, 4) for one in range(number)]
    return [
        [10.0 * (one + 1), share, round(abs(chance.gauss(3, 2)), 1), round(max(4.41 - share * 25, 1.0), 2)]
        for one, share in enumerate(shares)
    ]


def _media(chance: random.Random, direction: str, kind: Kind, ended: float, length: float) -> Json:
    provider, phone = ("callee", "caller") if direction == "outbound" else ("caller", "callee")
    is_srtp = kind.verdict.startswith("ENCRYPTED")

    def tag(name: str, side: str, suite: str | None) -> Json:
        loss = max(0.0, round(chance.gauss(0.002, 0.004), 5))
        stream: dict[str, Json] = {
            "local port": 20_000,
            "last packet": int(ended),
            "lost": int(length * 50 * loss),
            "loss": loss,
            "jitter": round(abs(chance.gauss(3, 2)), 2),
            "round trip": round(abs(chance.gauss(28, 9)), 1),
            "MOS": round(min(4.41, 4.41 - loss * 25 - abs(chance.gauss(0, 0.06))), 2),
            "one way": False,
            "errors by cause": {},
            "course": _course(random.Random(f"{name} {ended}"), length, loss),
            "stats": {"packets": int(length * 50), "bytes": int(length * 8600), "errors": 0},
        }
        if suite:
            stream["crypto suite"] = suite
        profile = "RTP/SAVP" if suite else "RTP/AVP"
        medias: list[Json] = [{"index": 1, "type": "audio", "protocol": profile, "streams": [stream]}]
        return {"tag": name, "side": side, "medias": medias}

    return {
        "result": "ok",
        "tags": {
            phone: tag(phone, "phones", "AES_CM_128_HMAC_SHA1_80" if kind.verdict == "ENCRYPTED" else None),
            provider: tag(provider, "provider", "AEAD_AES_256_GCM" if is_srtp else None),
        },
        "totals": {"RTP": {"packets": int(length * 100), "bytes": int(length * 17_200), "errors": 0}},
    }
