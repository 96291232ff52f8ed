"""The demonstration itself: its processes, on loopback addresses of this test's own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION = """
[gateway]
name = "demo-test"
state_directory = "state"
drain_seconds = 0
stop = "end"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "{network}.20"
port = 5060

[[listener]]
name = "provider"
side = "provider"
transport = "tls"
address = "{network}.20"
port = 5061
certificate = "gateway.pem"
private_key = "gateway.key"

[media]
relay = "workers"
address = "{network}.20"
ports = "20000-20099"
workers = 1

[[provider]]
name = "main"
uri = "sip:{network}.21:5061;transport=tls"
trust = "ca.pem"

[[domain]]
name = "example.com"
provider = "main"
security = "preferred"

[admin]
address = "{network}.20"
port = 8080
"""


@frozen
class Stage:
    """A directory with a configuration and certificates, and a loopback network that no other run uses."""

    directory: Path
    network: str  # three numbers of an address

    def command(self, *more: str) -> list[str]:
        return [
            *(sys.executable, "-m", "gateway.demo"),
            *("--config", str(self.directory / "demo.toml")),
            *("--phone", f"{self.network}.11:5070"),
            *("--certificate", str(self.directory / "provider.pem")),
            *("--private-key", str(self.directory / "provider.key")),
            *more,
        ]

    def processes(self) -> list[int]:
        """The processes that have this stage's directory in their command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if str(self.directory).encode() in command:
                    found.append(int(entry.name))
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    number = os.getpid()
    network = f"127.{100 + number // 250 % 100}.{number % 250}"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, address in (("gateway", f"{network}.20"), ("provider", f"{network}.21")):
        issued = authority.issue_cert(address)
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "demo.toml").write_text(CONFIGURATION.format(network=network))
    return Stage(tmp_path, network)


def test_one_call_is_encrypted_and_heard_both_ways(stage: Stage) -> None:
    ran = subprocess.run(stage.command("--once"), cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Verdict: ENCRYPTED_TO_PROVIDER" in ran.stdout
    assert "heard: 440 Hz + 880 Hz;" in ran.stdout
    assert "(SRTP) and heard: 440 Hz;" in ran.stdout
    assert ran.stdout.count("-- INVITE --") >= 2
    assert ran.stderr == ""
    assert stage.processes() == []


def test_a_second_demonstration_shows_its_own_call_alone(stage: Stage) -> None:
    """The gateway remembers calls over restarts, and while the first one is up the provider calls the phone."""
    shown = []
    for more in ((), ("--call-back-after", "1")):
        command = stage.command("--once", *more)
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        ladder, _, verdict = ran.stdout.partition("Audio")
        shown.append((ladder.count("-- INVITE --"), verdict[verdict.index("Verdict") :].split("\n\n")[0]))
    assert shown[0] == shown[1]


def test_a_taken_port_is_told_and_nothing_is_started(stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((f"{stage.network}.20", 5060))
        ran = subprocess.run(stage.command(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert f"{stage.network}.20:5060/udp is taken (wanted for the gateway's listener 'phones')" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_a_wrong_configuration_is_told(stage: Stage) -> None:
    (stage.directory / "demo.toml").write_text("[gateway]\n")
    ran = subprocess.run(stage.command(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "demo.toml: " in ran.stderr
    assert "Traceback" not in ran.stderr


def heed_interrupts() -> None:
    """A shell gives its background jobs a SIGINT that is ignored, and they hand it on to their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("Answered", signal.SIGINT),
        ("A call to the phone ended; it heard: 440 Hz + 880 Hz;", signal.SIGTERM),
        ("registered", signal.SIGHUP),
    ],
)
def test_a_signal_ends_every_process(stage: Stage, said: str, number: signal.Signals) -> None:
    """Before the call, in the middle of it, and after the provider has called the phone, while all stays up."""
    command = stage.command("--call-back-after", "6")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as process:
        assert process.stdout is not None
        assert any(said in line for line in process.stdout)
        assert len(stage.processes()) >= 3
        process.send_signal(number)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert stage.processes() == []


def test_a_gateway_that_dies_is_told(stage: Stage) -> None:
    with subprocess.Popen(
        stage.command(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any("Answered" in line for line in process.stdout)
        (gateway,) = [
            pid for pid in stage.processes() if b"twisted\0gateway" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(gateway, signal.SIGKILL)
        assert process.wait(30) == 1
        told = process.stderr.read()
    assert told.startswith("The gateway ended by itself")
    assert "Traceback" not in told
    assert stage.processes() == []
