"""The printout of the demonstration: a report of its call with a judgement, then a guide for newcomers.

Lives here: the text and the judgement. Not here: the drawing of ladders, the measuring of audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from gateway.config.model import Configuration
from gateway.ctl import text
from gateway.demo.admin_client import ChainEntry, GatewayRecord, Rung
from gateway.demo.audio.listen import Heard
from gateway.demo.lan import TLS_PORT, LanHost
from gateway.demo.roles import EXTENSION, PASSWORDS, PHONE_TONE, PROVIDER_TONE, Scene
from gateway.transport.flow import Address

GOOD_VERDICT = "ENCRYPTED_TO_PROVIDER"

_LEGS = {"caller": "phone leg", "callee": "provider leg"}

_WIDTH = 28


@frozen
class Outcome:
    """All that is known of the call when it is over."""

    records: tuple[GatewayRecord, ...]  # the last one is the call that was answered
    phone_heard: Heard
    provider_heard: Heard | None  # None when the provider did not say

    @property
    def record(self) -> GatewayRecord:
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
            ladder([step for record in outcome.records for step in record.ladder]),
            "",
            "Audio",
            f"  the phone plays {PHONE_TONE} Hz (RTP) and heard: {outcome.phone_heard.sentence()}",
            f"  the provider plays {PROVIDER_TONE} Hz and an echo (SRTP) and heard: {provider_heard}",
            "",
            f"Verdict: {outcome.record.verdict}{_in_brackets(outcome.record.reason)}",
            *_chain(outcome.record.chain),
        ]
    )


def ladder(rungs: Iterable[Rung], ends: tuple[str, str] = ("phone", "provider")) -> str:
    """Messages of one call or several, in the order of time; times are seconds since the first message."""
    ordered = sorted(rungs, key=lambda rung: rung["at"])
    return text.ladder(ordered, ends, since=ordered[0]["at"] if ordered else 0.0)


def guide(scene: Scene, call_id: str) -> str:
    """Everything, as it is printed after the call."""
    phones = () if scene.lan is None else ("", "A phone of the network", *_settings(scene, scene.lan))
    return "\n".join(["What listens where", *_places(scene), *phones, "", "What to try", *_ideas(scene, call_id)])


def _settings(scene: Scene, lan: LanHost) -> Iterator[str]:
    """All that is typed into a phone or softphone, by the names that they have for it."""
    audio = scene.configuration.media.ports
    for name, value in (
        ("server, registrar, domain", lan.name),
        ("user name", "bob"),
        ("authentication name", "bob"),
        ("password", PASSWORDS["bob"]),
        ("port, transport", f"{scene.phones.port}, UDP (or TCP), without SRTP"),
        ("or with TLS", f"{TLS_PORT}, TLS, with SRTP (SDES); the phone has to trust {lan.authority}"),
        ("then dial", f"{EXTENSION}: a tone, and your own voice again"),
    ):
        yield f"  {name:<{_WIDTH}} {value}"
    yield f"  A firewall here has to let in: udp and tcp {scene.phones.port}, tcp {TLS_PORT}, udp {audio}."
    yield "  Everybody in that network can register, with a password that everybody knows: end it after the try."


def _chain(links: Iterable[ChainEntry]) -> list[str]:
    return [
        f"  {_LEGS.get(link.leg, link.leg):<12}  {link.step:<9} {link.what}{_in_brackets(link.code)}" for link in links
    ]


def _in_brackets(code: str) -> str:
    return f" [{code}]" if code else ""


def _places(scene: Scene) -> Iterator[str]:
    yield from (_place(where, what) for where, what in _gateway_places(scene.configuration))
    yield _place(f"{scene.provider}/tls", f"the demonstration provider, registrar of {scene.domain.name}")
    yield _place(f"{scene.phone}/udp", f"the demonstration phone, {scene.account.aor}")
    yield f"  The output of each process is in {scene.logs}."


def _gateway_places(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for listener in configuration.listeners:
        where = f"{Address(listener.address, listener.port)}/{listener.transport}"
        yield where, f"the gateway's listener {listener.name!r} (side: {listener.side})"
    media = configuration.media
    yield f"{media.address}:{media.ports}/udp", "the gateway's audio relay"
    yield f"{Address(configuration.admin.address, configuration.admin.port)}/http", "the gateway's administration"


def _place(where: str, what: str) -> str:
    return f"  {where:<{_WIDTH}} {what}"


def _ideas(scene: Scene, call_id: str) -> Iterator[str]:
    user, password = "bob", PASSWORDS["bob"]
    yield f"  * Point a softphone on this machine at {scene.phones} (UDP, no SRTP) as user {user}, password"
    yield f"    {password}, domain {scene.domain.name}, and dial {EXTENSION}: you hear a tone and yourself."
    yield f"  * Open {scene.admin}/ for the calls and {scene.admin}/metrics for what is counted."
    yield f"  * .venv/bin/gatewayctl call {call_id} --url {scene.admin}"
    yield "  * Let the provider call each phone that registers: .venv/bin/python -m gateway.demo --call-back-after 10"
    yield f"  * Watch the provider's side: tcpdump -i lo -n host {scene.provider.host}"
