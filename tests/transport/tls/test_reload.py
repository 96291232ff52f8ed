"""Files of certificates that change while the gateway runs: read again without a dropped connection, and told."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from gateway.transport.flow import FailureKind, PeerIdentity, TlsTerms
from gateway.transport.tls.certificates import CertificateError
from gateway.transport.tls.reload import LOOK_EVERY, NEW_TICKETS_EVERY
from tests.support.memory_network import MemoryNetwork
from tests.support.tls_authority import DAY, Authority, key
from tests.support.transport_gateways import LogLines, Site, Watched, options, trusting

OLD, NEW = "old.example.com", "new.example.com"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Scene:
    """A server whose files change, and a client with a connection to it."""

    def __init__(self, network: MemoryNetwork, authority: Authority, **more: Any) -> None:
        self.network = network
        self.authority = authority
        self.terms = trusting(authority.file)
        certificate, key = self.issue(OLD)
        self.far = Site(network, "tls", certificate=certificate, private_key=key, **more)
        self.far.answers = True
        certificate, key = authority.issue("near", "near.example.com")
        self.near = Site(network, "tls", "127.0.0.9", certificate=certificate, private_key=key)

    def issue(self, name: str) -> tuple[Path, Path]:
        """New files in the place of the old, with a new time."""
        files = self.authority.issue("far", name)
        for file in files:
            os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000))
        return files

    def connect(self, name: str, terms: TlsTerms | None = None) -> Watched:
        """A connection over which a request has got through, or not."""
        way = self.near.to(self.far, name, terms or self.terms)
        way.flow.send(options())
        self.network.settle()
        return way

    def looked(self) -> None:
        """The next look at the files has been taken."""
        self.network.pass_time(LOOK_EVERY + 1)


def lines(log: LogLines) -> list[str]:
    """What was logged, as it reads."""
    return [event["log_format"].format_map(event) for event in log.events]


def test_a_new_certificate_is_served_without_a_dropped_connection(network: MemoryNetwork, authority: Authority) -> None:
    scene = Scene(network, authority)
    before = scene.connect(OLD)
    scene.issue(NEW)
    with LogLines("info", "warn", "error") as log:
        scene.looked()
    assert f"listener main: certificate for {NEW}, 88 days left" in lines(log)
    assert f"{authority.directory}/far.key, {authority.directory}/far.pem changed and is read again" in lines(log)
    after = scene.connect(NEW)
    assert after.flow.identity == PeerIdentity(names=(NEW,), trust=authority.file)
    before.flow.send(options("still"))
    network.settle()
    assert "still" in scene.far.call_ids
    assert not before.failures


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text("nonsense"),
        lambda file: file.write_text(""),
        lambda file: file.unlink(),
        lambda file: file.with_suffix(".key").write_text("nonsense"),
        lambda file: file.with_suffix(".key").unlink(),
    ],
)
def test_a_broken_file_is_one_line_and_the_old_one_stays(
    network: MemoryNetwork, authority: Authority, spoil: Callable[[Path], object]
) -> None:
    scene = Scene(network, authority)
    spoil(authority.directory / "far.pem")
    with LogLines("warn", "error", "critical") as log:
        scene.looked()
        scene.looked()
    (line,) = lines(log)
    assert log.events[0]["log_level"].name == "error"
    assert "everything stays as it was" in line
    assert scene.far.metrics.value("gateway_certificate_files_unusable") == 1
    assert "\n" not in line
    assert scene.connect(OLD).flow.is_open
    scene.issue(NEW)
    scene.looked()
    assert scene.connect(NEW).flow.is_open
    assert scene.far.metrics.value("gateway_certificate_files_unusable") == 0


def test_files_that_stay_the_same_are_not_read_again(network: MemoryNetwork, authority: Authority) -> None:
    scene = Scene(network, authority)
    before = scene.connect(OLD)
    with LogLines("info", "warn", "error") as log:
        scene.looked()
        scene.looked()
    assert log.events == []
    assert scene.near.to(scene.far, OLD, scene.terms).flow is before.flow


def test_new_trust_counts_for_new_connections(network: MemoryNetwork, authority: Authority, tmp_path: Path) -> None:
    scene = Scene(network, authority)
    before = scene.connect(OLD)
    other = Authority(tmp_path, "Other CA")
    authority.file.write_bytes(other.file.read_bytes() + b"\n")
    scene.looked()
    with LogLines():
        after = scene.connect(OLD)
    assert after.failure.kind is FailureKind.CERTIFICATE
    assert before.flow.is_open


def test_trust_that_became_unreadable_leaves_servers_alone_too(network: MemoryNetwork, authority: Authority) -> None:
    scene = Scene(network, authority, client_trust=authority.file)
    scene.connect(OLD)
    scene.issue(NEW)
    authority.file.write_text("nonsense")
    with LogLines() as log:
        scene.looked()
    assert len(log.events) == 2  # one for each of the two gateways
    assert scene.connect(OLD).flow.is_open


def test_tickets_get_a_new_key_every_day_and_connections_to_servers_go_on(
    network: MemoryNetwork, authority: Authority
) -> None:
    scene = Scene(network, authority)
    before = scene.connect(OLD)
    served = scene.far.layer._tls._servers["main"]._context
    network.pass_time(NEW_TICKETS_EVERY - 60, 20)
    assert scene.far.layer._tls._servers["main"]._context is served
    with LogLines("info") as log:
        network.pass_time(120, 20)
    assert scene.far.layer._tls._servers["main"]._context is not served
    assert [line for line in lines(log) if OLD in line]
    assert scene.near.to(scene.far, OLD, scene.terms).flow is before.flow


def test_the_operator_is_told_how_each_certificate_stands(network: MemoryNetwork, authority: Authority) -> None:
    with LogLines("info", "warn") as log:
        scene = Scene(network, authority, advertised_host="sip.example.com")
    told = [line for line in lines(log) if OLD in line]
    assert told[0] == f"listener main: certificate for {OLD}, 88 days left"
    assert told[1].endswith(f"certificate is for {OLD}, not for sip.example.com")
    (report,) = scene.far.layer.certificate_reports().values()
    assert scene.far.metrics.value("gateway_certificate_expiry_seconds", {"listener": "main"}) == pytest.approx(
        report.not_after.timestamp()
    )
    assert report.not_after > datetime.now(tz=UTC) + 88 * DAY


def test_our_certificate_toward_servers_is_warned_about_before_it_expires(
    network: MemoryNetwork, authority: Authority
) -> None:
    scene = Scene(network, authority)
    good = authority.issue("good", "gateway.example.com")
    old = authority.issue("old", "gateway.example.com", days=20)
    terms = [trusting(authority.file, certificate=certificate, private_key=key) for certificate, key in (good, old)]
    with LogLines() as log:
        scene.near.layer.reload(terms)
    assert [line for line in lines(log) if "listener" not in line] == [f"{old[0]}: 18 days left"]


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(
    network: MemoryNetwork, authority: Authority
) -> None:
    scene = Scene(network, authority)
    certificate, key_file = authority.issue("locked", "gateway.example.com")
    key_file.write_bytes(key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")))
    terms = trusting(authority.file, certificate=certificate, private_key=key_file)
    with pytest.raises(CertificateError, match=r"locked\.key: no PEM private key without passphrase in it"):
        scene.near.layer.reload([terms])
    way = scene.connect(OLD, terms)
    assert way.failure.kind is FailureKind.CERTIFICATE


def test_terms_that_cannot_be_used_are_told_before_anything_changes(
    network: MemoryNetwork, authority: Authority, tmp_path: Path
) -> None:
    scene = Scene(network, authority)
    before = scene.connect(OLD)
    with pytest.raises(CertificateError, match=r"gone\.pem: no authorities can be read from it"):
        scene.near.layer.reload([TlsTerms(trust=tmp_path / "gone.pem")])
    assert scene.near.to(scene.far, OLD, scene.terms).flow is before.flow


def test_a_certificate_that_is_renewed_or_expires_is_an_event(network: MemoryNetwork, authority: Authority) -> None:
    scene = Scene(network, authority)
    scene.connect(OLD)
    scene.looked()
    assert events(scene) == []
    scene.issue(NEW)
    scene.looked()
    assert [name for name, _ in events(scene)] == ["certificate.renewed"]


def events(scene: Scene) -> list[tuple[str, str]]:
    return [(str(event.name), event.who) for _, event in scene.far.metrics.events.after(0)]
