"""Desk phones for roll-outs that are programs: sipp for the phone, stunnel for its TLS, one loopback address each.

    REGISTER over UDP or TCP -> waits -> NOTIFY -> its manner's answer -> starts again, as its file says by then
                                                                     `-> sipp over TCP -> stunnel -> TLS -> gateway

Debian's sipp has no TLS. Its second scenario takes what comes outside of its registration's Call-ID, and ends the
program once the order is obeyed: the next program is the phone after its start. Nobody steers a phone but the order.
Here: the phones. Not here: those that know no such order (pjsua.py, baresip.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs

from tests.support.calls.processes import Program, find_program, wait_until

OBEYED: Final = 97
"""sipp's exit status where a scenario told it to stop."""
AGAIN_SECONDS: Final = 0.7
"""Between two tries of a phone that was not registered, or whose connection is lost."""

REGISTER: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="register">
  <send retrans="500"><![CDATA[
REGISTER sip:@DOMAIN@ SIP/2.0
Via: SIP/2.0/@WAY@ [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:@USER@@@DOMAIN@>;tag=r[pid]
To: <sip:@USER@@@DOMAIN@>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:@USER@@[local_ip]:[local_port];transport=@WAY@>;+sip.instance="<urn:uuid:@USER@>"
User-Agent: @AGENT@
Expires: 300
Content-Length: 0

]]></send>
  <recv response="100" optional="true"/>
  <recv response="200"/>
  <pause milliseconds="300000"/>
</scenario>
"""
ANSWER: Final = """\
  <send><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=n[pid]
[last_Call-ID:]
[last_CSeq:]
{more}Content-Length: 0

]]></send>
"""
ORDER: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="order">\n{steps}</scenario>\n'
NOTIFY: Final = '  <recv request="NOTIFY"/>\n'
SLOWLY: Final = '  <pause milliseconds="400"/>\n'
"""Shorter than timer E (RFC 3261 section 17.1.2.2): the NOTIFY is not sent again."""
STAYS: Final = '  <pause milliseconds="300000"/>\n'
STOPS: Final = '  <pause milliseconds="50"/>\n  <nop><action><exec int_cmd="stop_now"/></action></nop>\n'
VERIFIED: Final = """\
  <recv request="NOTIFY"><action>
    <verifyauth assign_to="right" username="@USER@" password="@PASSWORD@"/>
  </action></recv>
  <nop test="right" next="1"/>
"""


def _answer(status: str, more: str = "") -> str:
    return ANSWER.format(status=status, more=more)


def _asks(nonce: str) -> str:
    return _answer("401 Unauthorized", f'WWW-Authenticate: Digest realm="SIP phone", nonce="{nonce}", algorithm=MD5\n')


@attrs.frozen
class Manner:
    """The answer of a phone to its order, and its next start."""

    steps: str
    comes_back: str = ""
    """Over which way, whatever its file says; empty: as that says."""
    is_gone: bool = False
    """Whether it does not start again."""
    first_way: str = "UDP"
    trusts: bool = True
    """Whether it knows the authority of the gateway's certificate."""


TAKES: Final = Manner(NOTIFY + SLOWLY + _answer("200 OK") + STOPS)
ASKS: Final = Manner(
    NOTIFY + _asks("8f1e") + VERIFIED + _asks("8f1f") + STAYS + '  <label id="1"/>\n' + _answer("200 OK") + STOPS
)
"""It asks for the password of its user, and looks at the answer: a Cisco SPA with Auth Resync-Reboot."""
ASKS_IN_RIDDLES: Final = Manner(
    NOTIFY + _answer("401 Unauthorized", 'WWW-Authenticate: Digest realm="x", algorithm=ROT-13\n') + STAYS
)
REFUSES: Final = Manner(NOTIFY + _answer("489 Bad Event") + STAYS)
IS_BUSY: Final = Manner(NOTIFY + _answer("480 Temporarily Unavailable") + STAYS)
STAYS_AWAY: Final = Manner(TAKES.steps, is_gone=True)
STAYS_CLEAR: Final = Manner(TAKES.steps, comes_back="UDP")
TRUSTS_NOBODY: Final = Manner(TAKES.steps, trusts=False)
DIES: Final = Manner('  <recv request="NOTIFY"/>\n' + STOPS, is_gone=True, first_way="TCP")
"""Its power goes while the order is there: over TCP the gateway is told."""


@attrs.define
class SippPhone:
    """A phone. Its file says ``goes``: TLS or UDP."""

    user: str
    domain: str
    agent: str
    host: str
    manner: Manner = TAKES
    password: str = "unset"
    goes: str = "TLS"
    way: str = ""
    """Its way since its latest start."""


@attrs.frozen
class Place:
    """Where the phones are."""

    directory: Path
    gateways: Mapping[str, tuple[str, int]]
    """Of UDP, TCP and TLS: where phones send everything."""
    port: int
    """Of each phone, at its own address."""
    tunnel_port: int
    """Of each phone's stunnel, at the same address."""
    trust: Path
    strange: Path
    """An authority that has nothing to do with the gateway's."""


class SippPhones:
    """All phones of a house, and their programs. ``look`` is to be called often."""

    def __init__(self, place: Place, phones: Iterable[SippPhone]) -> None:
        place.directory.mkdir(parents=True)
        self.all = tuple(phones)
        self._place = place
        self._programs: dict[str, Program] = {}
        """By user; none: it is off, or about to start."""
        self._starts: dict[str, float] = {}
        self._tunnels = self._begin_tunnels()
        for one in self.all:
            one.way = one.manner.first_way
            self._start(one)

    def look(self) -> None:
        """Let each phone whose program ended start again."""
        for one in self.all:
            program = self._programs.get(one.user)
            if program is None:
                if time.monotonic() >= self._starts.get(one.user, float("inf")):
                    self._start(one)
            elif not program.is_running:
                self._ended(one, self._programs.pop(one.user).process.returncode)

    def wait_until(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Return as soon as `holds()`, the phones being looked at meanwhile. Raises ProgramFailed."""

        def holds_meanwhile() -> bool:
            self.look()
            return holds()

        wait_until(what, holds_meanwhile, seconds)

    def close(self) -> None:
        """Switch everything off."""
        for program in self._programs.values():
            program.process.kill()
        for program in (*self._programs.values(), self._tunnels):
            program.stop()

    def _ended(self, phone: SippPhone, status: int) -> None:
        if status == OBEYED:
            if phone.manner.is_gone:
                return
            phone.way = phone.manner.comes_back or phone.goes
        self._starts[phone.user] = time.monotonic() + (0 if status == OBEYED else AGAIN_SECONDS)

    def _start(self, phone: SippPhone) -> None:
        place = self._place
        self._starts.pop(phone.user, None)
        to = (phone.host, place.tunnel_port) if phone.way == "TLS" else place.gateways[phone.way]
        scripts = []
        for name, text in (("register", REGISTER), ("order", ORDER.format(steps=phone.manner.steps))):
            scripts.append(place.directory / f"{phone.user}-{name}.xml")
            scripts[-1].write_text(_filled(text, phone))
        argv = [find_program("sipp", "sip-tester"), "-sf", str(scripts[0]), "-oocsf", str(scripts[1])]
        argv += ["-i", phone.host, "-mi", phone.host, "-ci", phone.host, "-p", str(place.port)]
        argv += ["-t", "u1" if phone.way == "UDP" else "t1", "-m", "1", "-nostdin", "-nd", f"{to[0]}:{to[1]}"]
        self._programs[phone.user] = Program(argv, place.directory / f"{phone.user}.log", cwd=place.directory)

    def _begin_tunnels(self) -> Program:
        place = self._place
        text = "foreground = yes\npid =\nclient = yes\nverifyChain = yes\nTIMEOUTclose = 0\n"
        for one in self.all:
            trust = place.trust if one.manner.trusts else place.strange
            text += f"[{one.user}]\naccept = {one.host}:{place.tunnel_port}\nlocal = {one.host}\n"
            text += "connect = {}:{}\nCAfile = {}\n".format(*place.gateways["TLS"], trust)
        file = place.directory / "stunnel.conf"
        file.write_text(text)
        program = Program([find_program("stunnel4", "stunnel4"), str(file)], place.directory / "stunnel.log")
        program.wait_for_line("Configuration successful", 10)
        return program


def _filled(text: str, phone: SippPhone) -> str:
    fields = {
        "USER": phone.user,
        "DOMAIN": phone.domain,
        "PASSWORD": phone.password,
        "AGENT": phone.agent,
        "WAY": phone.way,
    }
    for name, value in fields.items():
        text = text.replace(f"@{name}@", value)
    return text
