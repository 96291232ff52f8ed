"""Certificates by ACME (RFC 8555), from an authority that nobody here wrote: at the start, in time, and refused."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.calls.gateway import Gateway
from tests.support.calls.pebble import Pebble
from tests.support.calls.processes import ProgramFailed, wait_until
from tests.support.calls.stage import Stage

NAME = "gw1.voip.test"


class AcmeGateway(Gateway):
    """A gateway whose listener has the files of [acme]."""

    def start(self) -> None:
        """Name the files that [acme] writes, then start."""
        text = self.configuration.read_text()
        text = re.sub(r'(?m)^certificate = ".*gateway\.pem"', f'certificate = "{self.directory}/tls/chain.pem"', text)
        text = re.sub(r'(?m)^private_key = ".*gateway\.key"', f'private_key = "{self.directory}/tls/key.pem"', text)
        self.configuration.write_text(text)
        (self.directory / "tls").mkdir(exist_ok=True)
        super().start()


@pytest.fixture
def pebble(stage: Stage) -> Pebble:
    stage.kind_of_gateway = AcmeGateway
    return stage.keep(Pebble(stage.hosts, stage.directory / "pebble"))


def table(stage: Stage, pebble: Pebble, **more: str) -> str:
    """The table [acme] of a gateway at that authority."""
    tls = stage.directory / "gateway" / "tls"
    rows = {
        "directory": f'"{pebble.directory}"',
        "trust": f'"{pebble.trust}"',
        "names": f'["{NAME}"]',
        "certificate": f'"{tls}/chain.pem"',
        "private_key": f'"{tls}/key.pem"',
        "address": f'"{stage.hosts.gateway}"',
        "port": str(pebble.http_port),
        "agree": "true",
        "email": '"ops@voip.test"',
        **more,
    }
    return "\n[acme]\n" + "\n".join(f"{key} = {value}" for key, value in rows.items()) + "\n"


def served(gateway: Gateway, trust: Path) -> x509.Certificate:
    """The certificate that the provider's side of a gateway shows, verified."""
    context = ssl.create_default_context(cafile=str(trust))
    place = gateway.terms.address, gateway.terms.provider_port
    with socket.create_connection(place, 5) as tcp, context.wrap_socket(tcp, server_hostname=NAME) as tls:
        shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def test_rfc8555_8_3_a_gateway_without_a_certificate_gets_one_before_it_listens(stage: Stage, pebble: Pebble) -> None:
    stage.more = table(stage, pebble)
    gateway = stage.start_gateway()
    root = pebble.root(stage.directory / "root.pem")
    first = served(gateway, root)
    assert (gateway.directory / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (gateway.directory / "state" / "acme" / "account.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="refused"):  # the port of the answers is closed again
        socket.create_connection((stage.hosts.gateway, pebble.http_port), 2)
    # The account is known at the next start, and the certificate is good: nothing is ordered.
    orders = pebble.log().count("order")
    gateway.restart()
    assert served(gateway, root).serial_number == first.serial_number
    assert pebble.log().count("order") == orders


def test_a_certificate_with_few_days_left_is_renewed_while_the_gateway_runs(stage: Stage, pebble: Pebble) -> None:
    tls = stage.directory / "gateway" / "tls"
    tls.mkdir(parents=True)
    expiring(tls / "chain.pem", tls / "key.pem", days=20)
    stage.more = table(stage, pebble)
    gateway = stage.start_gateway()
    gateway.program.wait_for_line(f"the certificate for {NAME} is renewed", 30)
    root = pebble.root(stage.directory / "root.pem")

    def is_served() -> bool:
        try:
            return served(gateway, root).serial_number > 0
        except ssl.SSLError:
            return False

    wait_until("the new certificate is served", is_served, 40)


def test_rfc8555_8_4_a_program_sets_the_records(stage: Stage, pebble: Pebble) -> None:
    hook = stage.directory / "hook"
    hook.write_text(
        f"""#!{sys.executable}
import json, sys, urllib.request
verb, name, value = sys.argv[1:]
path = {{"add": "set-txt", "remove": "clear-txt"}}[verb]
data = json.dumps({{"host": name + ".", "value": value}}).encode()
urllib.request.urlopen(urllib.request.Request("{pebble.control}/" + path, data), timeout=5)
"""
    )
    hook.chmod(0o700)
    stage.more = table(stage, pebble, hook=f'"{hook}"')
    gateway = stage.start_gateway()
    assert served(gateway, pebble.root(stage.directory / "root.pem")).issuer != x509.Name([])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pebble: {"directory": '"https://127.0.0.1:1/dir"'}, "https://127.0.0.1:1/dir: "),
        (lambda pebble: {"trust": '"system"'}, "CERTIFICATE_VERIFY_FAILED"),
        (lambda pebble: {"port": str(pebble.http_port + 1)}, NAME),  # the authority asks elsewhere
    ],
)
def test_an_authority_that_gives_nothing_is_one_line_and_no_start(
    stage: Stage, pebble: Pebble, change: Callable[[Pebble], dict[str, str]], words: str
) -> None:
    stage.more = table(stage, pebble, **change(pebble))
    with pytest.raises(ProgramFailed) as failed:
        stage.start_gateway()
    assert "the gateway cannot start: " in str(failed.value)
    assert words in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_check_says_what_is_missing(stage: Stage, pebble: Pebble) -> None:
    stage.more = table(stage, pebble)
    gateway = stage.start_gateway()
    gateway.stop()
    for file in (gateway.directory / "tls").iterdir():
        file.unlink()
    assert checked(gateway) == (0, "")
    text = gateway.configuration.read_text()
    gateway.configuration.write_text(text.replace("agree = true", "agree = false").replace(f'"{NAME}"]', "]"))
    status, told = checked(gateway)
    assert status == 1
    assert "acme.agree: is false: nothing is asked before you agree" in told
    assert "acme.names: is empty" in told


def checked(gateway: Gateway) -> tuple[int, str]:
    """The exit status of `gatewayctl check`, and the mistakes."""
    program = str(Path(sys.executable).with_name("gatewayctl"))
    command = [program, "check", "--elsewhere", str(gateway.configuration)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, "\n".join(line for line in done.stderr.splitlines() if "warning" not in line)


def expiring(chain: Path, key: Path, days: int) -> None:
    """Files of a certificate of nobody's, with so many days left."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, *form))
    key.chmod(0o600)
