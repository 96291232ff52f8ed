"""Calls of a web phone, over WSS with DTLS-SRTP, to the provider and from it.

    a page, registered --WSS, ICE, DTLS-SRTP--> gateway --> provider, and back

Each case has a domain of its own. Here: the cases and their course. Not here: the page (web_agent), the provider
(scene), the document (table). The same cases without processes: tests/support/matrix_web.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from tests.support import messages
from tests.support.calls.hosts import Hosts
from tests.support.calls.wire import Audio
from tests.support.matrix.agent import Answer
from tests.support.matrix.cells import POLICIES, Media
from tests.support.matrix.configuration import Served
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.gateway import Row
from tests.support.matrix.houses import KINDS_BY_MEDIA
from tests.support.matrix.scene import Scene
from tests.support.matrix.sound import Heard
from tests.support.matrix.web_agent import HEAR_WITHIN, ORIGIN, WebAgent, WebStream
from tests.support.media_browser import certificate_of, elliptic

TITLE: Final = "A web phone (WSS, DTLS-SRTP)"
WEB_HOST: Final = 157
AT_ONCE: Final = 6
REFUSED: Final = "REFUSED_FINGERPRINT"

LISTENER: Final = """
[[listener]]
name = "web"
side = "phones"
transport = "wss"
address = "{address}"
port = {port}
certificate = "{chain}"
private_key = "{key}"
origins = ["{origin}"]
"""


@attrs.frozen
class Course:
    """The caller, its offer, and the called one's answer to SRTP."""

    is_called: bool = False
    offer: str = "dtls"
    """Of the web phone: "dtls", "sha-1", "none" (no fingerprint), "rtp". Of the provider: "srtp", "rtp"."""
    media: Media = Media.SRTP
    is_forged: bool = False
    """Whether the handshake shows another certificate than the SDP has."""


COURSES: Final = {
    "calls": Course(),
    "calls, the provider answers SRTP with 488": Course(media=Media.REFUSED),
    "calls, the provider answers SRTP with RTP": Course(media=Media.RTP),
    "calls with a fingerprint of SHA-1": Course(offer="sha-1"),
    "calls without a fingerprint": Course(offer="none"),
    "calls with RTP": Course(offer="rtp"),
    "calls, and shows another certificate than its SDP": Course(is_forged=True),
    "is called with SRTP": Course(is_called=True, offer="srtp"),
    "is called with RTP": Course(is_called=True, offer="rtp"),
    "is called, and shows another certificate than its SDP": Course(is_called=True, offer="srtp", is_forged=True),
}


@attrs.frozen
class Case:
    """One call; its domain is its own."""

    index: int
    row: str
    policy: str

    @property
    def domain(self) -> str:
        return f"w{self.index}.test"

    @property
    def course(self) -> Course:
        return COURSES[self.row]

    def __str__(self) -> str:
        return f"{TITLE}: {self.row}, {self.policy}"


def cases() -> Iterator[Case]:
    """All of them, row by row."""
    places = ((row, policy) for row in COURSES for policy in POLICIES)
    for index, (row, policy) in enumerate(places, 1):
        yield Case(index, row, policy)


@attrs.define
class WebPlayed:
    """One case, played."""

    case: Case
    caller: Exchange | None = None
    callees: list[Exchange] = attrs.Factory(list)
    claim: Row = attrs.Factory(dict)
    heard: tuple[str, str] = ("", "")
    """That came to the web phone and to the provider."""

    @property
    def is_cut(self) -> bool:
        """Whether the call was answered, and the gateway ended it for its certificate."""
        return self.claim.get("reason") == REFUSED

    @property
    def status(self) -> int:
        """That the caller was told; 488 where the gateway took the answer back. 0: nothing."""
        return 0 if self.caller is None else 488 if self.is_cut else self.caller.status

    @property
    def ends(self) -> tuple[Exchange, Exchange]:
        """Of the web phone and of the provider, in a call that was answered."""
        assert self.caller is not None, "it was answered"
        callee = next((one for one in reversed(self.callees) if one.dialog[0]), self.callees[-1])
        return (callee, self.caller) if self.case.course.is_called else (self.caller, callee)

    def seen(self) -> str:
        """The verdict by the bytes of both wires; empty for a call that was not answered, or was ended for that."""
        if self.status != 200:
            return ""
        (page, provider), (here, there) = self.ends, self.heard
        if not provider.wire.is_tls:
            return "MEDIA_ONLY_WEAK" if there == Heard.SRTP else "CLEAR"
        if there != Heard.SRTP:
            return "SIGNALLING_ONLY"
        return "ENCRYPTED" if page.wire.is_tls and here == Heard.SRTP else "ENCRYPTED_TO_PROVIDER"


def shown(played: WebPlayed) -> str:
    """The text of a cell."""
    verdict, reason = str(played.claim["verdict"]), str(played.claim["reason"])
    first = verdict if played.status == 200 else f"{verdict} {played.status}"
    return f"{first}<br>{reason}" if reason else first


class WebScene(Scene):
    """The stage with a listener for pages, and their host."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        super().__init__(hosts, directory, "web")
        self.port = hosts.port(hosts.gateway)
        host = hosts.host(WEB_HOST)
        self.page = WebAgent("page", host, hosts.port(host), self._page_answers)
        self.stream: WebStream
        self.forging: set[str] = set()
        """Domains of calls in which the page's SDP has the fingerprint of another certificate."""

    async def begin(self, domains: Iterable[Served]) -> None:
        """See ``Scene.begin``; then the page connects."""
        await super().begin(domains)
        context, gateway = self.identities.client(None), self.hosts.gateway
        _, self.stream = await asyncio.get_running_loop().create_connection(
            lambda: WebStream(context, self.page.receive, f"{gateway}:{self.port}"),
            gateway,
            self.port,
            local_addr=(self.page.address, 0),
        )
        self._connections.append(self.stream)
        await asyncio.wait_for(self.stream.opened, 15)

    def close(self) -> None:
        """See ``Scene.close``."""
        self.page.close()
        super().close()

    def sdp(self, case: Case, port: int, setup: str = "actpass") -> bytes:
        """The page's, for its media at that port."""
        course = case.course
        if course.offer == "rtp" and not course.is_called:
            return messages.offer(self.page.address, port, srtp=False)
        browser = self.page.browsers[port]
        told = browser.fingerprint("sha-1") if course.offer == "sha-1" else None
        if course.is_forged:
            browser.certificate, true = certificate_of(elliptic()), browser.certificate
            told = browser.fingerprint()
            browser.certificate = true
        sdp = browser.sdp(setup, fingerprint=told, formats="0")
        return sdp.replace(b"a=fingerprint:", b"a=x:") if course.offer == "none" else sdp

    def _text(self, domains: Iterable[Served]) -> str:
        certificate = self.identities.certificates["gateway"]
        listener = LISTENER.format(
            address=self.hosts.gateway,
            port=self.port,
            chain=certificate.chain,
            key=certificate.key,
            origin=ORIGIN,
        )
        return super()._text(domains) + listener

    def _page_answers(self, uri: str, offered: Audio | None, port: int) -> Answer:
        user = uri.removeprefix("sip:").partition("@")[0]
        case = next(one for one in cases() if one.domain == f"{user}.test")
        return Answer(200, b"" if offered is None else self.sdp(case, port, "active"), case.domain)


async def play_web(scene: WebScene, played: Sequence[Case]) -> list[WebPlayed]:
    """Every case, and then the gateway's claim of it."""
    kinds = {case.domain: KINDS_BY_MEDIA[case.course.media] for case in played}
    scene.kinds.update(kinds)
    rtp = {case.domain for case in played if case.course.offer == "rtp" and not case.course.is_called}
    scene.page.plain.update(rtp)
    try:
        await scene.begin(
            Served(case.domain, case.policy, scene.tls_ports[kinds[case.domain]], scene.udp_port) for case in played
        )
        room = asyncio.Semaphore(AT_ONCE)
        found = list(await asyncio.gather(*(_played(scene, case, room) for case in played)))
        await asyncio.to_thread(scene.gateway.wait_over)
        await asyncio.to_thread(_ask, scene, found)
        return found
    finally:
        scene.close()


async def _played(scene: WebScene, case: Case, room: asyncio.Semaphore) -> WebPlayed:
    async with room:
        played = WebPlayed(case)
        await _register(scene, case)
        await (_play_in if case.course.is_called else _play_out)(scene, played)
        return played


async def _register(scene: WebScene, case: Case) -> None:
    user = case.domain.partition(".")[0]
    register = scene.page.register(scene.stream.wire, f"sip:{user}@{case.domain}", user, 1, f"reg-{case.domain}")
    answer = await scene.page.ask(scene.stream.wire, register, 15)
    assert answer is not None, f"{case}: no answer to REGISTER"
    assert answer.status == 200, f"{case}: {answer.first_line}"


async def _play_out(scene: WebScene, played: WebPlayed) -> None:
    case, uri = played.case, f"sip:bob@{played.case.domain}"
    peers = f"<sip:{case.domain.partition('.')[0]}@{case.domain}>", f"<{uri}>"
    played.caller = await scene.page.call(scene.stream.wire, uri, peers, partial(scene.sdp, case), case.domain)
    played.callees = [one for one in scene.provider.exchanges.values() if one.domain == case.domain]
    await _finish(scene, played)


async def _play_in(scene: WebScene, played: WebPlayed) -> None:
    case, user = played.case, played.case.domain.partition(".")[0]
    contact = [
        message.header("contact")
        for message, _ in scene.provider.requests
        if message.method == "REGISTER" and message.header("to").rstrip(">").endswith(f"@{case.domain}")
    ][-1]
    stream = await scene.connect(scene.provider, scene.site.ports.provider_tls, "good")
    peers = f"<sip:bob@{case.domain}>", f"<sip:{user}@{case.domain}>"
    offer = partial(messages.offer, scene.hosts.provider, srtp=case.course.offer == "srtp")
    uri = messages.uri_in(contact)
    played.caller = await scene.provider.call(stream.wire, uri, peers, offer, case.domain)
    played.callees = [one for one in scene.page.exchanges.values() if one.domain == case.domain]
    await _finish(scene, played)


async def _finish(scene: WebScene, played: WebPlayed) -> None:
    """Let both hear each other, hang up, and note what they heard."""
    case, caller = played.case, played.caller
    if caller is None or caller.status != 200:
        return
    ends, agents = played.ends, (scene.page, scene.provider)
    for _ in range(int(HEAR_WITHIN / 0.05)):
        is_heard = all(each.sound is not None and len(each.sound.received) >= 5 for each in ends)
        if caller.ended.is_set() or (is_heard and not case.course.is_forged):
            break
        await asyncio.sleep(0.05)
    if not caller.ended.is_set():
        await agents[case.course.is_called].hang_up(caller, 3)
    here, there = ends
    played.heard = str(here.heard(scene.provider.mark(case.domain))), str(there.heard(scene.page.mark(case.domain)))


def _ask(scene: WebScene, played: Iterable[WebPlayed]) -> None:
    calls = {str(call["domain"]): str(call["id"]) for call in scene.gateway.calls()}
    for one in played:
        if one.case.domain in calls:
            one.claim = scene.gateway.call(calls[one.case.domain])
