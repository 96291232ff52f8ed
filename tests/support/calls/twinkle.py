"""twinkle-console as a phone (UDP, RTP), steered through its standard input, watched by its output.

There is no sound card, so ALSA's `null` device stands for one. It has no clock: twinkle's microphone is a pipe
that is filled at the pace of speech, its loudspeaker a file of samples. It sends from 127.0.0.1 and names
that address, in spite of its line's address, and listens at every address.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

from tests.support.calls.audio import read_wav
from tests.support.calls.processes import Program, find_program
from tests.support.calls.telephone import Line, Telephone

PROFILE = """\
user_name={user}
user_domain={domain}
auth_name={user}
auth_pass={password}
outbound_proxy={proxy}
all_requests_to_proxy=yes
non_resolvable_to_proxy=yes
registrar={proxy}
register_at_startup=no
registration_time={expires}
ext_100rel={prack}
codecs=g711u,g711a
speex_dsp_vad=no
speex_dsp_agc=no
speex_dsp_nrd=no
"""

SYSTEM = """\
dev_ringtone=alsa:null
dev_speaker=alsa:ear
dev_mic=alsa:mouth
sip_port={sip_port}
sip_udp_port={sip_port}
rtp_port={media_port}
log_show_sip=yes
validate_audio_dev=no
play_ringtone=no
play_ringback=no
"""

SOUND = """\
pcm.ear {{ type file; slave.pcm "null"; file "{directory}/heard.raw"; format "raw" }}
pcm.mouth {{ type file; slave.pcm "null"; infile "{directory}/said.pipe"; file "{directory}/said.raw"; format "raw" }}
"""

BLOCK = 320  # bytes: 20 ms
PIPE = 4096  # bytes: the least a pipe holds, so that what twinkle says is never old


class Twinkle(Telephone):
    """A twinkle-console process."""

    def __init__(self, line: Line) -> None:
        (line.directory / ".twinkle").mkdir(parents=True, exist_ok=True)
        self.line = line
        self._seen = 0
        _write_files(line)
        self._pipe = os.open(line.directory / "said.pipe", os.O_RDWR)
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE)
        self._silent = threading.Event()
        self._voice = threading.Thread(target=self._talk, daemon=True)
        self._voice.start()
        argv = [find_program("twinkle-console", "twinkle-console"), "phone.cfg"]
        home = {"HOME": str(line.directory)}
        self.program = Program(argv, line.directory / "twinkle.out", cwd=line.directory, environment=home, steered=True)
        self.program.name = f"twinkle {line.user}"
        self._wait(r"^Twinkle> ", 10)

    def register(self) -> None:
        self.program.tell("register")
        self._wait(r"registration succeeded", 8)

    def call(self, uri: str) -> None:
        self.program.tell(f"call {uri}")

    def wait_ringing(self, seconds: float = 5) -> None:
        self._wait(r"incoming call", seconds)

    def wait_early(self, seconds: float = 5) -> None:
        """Wait until the other side rings (a 18x)."""
        self._wait(r"received 18\d", seconds)

    def answer(self) -> None:
        self.program.tell("answer")
        self._wait(r"call established", 5)

    def wait_answered(self, seconds: float = 5) -> None:
        self._wait(r"far end answered call", seconds)

    def hangup(self, call: int = -1) -> None:
        assert call == -1
        self.program.tell("bye")
        self.wait_ended()

    def wait_ended(self, seconds: float = 5) -> str:
        return self._wait(r"call ended|far end ended call|call cancelled|call failed", seconds)

    def hold(self, call: int = -1) -> None:
        assert call == -1
        self.program.tell("hold")
        self._wait(r"re-INVITE successful", 5)

    def resume(self) -> None:
        self.program.tell("retrieve")
        self._wait(r"re-INVITE successful", 5)

    def recordings(self) -> list[Path]:
        return [self.line.directory / "heard.raw"]

    def heard(self) -> list[int]:
        """Samples of all it heard, one call after the other."""
        data = self.recordings()[0].read_bytes()
        whole = data[: len(data) // 2 * 2]
        return list(memoryview(whole).cast("h"))

    def stop(self) -> None:
        self.program.stop(first=signal.SIGKILL)  # it does not heed SIGTERM
        if not self._silent.is_set():
            self._silent.set()
            self._voice.join(2)
            os.close(self._pipe)

    def _talk(self) -> None:
        """Its tone, again and again, at the pace of speech; nobody may be listening."""
        os.set_blocking(self._pipe, False)
        tone = b"".join(sample.to_bytes(2, "little", signed=True) for sample in read_wav(self.line.tone))
        begun, at = time.monotonic(), 0
        while not self._silent.wait(max(0.0, begun + at / 16_000 - time.monotonic())):
            start = at % (len(tone) - BLOCK)
            try:
                os.write(self._pipe, tone[start : start + BLOCK])
            except BlockingIOError:
                pass
            at += BLOCK

    def _wait(self, pattern: str, seconds: float) -> str:
        found = self.program.wait_for_line(pattern, seconds, after=self._seen)
        self._seen = found.end()
        return found[0]


def _write_files(line: Line) -> None:
    values = {
        "user": line.user,
        "domain": line.domain,
        "password": line.password,
        "proxy": line.proxy,
        "expires": line.expires,
        "prack": "required" if line.habits.prack == "required" else "supported",
        "sip_port": line.sip_port,
        "media_port": line.media_port,
        "directory": line.directory,
    }
    files = {".twinkle/phone.cfg": PROFILE, ".twinkle/twinkle.sys": SYSTEM, ".asoundrc": SOUND}
    for name, text in files.items():
        (line.directory / name).write_text(text.format(**values))
    os.mkfifo(line.directory / "said.pipe")
