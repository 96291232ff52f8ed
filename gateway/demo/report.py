"""What the demonstration prints of its call, and whether the call was what it should be.

What lives here: the text and the judgement. What does not: the ladder's drawing (`ladder`), the measuring (`ear`).
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from gateway.demo.admin_client import CallRecord, Reason
from gateway.demo.audio.listen import Heard
from gateway.demo.ladder import draw
from gateway.demo.roles import PHONE_TONE, PROVIDER_TONE

_LEGS = {"caller": "phone leg", "callee": "provider leg"}

GOOD_VERDICT = "ENCRYPTED_TO_PROVIDER"


@frozen
class Outcome:
    """Everything that is known of the call when it is over."""

    records: tuple[CallRecord, ...]  # the last one is the call that was answered
    phone_heard: Heard
    provider_heard: Heard | None  # None when the provider did not say

    @property
    def record(self) -> CallRecord:
        """The answered call's."""
        return self.records[-1]

    @property
    def is_good(self) -> bool:
        """Encrypted toward the provider, and each end heard the other's tone."""
        provider_tones = self.provider_heard.tones if self.provider_heard else ()
        heard = PROVIDER_TONE in self.phone_heard.tones and PHONE_TONE in provider_tones
        return heard and self.record.verdict == GOOD_VERDICT


def report(outcome: Outcome) -> str:
    """The call for people: ladder, audio, verdict and its reasons."""
    provider_heard = outcome.provider_heard.sentence() if outcome.provider_heard else "nothing was reported"
    return "\n".join(
        [
            "SIP messages of both legs (UDP on the left, TLS on the right)",
            "",
            draw([step for record in outcome.records for step in record.ladder]),
            "",
            "Audio",
            f"  the phone plays {PHONE_TONE} Hz (RTP) and heard: {outcome.phone_heard.sentence()}",
            f"  the provider plays {PROVIDER_TONE} Hz and an echo (SRTP) and heard: {provider_heard}",
            "",
            f"Verdict: {outcome.record.verdict}{_in_brackets(outcome.record.reason)}",
            *_chain(outcome.record.chain),
        ]
    )


def _chain(links: Iterable[Reason]) -> list[str]:
    return [
        f"  {_LEGS.get(link.leg, link.leg):<12}  {link.step:<9} {link.what}{_in_brackets(link.code)}" for link in links
    ]


def _in_brackets(code: str) -> str:
    return f" [{code}]" if code else ""
