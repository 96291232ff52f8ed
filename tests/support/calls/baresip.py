"""baresip as a phone (UDP, RTP) or a far end (TLS, mandatory SRTP).

Steered over ctrl_tcp (netstrings of JSON). Habits of baresip 1.0 that are left as they are, being free tests: its RTP
and its TLS leave from 127.0.0.1 although its SDP names the address it was given; and beside SRTP it sends two RTCP
packets in clear (APP "PING PONG" at the start, BYE at the end).
"""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

from tests.support.calls.hosts import is_listening
from tests.support.calls.processes import Program, find_program, is_readable
from tests.support.calls.telephone import Event, Events, Line, Telephone
from tests.support.calls.wire import SipMessage, logged_messages

CONFIGURATION = """\
poll_method epoll
sip_listen {host}:{sip_port}
net_interface {address}
rtp_ports {media_port}-{last_media_port}
jitter_buffer_delay 1-5
audio_source aufile,{tone}
audio_player aubridge,nil
audio_alert aubridge,nil
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_level no
call_local_timeout 60
call_max_calls 4
snd_path {directory}
ctrl_tcp_listen {control}:{control_port}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
{mwi}module_app ctrl_tcp.so
{tls}
"""

LOGGED = rb"#\n\w+ (?P<host>[\d.]+):(?P<port>\d+) -> [\d.:]+\n(?P<message>(?s:.*?))\x1b\["
"""One message in its trace, with the address of its sender."""


class Baresip(Telephone):
    """A baresip process."""

    def __init__(self, line: Line) -> None:
        line.directory.mkdir(parents=True, exist_ok=True)
        self.line = line
        self._pending = b""
        self._control_port = line.media_port + 8  # of the line's own twenty
        (line.directory / "config").write_text(_configuration(line, self._control_port))
        (line.directory / "accounts").write_text("")
        (line.directory / "contacts").write_text("")
        argv = [
            find_program("baresip", "baresip-core"),
            "-6" if ":" in line.address else "-4",
            "-s",
            "-v",
            "-f",
            str(line.directory),
        ]
        self.program = Program(argv, line.directory / "baresip.log", cwd=line.directory, steered=True)
        self.program.name = f"baresip {line.user}"
        self.program.wait_until("steerable", lambda: is_listening(line.control, self._control_port))
        self._control = socket.create_connection((line.control, self._control_port))
        self.events = Events(self.program, self._receive)

    def register(self) -> None:
        self._order("uanew", _account(self.line))
        told = self.events.wait("registered", lambda event: str(event.get("type")).startswith("REGISTER_"))
        assert told["type"] == "REGISTER_OK", f"{self.line.user} was not registered: {told}"

    def call(self, uri: str) -> None:
        self.events.forget()
        self._order("dial", uri)

    def wait_ringing(self, seconds: float = 5) -> None:
        self._wait("CALL_INCOMING", seconds)

    def wait_early(self, seconds: float = 5) -> None:
        """Wait until the other side rings (a 18x)."""
        self._wait("CALL_RINGING", seconds)

    def answer(self) -> None:
        self._order("accept")
        self.wait_answered()

    def wait_answered(self, seconds: float = 5) -> None:
        self._wait("CALL_ESTABLISHED", seconds)

    def reject(self, code: int) -> None:
        assert code == 486, "its answer to a call it does not want"
        self.hangup()

    def hangup(self, call: int = -1) -> None:
        assert call == -1
        self._order("hangup")
        self.wait_ended()

    def wait_ended(self, seconds: float = 5) -> str:
        return str(self._wait("CALL_CLOSED", seconds).get("param", ""))

    def hold(self, call: int = -1) -> None:
        assert call == -1
        self._order("hold")

    def resume(self) -> None:
        self._order("resume")

    def transfer(self, uri: str, call: int = -1) -> None:
        assert call == -1
        self._order("transfer", uri)

    def wait_transferred(self, seconds: float = 8) -> int:
        """It hangs up by itself when it is told of a success; of a failure it tells."""
        ends = ("CALL_CLOSED", "TRANSFER_FAILED", "CALL_TRANSFER_FAILED")
        told = self.events.wait("told of the transfer", lambda event: event.get("type") in ends, seconds)
        return 200 if told["type"] == "CALL_CLOSED" else 500

    def wait_mwi(self, seconds: float = 5) -> str:
        return str(self._wait("MWI_NOTIFY", seconds)["param"])

    def dtmf(self, digits: str) -> None:
        for digit in digits:
            self._order("sndcode", digit)

    def wait_dtmf(self, digits: str, seconds: float = 5) -> None:
        for digit in digits:
            assert self._wait("CALL_DTMF_START", seconds)["param"] == digit

    def messages(self) -> list[SipMessage]:
        return logged_messages(self.program.log, LOGGED)

    def recordings(self) -> list[Path]:
        return sorted(self.line.directory.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)

    def stop(self) -> None:
        self._control.close()
        # It would wait for the answer of a mailbox that is gone.
        self.program.stop(first=signal.SIGKILL if self.line.habits.watches_mailbox else signal.SIGTERM)

    def _order(self, command: str, parameters: str = "") -> None:
        text = json.dumps({"command": command, "params": parameters, "token": command}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def _wait(self, kind: str, seconds: float = 5) -> Event:
        return self.events.wait(kind, lambda event: event.get("type") == kind, seconds)

    def _receive(self, seconds: float) -> list[Event]:
        if not is_readable(self._control.fileno(), seconds):
            return []
        self._pending += self._control.recv(65536)
        events: list[Event] = []
        while b":" in self._pending:
            length, _, rest = self._pending.partition(b":")
            if len(rest) <= int(length):
                break
            events.append(json.loads(rest[: int(length)]))
            self._pending = rest[int(length) + 1 :]
        return events


def _configuration(line: Line, control_port: int) -> str:
    tls = ""
    if line.secure:
        assert line.certificate is not None
        both = line.directory / "identity.pem"  # baresip wants key and chain in one file
        both.write_bytes(line.certificate.key.read_bytes() + line.certificate.chain.read_bytes())
        tls = f"sip_certificate {both}\nsip_cafile {line.trust}\n"
    return CONFIGURATION.format(
        address=line.address,
        host=f"[{line.address}]" if ":" in line.address else line.address,
        control=line.control,
        sip_port=line.sip_port,
        media_port=line.media_port,
        last_media_port=line.media_port + 7,
        control_port=control_port,
        tone=line.tone,
        directory=line.directory,
        tls=tls,
        mwi="module_app mwi.so\n" if line.habits.watches_mailbox else "",
    )


def _account(line: Line) -> str:
    transport = "tls" if line.secure else "udp"
    media = ";mediaenc=srtp-mand" if line.secure else ""
    return (
        f"<sip:{line.user}@{line.domain};transport={transport}>;auth_user={line.user};auth_pass={line.password}"
        f';outbound="sip:{line.proxy};transport={transport}";regint={line.expires};audio_codecs=pcmu,pcma'
        f";answermode=manual{media}"
    )
