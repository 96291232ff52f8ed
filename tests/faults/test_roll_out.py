"""Roll-outs to phones that are programs, beside a capture: sipp as eight makes, stunnel for its TLS, pjsua2, baresip.

One house of twenty phones is led to TLS over a kill of the gateway, and back. In another, one phone has each fault.
NO_FETCH and BUSY take minutes and hours: tests/registrar/enablement has both, by a clock.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.support import tls_authority
from tests.support.calls.audio import tone, write_wav
from tests.support.calls.baresip import Baresip
from tests.support.calls.capture import Capture
from tests.support.calls.certificates import Authority, Certificate
from tests.support.calls.hosts import Hosts
from tests.support.calls.pcap import TCP, UDP, Packet, tcp_streams
from tests.support.calls.pjsua import Pjsua
from tests.support.calls.telephone import Line, Telephone
from tests.support.calls.wire import SipMessage
from tests.support.faults import sipp_phones as manners
from tests.support.faults.desk_phones import AGENTS
from tests.support.faults.rig import Rig
from tests.support.faults.sipp_phones import Place, SippPhone, SippPhones

IDLE_SECONDS = 2
RETURN_SECONDS = 30
MORE = """
[[domain]]
name = "faults.test"
provider = "main"
security = "off"
phones_security = "preferred"
credentials = "{credentials}"

[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "{gateway}"
port = {tls}
certificate = "{chain}"
private_key = "{key}"

[[listener]]
name = "phones-tcp"
side = "phones"
transport = "tcp"
address = "{gateway}"
port = {tcp}

[resync]
canary = 1
wave = 20
per_second = 6
idle_seconds = {idle}
return_seconds = {back}
attempts = 1
"""
FAULTS = {
    # Those whose fault shows at once come last: the fifth failure pauses the roll-out, and all are asked before.
    "f11": (manners.TRUSTS_NOBODY, "failed", "TLS_FAILED"),
    "f12": (manners.STAYS_AWAY, "failed", "NO_RETURN"),
    "f13": (manners.STAYS_CLEAR, "failed", "CAME_BACK_CLEAR"),
    "f14": (manners.REFUSES, "unsupported", "NOT_UNDERSTOOD"),
    "f15": (manners.ASKS, "failed", "NO_PASSWORD"),
    "f16": (manners.ASKS, "failed", "WRONG_PASSWORD"),
    "f17": (manners.ASKS_IN_RIDDLES, "failed", "UNREADABLE"),
    "f18": (manners.IS_BUSY, "failed", "NOT_NOW"),
    "f19": (manners.DIES, "unreachable", "UNREACHABLE"),
}


def house(hosts: Hosts) -> list[SippPhone]:
    """Nineteen phones of eight makes; the Cisco SPAs ask for the password of their user."""
    made = []
    for number in range(19):
        agent = AGENTS[number % len(AGENTS)]
        manner = manners.ASKS if agent.startswith("Cisco/SPA") else manners.TAKES
        made.append(SippPhone(f"u{number:02}", "example.com", agent, hosts.host(41 + number), manner, f"pw-{number}"))
    return made


def faulty(hosts: Hosts) -> list[SippPhone]:
    """Twenty-two phones of one make: some take the order, one has each fault, and the last are of the third wave."""
    made = []
    for number in range(22):
        user = f"f{number:02}"
        manner = FAULTS[user][0] if user in FAULTS else manners.TAKES
        made.append(SippPhone(user, "faults.test", AGENTS[0], hosts.host(61 + number), manner, "right"))
    return made


@attrs.define
class Street:
    """Both houses, their gateway, and all that was seen between them."""

    rig: Rig
    phones: SippPhones
    capture: Capture
    authority: Authority
    certificate: Certificate
    tls: tuple[str, int]

    def telephone(self, kind: type[Telephone], user: str, domain: str, number: int, *, secure: bool) -> Telephone:
        """A phone that knows no order: as its owner has set it up, by hand."""
        hosts, directory = self.rig.hosts, self.rig.directory / f"{user}-{secure}"
        host, (address, port) = hosts.host(number), self.tls if secure else self.rig.proxy
        directory = directory.with_name(f"{directory.name}-{len(self.others)}")
        directory.mkdir()
        made = kind(  # type: ignore[call-arg]
            Line(
                user=user,
                password="none",
                domain=domain,
                proxy=f"{address}:{port}",
                address=host,
                control=hosts.control,
                sip_port=hosts.port(host, 2),
                media_port=hosts.port(host, 20),
                tone=write_wav(directory / "tone.wav", tone(440, 1) * 90),
                directory=directory,
                secure=secure,
                trust=self.authority.trust,
                certificate=self.certificate,
            )
        )
        self.others.append(made)
        return made

    others: list[Telephone] = attrs.Factory(list)
    retried: set[str] = attrs.Factory(set)
    """Users whose phones were tried again, since the kill had cost them their time."""

    def begin(self, domain: str) -> int:
        """Begin a roll-out; its number."""
        return int(self.post("rollouts", domain=domain)["rollout"]["number"])

    def post(self, path: str, **change: Any) -> Any:
        """The answer to a change."""
        url = f"http://{self.rig.hosts.gateway}:{self.rig.admin}/api/v1/{path}"
        request = urllib.request.Request(url, json.dumps(change).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def roll_out(self, number: int) -> dict[str, Any]:
        """All of a roll-out; nothing while nobody answers."""
        return self.rig.json(f"/api/v1/rollouts/{number}") or {"states": {}, "rows": [], "stage": "", "why": ""}

    def states(self, number: int) -> dict[str, int]:
        """How many of its phones are in each state."""
        return dict(self.roll_out(number)["states"])

    def has_asked(self, number: int, least: int) -> bool:
        """Whether so many phones have an order. It is a good moment where some have not answered, each of them has it
        already, and none was asked for its password meanwhile."""
        asked, told = len(orders(self.capture.packets())), self.roll_out(number)
        notified = [one["make"] for one in told["rows"] if one["state"] == "notified"]
        is_good = bool(notified) and "cisco-spa" not in notified and told["states"].get("waiting") == 20 - asked
        return asked >= least and (is_good or asked >= 14)

    def confirms_nineteen(self, number: int) -> bool:
        """Whether all are confirmed but the one in its call. A kill between the keeping of an order and its NOTIFY, or
        its challenge, costs the phone its time: it is tried again afterwards."""
        told = self.roll_out(number)
        failed = [one["address_of_record"] for one in told["rows"] if one["state"] == "failed"]
        if failed:
            self.retried.update(one.removeprefix("sip:").partition("@")[0] for one in failed)
            self.post(f"rollouts/{number}/retry")
        return bool(told["states"] == {"confirmed": 19, "waiting": 1})

    def standing(self, number: int, user: str) -> tuple[str, str]:
        """State and reason of a phone."""
        rows = (one for one in self.roll_out(number)["rows"] if one["address_of_record"].startswith(f"sip:{user}@"))
        return next(((one["state"], one["reason"]) for one in rows), ("", ""))

    def transports(self) -> dict[str, str]:
        """The way of each registered phone."""
        rows = (self.rig.json("/api/v1/registrations?limit=100") or {"registrations": []})["registrations"]
        return {one["address_of_record"].removeprefix("sip:").partition("@")[0]: one["transport"] for one in rows}


@pytest.fixture
def street(rig: Rig, tmp_path: Path) -> Iterator[Street]:
    hosts, gateway = rig.hosts, rig.hosts.gateway
    authority, stranger = Authority(tmp_path / "ca"), tls_authority.Authority(tmp_path)
    certificate = authority.issue("gateway", gateway)  # and those of phones: nobody looks at them
    tls, tcp = hosts.port(gateway), hosts.port(gateway)
    here, there = house(hosts), faulty(hosts)
    passwords = {}
    for name, users in (("here", {one.user: one.password for one in here}), ("there", {"f16": "wrong", "f17": "any"})):
        passwords[name] = tmp_path / f"{name}.toml"
        passwords[name].touch(0o600)
        passwords[name].write_text("".join(f'{user} = "{password}"\n' for user, password in users.items()))
    own = f'security = "off"\nphones_security = "required"\ndowngrade = "refuse"\ncredentials = "{passwords["here"]}"'
    more = MORE.format(
        gateway=gateway,
        tls=tls,
        tcp=tcp,
        chain=certificate.chain,
        key=certificate.key,
        idle=IDLE_SECONDS,
        back=RETURN_SECONDS,
        credentials=passwords["there"],
    )
    rig.configuration.write_text(rig.configuration.read_text().replace('security = "off"', own) + more)
    place = Place(
        tmp_path / "phones",
        {"UDP": rig.proxy, "TCP": (gateway, tcp), "TLS": (gateway, tls)},
        hosts.port(gateway),
        hosts.port(gateway),
        authority.trust,
        stranger.file,
    )
    addresses = [gateway, hosts.host(60), hosts.host(90), *(one.host for one in (*here, *there))]
    with_capture = Capture(addresses, tmp_path / "capture")
    phones = SippPhones(place, (*here, *there))
    made = Street(rig, phones, with_capture, authority, certificate, (gateway, tls))
    try:
        rig.start()
        yield made
    finally:
        phones.close()
        for one in made.others:
            one.stop()
        with_capture.program.stop()


def test_real_phones_are_led_to_tls_over_a_kill_and_back_and_each_failure_keeps_its_reason(street: Street) -> None:
    rig, phones = street.rig, street.phones
    baresip = street.telephone(Baresip, "u19", "example.com", 60, secure=False)
    pjsua = street.telephone(Pjsua, "fpj", "faults.test", 90, secure=False)
    baresip.register()
    pjsua.register()
    phones.wait_until("all are registered", lambda: len(street.transports()) == 43, 20)
    baresip.call("sip:echo@example.com")
    baresip.wait_answered()

    first = street.begin("example.com")
    assert len({row["make"] for row in street.roll_out(first)["rows"]}) == 9, "eight makes, and baresip"
    phones.wait_until("some have their order", lambda: street.has_asked(first, 6), 20)
    rig.kill()
    assert 6 <= len(orders(street.capture.packets())) < 19
    rig.start()
    second = street.begin("faults.test")

    phones.wait_until("nineteen are confirmed", lambda: street.confirms_nineteen(first), 60)
    assert street.standing(first, "u19") == ("waiting", "IN_A_CALL")
    baresip.hangup()
    phones.wait_until("it is asked", lambda: street.states(first).get("unsupported") == 1, 20)
    assert street.standing(first, "u19") == ("unsupported", "NOT_UNDERSTOOD")
    baresip.stop()
    secure = street.telephone(Baresip, "u19", "example.com", 60, secure=True)
    secure.register()
    phones.wait_until("twenty are confirmed", lambda: street.states(first) == {"confirmed": 20}, 10)
    assert {way for user, way in street.transports().items() if user.startswith("u")} == {"tls"}
    before_the_way_back = street.capture.packets()

    street.post(f"rollouts/{first}/roll-back")
    for one in phones.all:
        one.goes = "UDP" if one.domain == "example.com" else "TLS"
    secure.stop()
    street.telephone(Baresip, "u19", "example.com", 60, secure=False).register()
    phones.wait_until("all are back", lambda: street.states(first) == {"rolled_back": 20}, 30)

    _each_failure_keeps_its_reason(street, second)
    pjsua.stop()
    street.telephone(Pjsua, "fpj", "faults.test", 90, secure=True).register()
    phones.wait_until("it is confirmed", lambda: street.standing(second, "fpj")[0] == "confirmed", 10)
    _captured(street, before_the_way_back, baresip.line.address)


def _each_failure_keeps_its_reason(street: Street, number: int) -> None:
    """The last ones are known when the time of those that do not return is over, and that of a NOTIFY without an answer
    (32 s, timer F)."""
    expected = {"confirmed": 11, "failed": 7, "unreachable": 1, "unsupported": 2, "waiting": 2}
    street.phones.wait_until("all are at their end", lambda: street.states(number) == expected, 45)
    for user, (_, state, reason) in FAULTS.items():
        assert street.standing(number, user) == (state, reason)
    assert street.standing(number, "fpj") == ("unsupported", "SILENT")
    told = street.roll_out(number)
    assert (told["stage"], told["why"]) == ("paused", "5 of 20 phones of wave 2 failed")


def _captured(street: Street, before_the_way_back: list[Packet], in_a_call: str) -> None:
    packets = street.capture.stop()
    there, all_told = orders(before_the_way_back), orders(packets)
    for one in street.phones.all:
        if one.domain == "example.com":
            times = sorted(there[one.host].values())
            assert len(times) == 1 or one.user in street.retried, f"{one.user} got one NOTIFY, copies aside"
            assert len(times) == 1 or times[1] - times[0] >= RETURN_SECONDS, f"{one.user} got two inside its time"
            assert len(all_told[one.host]) == len(times) + 1, f"{one.user} got one more to go back"
        else:
            assert len(all_told[one.host]) == (0 if one.user in ("f20", "f21") else 1), one.user
    (bye,) = [at for at, to, one in messages(packets) if one.method == "BYE" and to == street.rig.hosts.gateway]
    asked = [at for at, to, one in messages(packets) if one.method == "NOTIFY" and to == in_a_call]
    assert min(asked) - bye >= IDLE_SECONDS, "no order before its call was over for so long"
    refused = [one.first_line for _, _, one in messages(packets) if one.status == 403]
    assert refused == [], "nobody is refused in clear, although downgrade is refuse"


def orders(packets: list[Packet]) -> dict[str, dict[str, float]]:
    """By address of a phone: the Call-ID of each NOTIFY that it got, with its time. Copies have the same, and so has
    the one that answers a challenge (RFC 3261 section 22.2)."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for at, to, message in messages(packets):
        if message.method == "NOTIFY":
            found[to].setdefault(message.call_id, at)
    return found


def messages(packets: list[Packet]) -> list[tuple[float, str, SipMessage]]:
    """The time, receiver and text of each message over UDP, and over TCP, where a time is 0: that in TLS is seen
    between stunnel and sipp. None has a body but those of the call, over UDP."""
    heard = [(one.time, one.destination, one.source, one.payload) for one in packets if one.protocol == UDP]
    for (source, destination, _), stream in tcp_streams(one for one in packets if one.protocol == TCP).items():
        heard += [(0.0, destination, source, part) for part in stream.split(b"\r\n\r\n")]
    is_sip = re.compile(rb"(?:SIP/2\.0 \d|[A-Z]+ sip:)")
    return [
        (at, to.address, SipMessage.parse(origin.address, origin.port, data))
        for at, to, origin, data in heard
        if is_sip.match(data)
    ]
