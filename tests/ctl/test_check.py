"""gatewayctl check, on this machine: each mistake of an operator is a line with its key, its cause and its remedy."""

from __future__ import annotations

import datetime
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from gateway.ctl.main import main
from gateway.ctl.this_machine import own_addresses, running_gateway
from gateway.state.sqlite import locked
from tests.support.other_user import NOBODY, PYTHON, ROOT, need_reachable_checkout

ELSEWHERE = "192.0.2.20"
"""An address that no machine has (RFC 5737)."""

LAST_WEEK = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(days=7)


def check(file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(file), *options])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Site:
    """A good configuration with its files, to be spoilt."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()
        self.certify("gateway.example.com")
        self.write("ca.pem", self.authority.cert_pem.bytes())
        self.write("users.toml", b'peer = "secret"\n')
        self.phones, self.trunk, self.admin = (free_port() for _ in range(3))
        self.file = directory / "gateway.toml"
        self.file.write_text(f"""
[gateway]
name = "gw1"
state_directory = "state"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "127.0.0.1"
port = {self.phones}

[[listener]]
name = "trunk"
side = "provider"
transport = "tls"
address = "127.0.0.1"
port = {self.trunk}
certificate = "gateway.pem"
private_key = "gateway.key"
advertised_host = "gateway.example.com"

[media]
address = "127.0.0.1"
ports = "20000-20999"
workers = 1

[[provider]]
name = "main"
uri = "sip:127.0.0.21;transport=tls"
trust = "ca.pem"

[[domain]]
name = "example.com"
provider = "main"
credentials = "users.toml"

[admin]
address = "127.0.0.1"
port = {self.admin}
""")

    def write(self, name: str, content: bytes) -> None:
        (self.directory / name).write_bytes(content)
        (self.directory / name).chmod(0o600)

    def certify(
        self, name: str, not_before: datetime.datetime | None = None, not_after: datetime.datetime | None = None
    ) -> None:
        """A new certificate of the listener."""
        identity = self.authority.issue_cert(name, not_before=not_before, not_after=not_after)
        self.write("gateway.key", identity.private_key_pem.bytes())
        self.write("gateway.pem", b"".join(blob.bytes() for blob in identity.cert_chain_pems))

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new, 1))

    def told(self, exit_code: int, *options: str) -> list[str]:
        """The lines of a check that ends so, each without the file's name."""
        result = check(self.file, *options)
        assert result.exit_code == exit_code, result.output
        return [line.replace(f"{self.file}: ", "") for line in result.stderr.splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_good_configuration_is_one_line_that_counts_the_calls(site: Site) -> None:
    result = check(site.file, "--strict")
    assert result.exit_code == 0, result.output
    carried = "media ports 20000-20999 carry 225 calls at once"  # 500 pairs, 50 of them for emergency calls, 2 a call
    assert result.output == f"{site.file}: ok, 2 listeners, 1 provider, 1 domain; {carried}\n"
    assert json.loads(check(site.file, "--json").output)["calls"] == 225
    assert not (site.directory / "state").exists()


def test_a_wrong_configuration_is_one_line_for_each_mistake(site: Site) -> None:
    site.edit('"udp"', '"sctp"')
    site.edit(f"port = {site.trunk}", "port = 70000")
    lines = site.told(1)
    assert lines == [
        'listener[0].transport: found "sctp", allowed: udp, tcp, tls, wss',
        "listener[1].port: found 70000, allowed: a number from 0 to 65535",
    ]
    told = json.loads(check(site.file, "--json").output)
    assert (told["ok"], told["errors"]) == (False, [f"{site.file}: {line}" for line in lines])


def test_an_expired_certificate_keeps_nobody_from_starting(site: Site) -> None:
    """deploy/gateway.service checks before each start, and peers that do not look go on."""
    site.certify("gateway.example.com", not_before=LAST_WEEK, not_after=LAST_WEEK + datetime.timedelta(days=1))
    (line,) = site.told(0)
    assert line.startswith("warning: listener[1].certificate: ")
    assert "expired on" in line
    assert "renew it" in line
    site.told(2, "--strict")
    told = json.loads(check(site.file, "--json").output)
    assert (told["ok"], told["errors"], len(told["warnings"])) == (True, [], 1)


def test_a_certificate_with_few_days_left_and_a_key_that_others_read_are_warnings(site: Site) -> None:
    soon = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=4, hours=1)
    site.certify("gateway.example.com", not_after=soon)
    (site.directory / "gateway.key").chmod(0o644)
    days, key = site.told(0)
    assert "has 4 days left" in days
    assert "can be read by others (mode 0644): chmod 600" in key
    site.told(2, "--strict")


def test_the_certificate_of_the_administration_is_looked_at_too(site: Site) -> None:
    site.edit("[admin]", '[admin]\ncertificate = "gateway.pem"\nprivate_key = "gateway.key"')
    site.told(0, "--strict")
    (site.directory / "gateway.key").chmod(0o644)
    assert [line.split(": ")[1] for line in site.told(0)] == ["listener[1].private_key", "admin.private_key"]
    site.write("gateway.key", trustme.CA().issue_cert("other").private_key_pem.bytes())
    assert [line.split(": ")[0] for line in site.told(1)] == ["listener[1].certificate", "admin.certificate"]


def test_a_certificate_for_another_name_is_a_warning(site: Site) -> None:
    site.certify("sip.elsewhere.test")
    (line,) = site.told(0)
    assert "is for sip.elsewhere.test, not for gateway.example.com (advertised_host)" in line


def test_a_certificate_of_a_provider_that_lacks_our_name_toward_it_is_a_warning(site: Site) -> None:
    mine = 'certificate = "gateway.pem"\nprivate_key = "gateway.key"\n'
    site.edit("[[provider]]", f'[[provider]]\n{mine}contact_host = "sbc1.contoso.com"')
    (line,) = site.told(0)
    assert "provider[0].certificate: " in line
    assert "is for gateway.example.com, not for sbc1.contoso.com (contact_host)" in line


def test_several_certificates_are_looked_at_and_the_names_told_that_they_miss(site: Site) -> None:
    """RFC 6066 section 3: each is found by its name."""
    identity = site.authority.issue_cert("sip.example.net", "*.example.org")
    site.write("second.key", identity.private_key_pem.bytes())
    site.write("second.pem", b"".join(blob.bytes() for blob in identity.cert_chain_pems))
    mine = 'certificate = "gateway.pem"\nprivate_key = "gateway.key"\n'
    more = 'certificates = [{ certificate = "second.pem", private_key = "second.key" }]\n'
    site.edit('transport = "udp"', f'transport = "tls"\n{mine}{more}advertised_host = "pbx.example.org"')
    (line,) = site.told(0)
    assert "listener[0].certificates: none is for example.com: " in line
    site.edit('name = "example.com"', 'name = "sip.example.net"')
    site.told(0, "--strict")
    rows = json.loads(CliRunner().invoke(main, ["certs", "--config", str(site.file), "--json"]).output)
    assert next(row["names"] for row in rows if "certificates" in row["used_by"])[0] == "sip.example.net"
    site.write("second.key", trustme.CA().issue_cert("other").private_key_pem.bytes())
    (line,) = site.told(1)
    assert "listener[0].certificates[0].certificate: " in line
    (site.directory / "second.key").unlink()
    (line,) = site.told(1)
    assert "listener[0].certificates[0].private_key: " in line


def test_a_further_certificate_of_a_listener_may_be_the_one_that_acme_renews(site: Site) -> None:
    """RFC 8555: its files need not be there before the first start. All others beside it are told of."""
    mine = 'certificate = "gateway.pem"\nprivate_key = "gateway.key"\n'
    more = 'certificates = [{ certificate = "made.pem", private_key = "made.key" }]\n'
    site.edit('transport = "udp"', f'transport = "tls"\n{mine}{more}advertised_host = "gateway.example.com"')
    assert len(site.told(1)) == 2, "the files of an operator have to be there"
    table = 'directory = "https://acme.example.net/"\ncertificate = "made.pem"\nprivate_key = "made.key"\nagree = true'
    site.edit("[media]", f'[acme]\n{table}\nnames = ["example.com"]\n\n[media]')
    (line,) = site.told(0)
    assert "listener[0].certificate: " in line
    assert "gateway.pem is not renewed by [acme], which renews " in line
    site.edit('names = ["example.com"]', 'names = ["example.net"]')
    assert any("listener[0].certificates: none is for example.com: " in line for line in site.told(0))


def test_several_certificates_are_for_tls_alone(site: Site) -> None:
    site.write("second.pem", b"")
    more = 'certificates = [{ certificate = "second.pem", private_key = "second.pem" }]'
    site.edit('transport = "udp"', f'transport = "udp"\n{more}')
    (line,) = site.told(1)
    assert 'listener[0].certificates: is for transport = "tls", found "udp"' in line


def test_an_address_is_the_same_in_each_of_its_forms(site: Site) -> None:
    site.certify("2001:db8::20")
    site.edit('advertised_host = "gateway.example.com"', 'advertised_host = "2001:DB8:0:0::20"')
    site.told(0, "--strict")


def test_mistakes_are_told_beside_warnings_and_count_more(site: Site) -> None:
    site.certify("sip.elsewhere.test")
    site.edit('address = "127.0.0.1"\nports', f'address = "{ELSEWHERE}"\nports')
    lines = site.told(1, "--strict")
    assert [line.startswith("warning: ") for line in lines] == [False, True]


def test_a_key_of_another_certificate(site: Site) -> None:
    other = site.directory / "gateway.key"
    other.write_bytes(trustme.CA().issue_cert("other.example.com").private_key_pem.bytes())
    (line,) = site.told(1)
    assert line.endswith(f"and {other} cannot be used together: the key is another certificate's")
    other.write_text("no key")
    (line,) = site.told(1)
    assert "not PEM, or the key has a passphrase" in line


@pytest.mark.parametrize(
    "content", [b"", b"nothing\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_trust_file_without_pem(site: Site, content: bytes) -> None:
    site.write("ca.pem", content)
    (line,) = site.told(1)
    assert line.startswith("provider[0].trust: ")
    assert "holds no certificate of an authority: PEM is needed" in line


def test_authorities_of_a_receiver_of_copies_without_pem(site: Site) -> None:
    site.write("hep.pem", b"nothing\n")
    site.file.write_text(site.file.read_text() + '[hep]\nto = "tls:127.0.0.1:9061"\ntrust = "hep.pem"\n')
    (line,) = site.told(1)
    assert line.startswith("hep.trust: ")
    assert "holds no certificate of an authority: PEM is needed" in line


def test_authorities_that_have_all_expired_are_a_warning(site: Site) -> None:
    leaf = site.authority.issue_cert("old", not_before=LAST_WEEK, not_after=LAST_WEEK + datetime.timedelta(days=1))
    site.write("ca.pem", leaf.cert_chain_pems[0].bytes())
    (line,) = site.told(0)
    assert line.startswith("warning: provider[0].trust: every authority in")


def test_an_account_of_a_pbx_without_a_password(site: Site) -> None:
    table = '[[phone]]\nname = "office"\ndomain = "example.com"\naddresses = ["sip:192.0.2.50:5060"]\n'
    table += 'numbers = ["+4930123450"]\nproof = "address"\naccount = "4930123450"\nregister = true\n'
    text = site.file.read_text()
    for account, is_told in (("4930123450", True), ("peer", False)):
        site.file.write_text(text + table.replace('"4930123450"', f'"{account}"'))
        told = [line for line in check(site.file).output.splitlines() if "phone[0]" in line]
        wanted = f"phone[0].account: {site.directory / 'users.toml'} has no password of {account}"
        assert any(line.endswith(wanted) for line in told) is is_told


@pytest.mark.parametrize("content", [b"peer: secret\n", b'peer = "s3cret\n', b"peer = 5\n", b"\xff\n"])
def test_credentials_that_are_no_toml(site: Site, content: bytes) -> None:
    site.write("users.toml", content)
    (line,) = site.told(1)
    assert line.startswith("domain[0].credentials: ")
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("old", "key"),
    [
        ('transport = "udp"\naddress = "127.0.0.1"', "listener[0].address"),
        ('transport = "tls"\naddress = "127.0.0.1"', "listener[1].address"),
        ('[media]\naddress = "127.0.0.1"', "media.address"),
        ('[admin]\naddress = "127.0.0.1"', "admin.address"),
    ],
)
def test_an_address_of_another_machine(site: Site, old: str, key: str) -> None:
    site.edit(old, old.replace("127.0.0.1", ELSEWHERE))
    lines = site.told(1)
    assert lines[0].startswith(f"{key}: {ELSEWHERE} is no address of this machine")
    assert all(one in lines[0] for one in own_addresses())
    site.told(0, "--elsewhere")


def test_both_sides_of_media_are_looked_at(site: Site) -> None:
    site.edit("[media]", f'[media]\nphone_address = "{ELSEWHERE}"\nprovider_address = "2001:db8::20"')
    site.edit("[media]\n", '[media]\nprovider_advertised = "2001:db8::20"\n')
    lines = [line for line in site.told(1) if not line.startswith("warning: ")]
    assert [line.split(": ")[0] for line in lines] == ["media.phone_address", "media.provider_address"]


def test_a_port_that_is_taken(site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", site.phones))
        with socket.create_server(("127.0.0.1", site.trunk)), socket.create_server(("127.0.0.1", site.admin)):
            lines = site.told(1)
    assert [line.split(" of ")[0] for line in lines] == [
        f"listener[0].port: udp port {site.phones}",
        f"listener[1].port: tcp port {site.trunk}",
        f"admin.port: tcp port {site.admin}",
    ]
    assert "is taken by another program (ss -lunp " in lines[0]


def test_a_gateway_that_runs_holds_its_own_ports(site: Site) -> None:
    """A check before a reload is the usual one."""
    state = site.directory / "state"
    state.mkdir()
    with closing(sqlite3.connect(state / "bindings.sqlite")) as database:
        locked(database)
        database.execute("CREATE TABLE IF NOT EXISTS kept (x)")
        database.commit()
        # From another process: to its owner a lock is none.
        asked = f"from gateway.ctl.this_machine import *; print(running_gateway(Path({str(state)!r})))"
        told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
        assert told.stdout == f"{os.getpid()}\n"
    assert running_gateway(state) is None


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can be another user")
def test_a_file_that_cannot_be_read_names_the_user_and_the_owner() -> None:
    need_reachable_checkout()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)
        site = Site(directory)
        site.file.chmod(0o644)
        (directory / "gateway.key").chmod(0o640)
        (directory / "ca.pem").chmod(0o644)
        (directory / "closed").mkdir(0o700)
        (directory / "users.toml").rename(directory / "closed" / "users.toml")
        site.edit('"users.toml"', '"closed/users.toml"')
        asked = (
            f"import sys; sys.path[:] = {sys.path!r}\nfrom gateway.ctl.main import main; main(['check', sys.argv[1]])"
        )
        told = subprocess.run(
            [*PYTHON, "-c", asked, str(site.file)], user=NOBODY, group=NOBODY, capture_output=True, text=True, cwd="/"
        )
    assert told.returncode == 1, told.stderr
    user = "cannot be read by user nobody (uid 65534): "
    assert "Traceback" not in told.stderr, told.stderr
    _, key, passwords = told.stderr.splitlines()
    assert key.endswith(f"private_key: {directory}/gateway.key {user}it belongs to user root (uid 0), mode 0640")
    assert passwords.endswith(f"/users.toml {user}the directory {directory}/closed does not let it in")


@pytest.mark.parametrize("place", ["/proc/x", "/proc/x/y", "/dev/null/state"])
def test_a_state_directory_that_cannot_be_made(site: Site, place: str) -> None:
    site.edit('"state"', f'"{place}"')
    (line,) = site.told(1)
    assert line.startswith(f"gateway.state_directory: {place} cannot be made: /")


def test_a_state_directory_that_is_there_is_left_as_it_is(site: Site) -> None:
    (site.directory / "state").mkdir()
    site.told(0, "--strict")
    assert not [*(site.directory / "state").iterdir()]


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_an_administration_that_everybody_reaches_is_a_warning(site: Site, address: str) -> None:
    site.edit('[admin]\naddress = "127.0.0.1"', f'[admin]\naddress = "{address}"')
    (line,) = site.told(0)
    assert line.startswith(f"warning: admin.address: {address} is reached from the network")
    assert "127.0.0.1" in line


def test_media_of_the_other_version_of_ip_is_a_warning(site: Site) -> None:
    site.edit("[media]", '[media]\nphone_address = "::1"')
    (line,) = site.told(0)
    assert "listener phones is IPv4, and media of its side has ::1" in line


def test_rtpengines_ports_are_not_counted(site: Site) -> None:
    site.edit("workers = 1", 'relay = "rtpengine"\nrtpengine = ["127.0.0.1:22222"]')
    result = check(site.file)
    assert result.output.endswith("; the ports of media are rtpengine's\n")
    assert json.loads(check(site.file, "--json").output)["calls"] is None


def test_a_terminal_is_safe_from_the_text_of_a_file(site: Site) -> None:
    site.edit(
        '"preferred"' if '"preferred"' in site.file.read_text() else 'provider = "main"', 'provider = "\\u001b[2J"'
    )
    result = check(site.file)
    assert result.exit_code == 1
    assert "\x1b" not in result.output
