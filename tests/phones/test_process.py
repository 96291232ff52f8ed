"""The same phones with real sockets and a gateway process: register, call, hold, resume, be called; what is heard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import attrs
import pytest

from tests.support.calls.hosts import Hosts
from tests.support.matrix.configuration import Served
from tests.support.matrix.exchange import Exchange
from tests.support.matrix.gateway import Row
from tests.support.matrix.scene import Scene
from tests.support.matrix.sound import Heard
from tests.support.phone_live import LivePhone, Provider
from tests.support.phone_messages import FORMS

PHONES = [
    ("cisco-spa RTP", "UDP"),
    ("cisco-spa s-descriptor", "UDP"),
    ("cisco-spa s-descriptor", "TLS"),
    ("yealink RTP", "UDP"),
    ("yealink optional", "UDP"),
    ("yealink compulsory", "TLS"),
    ("polycom RTP", "UDP"),
    ("polycom offered", "TLS"),
    ("polycom required", "UDP"),
    ("snom RTP", "UDP"),
    ("snom SRTP", "TLS"),
    ("snom optional", "UDP"),
]
PROVIDER = "TLS and SRTP"


@attrs.define
class Lived:
    """What became of one phone."""

    live: LivePhone
    outgoing: list[Heard] = attrs.field(factory=list)
    """What the phone heard in its call and after hold and resume."""
    incoming: Heard | None = None
    caller: Exchange | None = None
    claims: list[Row] = attrs.field(factory=list)
    """The gateway's, latest first."""


async def live_through(scene: Scene) -> dict[tuple[str, str], Lived]:
    """Every phone's day, all at once."""
    domains = {key: f"p{number}.test" for number, key in enumerate(PHONES)}
    scene.provider = Provider("provider", scene.hosts.provider, scene.udp_port, scene._provider_answers)
    scene.kinds.update(dict.fromkeys(domains.values(), PROVIDER))
    served = [Served(name, "required", scene.tls_ports[PROVIDER], scene.udp_port) for name in domains.values()]
    lives: list[Lived] = []
    try:
        await scene.begin(served)
        lives = await asyncio.gather(*(one_day(scene, *key, domain) for key, domain in domains.items()))
        await asyncio.sleep(0.3)
        calls = await asyncio.to_thread(scene.gateway.calls)
        for lived in lives:
            lived.claims = [call for call in calls if call["domain"] == lived.live.domain]
        return dict(zip(domains, lives, strict=True))
    finally:
        for lived in lives:
            lived.live.close()
        scene.close()


async def one_day(scene: Scene, form: str, transport: str, domain: str) -> Lived:
    """Register, call, hold, resume, hang up; be called, be hung up on."""
    live = await LivePhone.open(scene, form, transport, domain)
    lived = Lived(live)
    await live.registers()
    await live.calls()
    lived.outgoing.append(await heard_soon(live))
    await live.offers_again("hold")
    live.sound.received.clear()
    await live.offers_again("resume")
    lived.outgoing.append(await heard_soon(live))
    await live.hangs_up()
    if not FORMS[form].is_dual and "optional" not in form:
        lived.caller = await live.is_called()
        lived.incoming = await heard_soon(live)
        await live.is_hung_up_on(lived.caller)
    return lived


async def heard_soon(live: LivePhone) -> Heard:
    """What came once some of it has."""
    for _ in range(40):
        if len(live.sound.received) >= 5:
            break
        await asyncio.sleep(0.05)
    return live.heard(live.own, live.theirs, own_is_offer=live.own_is_offer)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, dict[tuple[str, str], Lived]]]:
    hosts = Hosts.claim()
    scene = Scene(hosts, tmp_path_factory.mktemp("phones"))
    try:
        yield scene, asyncio.run(live_through(scene))
    finally:
        scene.gateway.stop()
        hosts.release()


Days = tuple[Scene, dict[tuple[str, str], Lived]]


@pytest.mark.parametrize(("form", "transport"), PHONES)
def test_each_side_hears_the_other_as_its_leg_is_protected(lived: Days, form: str, transport: str) -> None:
    day = lived[1][form, transport]
    is_srtp = FORMS[form].wants_srtp
    assert day.outgoing == [Heard.SRTP if is_srtp else Heard.RTP] * 2
    if day.caller is not None:
        assert day.incoming is (Heard.SRTP if transport == "TLS" else Heard.RTP)
        assert day.caller.heard(f"phone of {day.live.domain} ") is Heard.SRTP
    first = next(one for one in day.live.exchanges() if not one.is_caller)
    assert first.wire.is_tls
    assert first.heard(f"phone of {day.live.domain} ") is Heard.SRTP
    assert day.live.wire.transport == transport
    assert transport == "UDP" or day.live.wire.is_tls


@pytest.mark.parametrize(("form", "transport"), PHONES)
def test_the_verdicts_are_those_of_the_wires(lived: Days, form: str, transport: str) -> None:
    day = lived[1][form, transport]
    outgoing = "ENCRYPTED" if transport == "TLS" and FORMS[form].wants_srtp else "ENCRYPTED_TO_PROVIDER"
    incoming = ["ENCRYPTED" if transport == "TLS" else "ENCRYPTED_TO_PROVIDER"] if day.caller is not None else []
    assert [claim["verdict"] for claim in day.claims] == [*incoming, outgoing]
    assert {claim["direction"] for claim in day.claims} == {"outbound", *(["inbound"] if incoming else [])}


@pytest.mark.parametrize(("form", "transport"), PHONES)
def test_no_key_crossed_and_nothing_of_the_phone_left(lived: Days, form: str, transport: str) -> None:
    scene, days = lived
    day = days[form, transport]
    phone, provider = day.live.keys_seen()
    assert not phone & provider
    assert len(provider) >= 5
    for message, _ in scene.provider.requests:
        if day.live.domain in message.first_line:
            said = message.first_line + repr(message.headers) + message.body.decode()
            for trace in (scene.hosts.phone, "Cisco", "Yealink", "Polycom", "snom", "000413", "P-RTP-Stat"):
                assert trace not in said


@pytest.mark.parametrize(("form", "transport"), PHONES)
def test_the_credentials_of_each_make_reach_the_provider_as_they_were_computed(
    lived: Days, form: str, transport: str
) -> None:
    scene, days = lived
    domain = days[form, transport].live.domain
    right = [message for message, _ in scene.provider.requests if domain in message.header("to")]
    asked = [message.method for message in right if message.header("authorization")]
    assert asked == ["REGISTER", "INVITE"], "the provider takes none without"


def test_the_gateway_found_nothing_odd_and_wrote_no_key(lived: Days) -> None:
    scene, days = lived
    log = scene.gateway.program.text()
    assert re.search(r"Traceback|Unhandled|critical", log) is None
    every = set().union(*(keys for day in days.values() for keys in day.live.keys_seen()))
    assert len(every) > 50
    said = [message.header("authorization") for day in days.values() for message in day.live.phone.sent]
    every |= {found for text in said for found in re.findall(r'response="(\w+)"', text)}
    written = [path for path in scene.directory.rglob("*") if path.is_file() and "identities" not in path.parts]
    assert not [path for path in written for key in every if key.encode() in path.read_bytes()]
