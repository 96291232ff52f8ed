"""The list of calls, and one call: their questions and the values of their templates.

    query of the address -> CallsAsked -> (a filter of the list) -> rows -> calls_view
    record of a call -> call_view: heading, wire, ladder, chain in sentences, media

Here: pure functions. Every filter stands in the address, so that a view can be sent to a colleague.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlencode

import attrs

from gateway.admin.pages.figures import ladder, sound, wire
from gateway.admin.pages.phrases import CLAIMS, claim, party
from gateway.base.json_codec import Json

Row: TypeAlias = dict[str, Json]

GOOD, FAIR = 4.0, 3.6
"""Mean opinion scores."""
SPANS: Final = {"1h": 3600.0, "24h": 86_400.0, "7d": 604_800.0, "30d": 2_592_000.0}
SPAN_WORDS: Final = {"1h": "Last hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "verdict": {code: one.words for code, one in CLAIMS.items()},
    "direction": {"outbound": "From phones", "inbound": "To phones", "internal": "Between phones"},
    "since": SPAN_WORDS,
    "state": {"up": "Up", "ended": "Ended"},
    "answered": {"yes": "Answered", "no": "Not answered"},
}
CHOICE_NAMES: Final = {
    "verdict": "Protection",
    "direction": "Direction",
    "since": "Time",
    "state": "State",
    "answered": "Answer",
}
_NO_CALL: Final[Row] = dict.fromkeys(
    (
        *("id", "direction", "domain", "provider", "caller", "callee", "state", "verdict", "reason", "cause"),
        *("started_at", "answered_at", "ended_at", "seconds", "status", "ending", "mos"),
    )
)
TEXTS: Final = ("q", "domain", "provider", "reason", "user")
"""Filters with a free text."""
LONGEST: Final = 200


@attrs.frozen
class CallsAsked:
    """The filters of a list, as the address has them; unknown words are left out."""

    given: Mapping[str, str] = attrs.field(factory=dict)
    after: str | None = None
    """The cursor of the page before."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> CallsAsked:
        """From the query of an address."""
        given = {name: text[:LONGEST] for name in TEXTS if (text := query.get(name, "").strip())}
        given |= {name: query[name] for name, allowed in CHOICES.items() if query.get(name) in allowed}
        return cls(given, query.get("after") or None)

    def since(self, now: float) -> float | None:
        """The earliest begin that is wanted, seconds since the epoch."""
        span = SPANS.get(self.given.get("since", ""))
        return None if span is None else now - span

    def link(self, **changes: str | None) -> str:
        """The address of the same list with other filters; from its top."""
        wanted = {**self.given, **changes}
        query = urlencode({name: text for name, text in wanted.items() if text})
        return f"/calls?{query}" if query else "/calls"


@attrs.frozen
class ListedCalls:
    """One page of the list."""

    rows: Sequence[Row] = ()
    following: str | None = None
    """The cursor of the next page."""
    count: tuple[int, bool] | None = None
    """All calls that match, and whether there are more than were counted."""


def calls_view(asked: CallsAsked, listed: ListedCalls, now: float) -> dict[str, object]:
    """The values of the list; ``now`` in seconds since the epoch."""
    chips = [
        (
            CHOICE_NAMES[name],
            [
                (
                    words,
                    asked.given.get(name) == value,
                    asked.link(**{name: None if asked.given.get(name) == value else value}),
                )
                for value, words in allowed.items()
            ],
        )
        for name, allowed in CHOICES.items()
    ]
    texts = [(name, asked.given[name], asked.link(**{name: None})) for name in TEXTS[1:] if name in asked.given]
    return {
        "asked": asked,
        "rows": [listed_call(row, now) for row in listed.rows],
        "chips": chips,
        "texts": texts,
        "following": asked.link(after=listed.following) if listed.following else None,
        "is_first": asked.after is None,
        "top": asked.link(),
        "count": listed.count,
        "hidden": [(name, text) for name, text in asked.given.items() if name != "q"],
    }


def listed_call(row: Row, now: float) -> dict[str, object]:
    """A call as lists show it; one of another version may lack a field."""
    row = {**_NO_CALL, **row}
    is_up = row.get("ended_at") is None
    phone, provider = legs(row)
    return {
        **row,
        "from": party(row.get("caller")),
        "to": party(row.get("callee")),
        "is_up": is_up,
        "length": _length(row, now),
        "phone_leg": phone,
        "provider_leg": provider,
        "outcome": outcome(row),
        "quality": quality(row.get("mos")),
    }


def quality(mos: Json) -> tuple[str, str] | None:
    """The shape of a mean opinion score (ITU-T G.107 annex B: from 4.0 on satisfied, below 3.6 many are not), and the
    score; None where it is not known."""
    if not isinstance(mos, int | float):
        return None
    return "up" if mos >= GOOD else "degraded" if mos >= FAIR else "down", f"{mos:.1f}"


def legs(row: Row) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """The tone, sign and words of the phone's leg and of the provider's.

    A phone's leg in clear has its sign without a colour: most phones speak UDP, and a list full of red would hide the
    calls that left in clear toward the provider.
    """
    verdict = claim(row.get("verdict"))
    provider = (verdict.tone, verdict.sign, f"Provider: {verdict.words.lower()}")
    if verdict.code == "ENCRYPTED":
        return ("encrypted", "closed", "Phone: encrypted"), ("encrypted", "closed", "Provider: encrypted")
    if verdict.code == "ENCRYPTED_TO_PROVIDER":
        return ("none", "open", "Phone: less than TLS and SRTP"), ("encrypted", "closed", "Provider: encrypted")
    return ("none", "dash", "Phone: no claim"), provider


def _length(row: Row, now: float) -> float | None:
    """The answered length in seconds, so far where the call is up; None where it never was, or nobody saw its end."""
    answered, ended = row.get("answered_at"), row.get("ended_at")
    if not isinstance(answered, int | float):
        return None
    if not isinstance(ended, int | float):
        return max(0.0, now - answered)
    seconds = row.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else max(0.0, ended - answered)


def outcome(row: Row) -> str:
    """How a call stands or ended, in a few words."""
    if row.get("ended_at") is None:
        return "Up" if row.get("answered_at") is not None else str(row.get("state") or "being set up").capitalize()
    ending, status = str(row.get("ending") or ""), row.get("status")
    told = ending[:1].upper() + ending[1:]
    if row.get("answered_at") is None and isinstance(status, int):
        return f"{status} {told}" if told and str(status) not in told else told or str(status)
    return told or "Ended"


@attrs.frozen
class Sentence:
    """One link of the chain as a sentence, with its code and that code's remedy."""

    text: str
    code: str
    cause: str
    remedy: str


def chain_sentences(call: Row, remedies: Mapping[str, tuple[str, str]]) -> list[Sentence]:
    """The chain of a call in order; a remedy stands with the first link of its code, but for the one
    that the whole call is explained by."""
    told: list[Sentence] = []
    seen = {str(call.get("reason") or "")}  # its remedy is at the top of the page
    chain = call.get("chain")
    for link in chain if isinstance(chain, list) else []:
        if not isinstance(link, dict):
            continue
        code = str(link.get("code") or "")
        cause, remedy = remedies.get(code, ("", "")) if code not in seen else ("", "")
        seen.add(code)
        text = _sentence(call, str(link.get("leg")), str(link.get("step")), str(link.get("what") or ""))
        told.append(Sentence(text if text.endswith(".") else text + ".", code, cause, remedy))
    return told


def _sentence(call: Row, leg: str, step: str, what: str) -> str:
    end = _end(call, leg)
    match step:
        case "offered" if leg == "callee":
            return f"The gateway offered {end}: {_cased(what)}"
        case "offered" | "answered":
            return f"{_capital(end)} {step}: {_cased(what)}"
        case "admitted":
            return f"{_capital(end)} was let in: {what}"
        case "policy":
            return f"The policy toward {end}: {what}"
        case "outcome":
            return f"The leg of {end} came out as {what}"
        case _:
            return f"{_capital(end)}, {step}: {what}"


def _cased(what: str) -> str:
    """Signalling as people write it: the chain has the words of the policy."""
    for word, written in (("tls, ", "TLS, "), ("clear, ", "signalling in clear, ")):
        if what.startswith(word):
            return written + what.removeprefix(word)
    return what


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _end(call: Row, leg: str) -> str:
    """The party of a leg."""
    direction = call.get("direction")
    if direction == "internal":
        return "the calling phone" if leg == "caller" else "the called phone"
    is_phone = (leg == "caller") == (direction == "outbound")
    return "the phone" if is_phone else "the provider"


def call_view(call: Row, remedies: Mapping[str, tuple[str, str]], now: float) -> dict[str, object]:
    """The values of the page of one call; one of another version may lack a field."""
    call = {**_NO_CALL, **call}
    steps = call.get("ladder")
    rows = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    rungs = ladder.rungs(rows, str(call.get("direction")))
    reason = str(call.get("reason") or "")
    cause, remedy = remedies.get(reason, ("", ""))
    return {
        "call": call,
        "from": party(call.get("caller")),
        "to": party(call.get("callee")),
        "verdict": claim(call.get("verdict")),
        "reason": reason,
        "cause": cause,
        "remedy": remedy,
        "wire": wire.wire(call, now),
        "rungs": rungs,
        "ladder": ladder.drawn(rungs),
        "left_out": call.get("steps_left_out") or 0,
        "right_name": "Phone" if call.get("direction") == "internal" else "Provider",
        "sentences": chain_sentences(call, remedies),
        "streams": sound.streams(call, lambda leg: _capital(_end(call, leg))),
        "is_up": call.get("ended_at") is None,
        "length": _length(call, now),
        "outcome": outcome(call),
    }
