"""linphonec as a phone (UDP, RTP) or a far end (TLS, mandatory SRTP): a console program, steered through its standard
input, watched by its output.

It does not listen for TLS: calls come to it over the connection it registered from. It verifies its peer's
chain, and not the name, for it compares that with DNS names only.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.calls.processes import Program, find_program
from tests.support.calls.telephone import Line, Telephone

CONFIGURATION = """\
[sip]
sip_port={udp_port}
sip_tcp_port=-1
sip_tls_port={tls_port}
bind_address={address}
root_ca={trust}
verify_server_cn=0
media_encryption={encryption}
media_encryption_mandatory={mandatory}
srtp_crypto_suites={suites}
guess_hostname=0
contact=sip:{user}@{address}
default_proxy=0
register_only_when_network_is_up=0
auto_net_state_mon=0
use_ipv6=0
inc_timeout=60
incoming_calls_early_media={early}
session_expires_enabled={timer}
session_expires_value={session}
session_expires_min_value=90

[proxy_0]
reg_proxy=<sip:{proxy};transport={transport}>
reg_route=<sip:{proxy};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires={expires}
reg_sendregister=0
publish=0
avpf=0

[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}

[rtp]
audio_rtp_port={media_port}
audio_jitt_comp=40

[net]
mtu=1300
stun_server=

[sound]
echocancellation=0

[misc]
add_missing_audio_codecs=0

[audio_codec_0]
mime=PCMU
rate=8000
enabled=1

[audio_codec_1]
mime=PCMA
rate=8000
enabled=1
"""

PROMPT = "linphonec>"


class Linphone(Telephone):
    """A linphonec process."""

    def __init__(self, line: Line) -> None:
        line.directory.mkdir(parents=True, exist_ok=True)
        self.line = line
        self._calls = 0
        self._seen = 0
        self._held = ""  # the number of the call on hold
        self.log = line.directory / "linphone-debug.log"
        (line.directory / ".local/share/linphone").mkdir(
            parents=True, exist_ok=True
        )  # where its database goes: without it, it takes no call
        configuration = line.directory / "linphonerc"
        configuration.write_text(_configuration(line))
        argv = [find_program("linphonec", "linphone-cli"), "-c", str(configuration), "-d", "5", "-l"]
        argv += [str(self.log), *(["--real-early-media"] if line.habits.speaks_early else [])]
        home = {"HOME": str(line.directory)}
        self.program = Program(argv, line.directory / "linphonec.log", environment=home, steered=True)
        self.program.name = f"linphonec {line.user}"
        self._wait(PROMPT, 10)
        self._tell("ipv6 disable")
        self._tell("soundcard use files")
        self._tell(f"play {line.tone}")
        self._record()

    def register(self) -> None:
        line = self.line
        self._tell(f"register sip:{line.user}@{line.domain} {_proxy(line)} {line.password}")
        self.program.wait_until("registered", self._is_registered, 8)

    def call(self, uri: str) -> None:
        self._tell(f"call {uri}")

    def wait_ringing(self, seconds: float = 5) -> None:
        self._wait(r"Receiving new incoming call", seconds)

    def wait_early(self, seconds: float = 5) -> None:
        """Wait until the other side rings (a 18x)."""
        self._wait(r"Call \d+ to \S+ ringing", seconds)

    def answer(self) -> None:
        self._tell("answer")
        self.wait_answered()

    def wait_answered(self, seconds: float = 5) -> None:
        self._wait(r"Media streams established|Call \d+ with .* connected", seconds)

    def reject(self, code: int) -> None:
        assert code == 603, "its answer to a call it does not want"
        self.hangup()

    def hangup(self, call: int = -1) -> None:
        self._tell(f"terminate {self._number(call)}")
        self.wait_ended()

    def wait_ended(self, seconds: float = 5) -> str:
        why = self._wait(r"Call \d+ with .* (?:ended|error).*", seconds)
        self._record()
        return why

    def progress(self) -> None:
        assert self.line.habits.speaks_early, "it does so by itself, or never"

    def wait_media_early(self, seconds: float = 5) -> None:
        self._wait(r"Call \d+ with .* early media", seconds)

    def hold(self, call: int = -1) -> None:
        self._tell(f"pause {self._number(call)}")
        self._held = self._wait(r"Call \d+ with .* is now paused", 5).split()[1]

    def resume(self) -> None:
        self._tell(f"resume {self._held}")
        self._wait(r"Media streams established", 5)

    def wait_held(self, seconds: float = 5) -> None:
        self._wait(r"Call \d+ has been paused by", seconds)

    def wait_resumed(self, seconds: float = 5) -> None:
        self._wait(r"Media streams established", seconds)

    def transfer(self, uri: str, call: int = -1) -> None:
        self._tell(f"transfer {self._number(call)} {uri}")

    def transfer_to_latest(self, call: int) -> None:
        self._tell(f"transfer {self._number(call)} --to-call {self._number(-1)}")

    def wait_transferred(self, seconds: float = 8) -> int:
        self.program.wait_until("told of the transfer", lambda: bool(self._transferred()), seconds)
        return self._transferred()[-1]

    def wait_replaced(self, seconds: float = 5) -> None:
        self._wait(r"Receiving new incoming call", seconds)
        self._wait(r"Media streams established", seconds)

    def dtmf(self, digits: str) -> None:
        for digit in digits:
            self._tell(digit)

    def wait_dtmf(self, digits: str, seconds: float = 5) -> None:
        for digit in digits:
            self._wait(rf"Receiving tone {re.escape(digit)}", seconds)

    def recordings(self) -> list[Path]:
        files = sorted(self.line.directory.glob("heard-*.wav"))
        return [path for path in files if path.stat().st_size > 0]

    def _is_registered(self) -> bool:
        self._tell("status register")
        return "registered, identity=" in self.program.text()[self._seen :]

    def _number(self, call: int) -> str:
        """What it calls a call by, from its place in the order of calls."""
        numbers = list(re.finditer(r"assigned id (\d+)", self.program.text()))
        return numbers[call][1]

    def _transferred(self) -> list[int]:
        """The final statuses it was told of."""
        told = re.findall(rb"message/sipfrag.*?\r\n\r\nSIP/2\.0 ([2-6]\d\d)", self.log.read_bytes(), re.DOTALL)
        return [int(status) for status in told]

    def _record(self) -> None:
        """Where the next call goes: told now, for linphonec crashes when it is told while one rings."""
        self._calls += 1
        self._tell(f"record {self.line.directory / f'heard-{self._calls}.wav'}")

    def _tell(self, order: str) -> None:
        """One order, taken: of two that come at once, some builds forget the first."""
        prompts = self.program.text().count(PROMPT)
        self.program.tell(order)
        self.program.wait_until(f"took {order!r}", lambda: self.program.text().count(PROMPT) > prompts)

    def _wait(self, pattern: str, seconds: float) -> str:
        found = self.program.wait_for_line(pattern, seconds, after=self._seen)
        self._seen = found.end()
        return found[0]


def _proxy(line: Line) -> str:
    return f"sip:{line.proxy};transport=tls" if line.secure else f"sip:{line.proxy}"


def _configuration(line: Line) -> str:
    return CONFIGURATION.format(
        address=line.address,
        transport="tls" if line.secure else "udp",
        udp_port=-1 if line.secure else line.sip_port,
        tls_port=line.sip_port if line.secure else -1,
        trust=line.trust or "",
        encryption="srtp" if line.secure else "none",
        mandatory=int(line.secure),
        suites=",".join(line.suites),
        early=int(line.habits.speaks_early),
        timer=int(line.habits.timer == "always"),
        session=line.habits.session,
        user=line.user,
        password=line.password,
        domain=line.domain,
        proxy=line.proxy,
        expires=line.expires,
        media_port=line.media_port,
    )
