"""Changing what the gateway goes by: adopted whole or not at all, kept over restarts, and written down."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from gateway.config.load import load
from gateway.config.model import Configuration, ConfigurationError, Security
from gateway.config.switches import FIXED, FOLLOWED, NoSuchDomain, Settings
from gateway.security.credentials import CredentialsError
from gateway.state.audit import AuditLog
from tests.support.clocks import clock_at
from tests.support.small_configuration import SMALLEST
from tests.support.tls_authority import Authority

TEXT = (
    SMALLEST.replace("/var/lib/gateway", "state")
    + """security = "required"

[[domain]]
name = "example.org"
provider = "main"
"""
)


class Site:
    """A file, and settings made from it as at a start."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "gateway.toml"
        self.file.write_text(TEXT)
        self.state = directory / "state"
        self.state.mkdir()
        self.adopted: list[Configuration] = []
        self.read: list[Configuration] = []
        self.refusing: Exception | None = None
        self.start()

    def start(self) -> None:
        self.audit = AuditLog(self.state / "audit.jsonl", lambda: 1_700_000_000.0)
        self.settings = Settings(load(self.file), self.audit, clock_at(1_700_000_000.0), self)

    def edit(self, old: str, new: str) -> None:
        self.file.write_text(self.file.read_text().replace(old, new))

    def security(self, name: str = "example.com") -> Security:
        return next(domain.security for domain in self.settings.current.domains if domain.name == name)

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        if self.refusing is not None:
            raise self.refusing
        return lambda: self.read.append(configuration)

    def adopt(self, configuration: Configuration) -> None:
        self.adopted.append(configuration)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_switch_counts_at_once_for_its_domain_alone_and_over_restarts(site: Site) -> None:
    assert site.settings.switch("Example.COM", Security.OFF, "root").security is Security.OFF
    assert (site.security(), site.security("example.org")) == (Security.OFF, Security.PREFERRED)
    assert site.adopted == [site.settings.current]
    site.start()
    assert site.security() is Security.OFF
    switch = site.settings.security_of("example.com")
    assert switch is not None
    assert switch.who == "root"
    assert stat.S_IMODE((site.state / "switches.json").stat().st_mode) == 0o600


def test_a_switch_is_taken_back(site: Site) -> None:
    site.settings.switch("example.com", Security.OFF, "root")
    site.settings.switch("example.com", None, "root")
    site.start()
    assert site.security() is Security.REQUIRED


def test_an_edit_of_the_file_after_a_switch_counts(site: Site) -> None:
    site.settings.switch("example.com", Security.OFF, "root")
    site.settings.reload("root")
    assert site.security() is Security.OFF, "the file says what it said"
    site.edit('security = "required"', 'security = "preferred"')
    site.settings.reload("root")
    assert site.security() is Security.PREFERRED
    site.start()
    assert site.security() is Security.PREFERRED


def test_who_changed_what_and_when_is_written_down(site: Site) -> None:
    site.settings.switch("example.com", Security.PREFERRED, "alice (uid 1000)")
    site.edit('name = "example.org"', 'name = "example.org"\nsecurity = "off"')
    assert site.settings.reload("SIGHUP") == ("domain example.org: security: preferred -> off",)
    at = "2023-11-14T22:13:20.000Z"
    switched = {
        "at": at,
        "who": "alice (uid 1000)",
        "what": "switch",
        "domain": "example.com",
        "from": "required",
        "to": "preferred",
    }
    reloaded = {
        "at": at,
        "who": "SIGHUP",
        "what": "reload",
        "changes": ["domain example.org: security: preferred -> off"],
    }
    lines = (site.state / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert all(entry.pop("prev") for entry in entries)  # the chain is tried elsewhere
    assert entries == [switched, reloaded]
    site.start()
    for name, entry in (("EXAMPLE.com", switched), ("example.org", reloaded)):
        (told,) = site.audit.about(name)
        assert {**told, "prev": ""} == {**entry, "prev": ""}


def test_an_edit_that_came_with_a_restart_is_written_down_too(site: Site) -> None:
    assert not (site.state / "audit.jsonl").exists(), "the first start changes nothing"
    site.edit('security = "required"', 'security = "off"')
    site.start()
    site.start()
    (entry,) = site.audit.about("example.com")
    assert (entry["who"], entry["what"]) == ("restart", "start")
    assert entry["changes"] == ["domain example.com: security: required -> off"]
    (site.state / "adopted.json").write_text("nonsense")
    site.start()
    assert len(site.audit.about("example.com")) == 1


def test_a_domain_that_does_not_exist_is_one_line(site: Site) -> None:
    with pytest.raises(NoSuchDomain, match=r"There is no domain example.net."):
        site.settings.switch("example.net", Security.OFF, "root")
    assert not site.adopted


def test_a_file_with_mistakes_changes_nothing(site: Site) -> None:
    before = site.settings.current
    site.edit('security = "required"', 'security = "sometimes"')
    with pytest.raises(ConfigurationError, match=r"domain\[0\].security"):
        site.settings.reload("root")
    assert site.settings.current is before
    assert not site.adopted


def test_a_file_that_cannot_be_read_again_changes_nothing(site: Site) -> None:
    current = site.settings.current
    site.edit('security = "required"', 'security = "preferred"')
    site.refusing = CredentialsError("users.toml: has mode 0644")
    with pytest.raises(CredentialsError):
        site.settings.reload("root")
    assert site.settings.current is current
    assert not site.adopted
    assert site.settings.switch("example.com", Security.OFF, "root").security is Security.OFF, "needs no other file"
    assert not site.read


def test_a_switch_that_cannot_be_kept_is_not_made(site: Site) -> None:
    (site.state / "switches.json").mkdir()
    with pytest.raises(OSError, match=r"switches\.json"):
        site.settings.switch("example.com", Security.OFF, "root")
    assert site.security() is Security.REQUIRED


def test_domains_and_providers_follow_the_file_and_listeners_wait_for_a_restart(site: Site) -> None:
    site.edit("provider.example.com", "other.example.com")
    site.edit("port = 5070", "port = 5071")
    told = site.settings.reload("root")
    assert told == (
        "provider main: uri: sip:provider.example.com -> sip:other.example.com",
        "listeners: changed, which takes a restart",
    )
    assert site.settings.current.listeners[1].port == 5070
    assert site.adopted == [site.settings.current]
    assert site.read == site.adopted


def test_lists_of_addresses_follow_the_file(site: Site) -> None:
    site.edit("[media]", '[[blocklist]]\nname = "apiban"\nurl = "https://lists.example/"\n\n[media]')
    assert site.settings.reload("root") == ("blocklist apiban: new",)
    assert [one.name for one in site.adopted[-1].blocklists] == ["apiban"]


def test_a_receiver_of_copies_that_is_taken_out_of_the_file_goes_on_until_a_restart_and_that_is_told(
    site: Site,
) -> None:
    table = '[hep]\nto = "udp:127.0.0.1:9060"\n'
    site.edit("[media]", f"{table}\n[media]")
    site.start()
    site.edit(table, "")
    assert site.settings.reload("root") == ("hep: changed, which takes a restart",)
    assert site.settings.current.hep is not None


def test_all_but_domains_providers_lists_and_the_defence_waits_for_a_restart() -> None:
    followed = {"providers", "domains", "phones", "blocklists", "limit", "numbers", "source", *FOLLOWED}
    assert {*FIXED} == {field.name for field in attrs.fields(Configuration)} - followed


def test_a_provider_that_needs_a_listener_which_is_not_open_is_refused(site: Site) -> None:
    listener = '[[listener]]\nname = "more"\nside = "provider"\ntransport = "tcp"\naddress = "127.0.0.1"\nport = 5080\n'
    uri = 'uri = "sip:provider.example.com"'
    wanted = f'{uri}\nfallback_uri = "sip:provider.example.com;transport=tcp"'
    site.file.write_text(site.file.read_text().replace(uri, wanted) + listener)
    with pytest.raises(ConfigurationError, match="needs a tcp listener that a restart opens"):
        site.settings.reload("root")
    assert not site.adopted


PBX = """
[[phone]]
name = "office"
domain = "example.com"
addresses = ["sip:192.0.2.50:5060"]
numbers = ["+49301234500-+49301234599"]
proof = "address"
"""


def test_a_pbx_follows_the_file_and_the_first_one_waits_for_a_restart(site: Site) -> None:
    site.file.write_text(site.file.read_text() + PBX)
    assert site.settings.reload("root") == ("phones: changed, which takes a restart",)
    assert site.settings.current.phones == ()
    site.start()
    site.edit("+49301234599", "+49301234598")
    assert site.settings.reload("root") == (
        "phone office: numbers: +49301234500-+49301234599 -> +49301234500-+49301234598",
    )
    assert site.adopted[-1].phones == site.settings.current.phones == load(site.file).phones
    site.file.write_text(site.file.read_text().partition("\n[[phone]]")[0])
    assert site.settings.reload("root") == ("phone office: gone",)
    site.file.write_text(site.file.read_text() + PBX)
    assert site.settings.reload("root") == ("phone office: new",), "the parts are there since the start"


@pytest.mark.parametrize("client_trust", ["", 'client_trust = "{0}"\n'])
def test_a_pbx_that_needs_a_listener_which_is_not_open_is_refused(site: Site, client_trust: str) -> None:
    site.file.write_text(site.file.read_text() + PBX)
    site.start()
    certificate, key = Authority(site.state).issue("phones", "gateway.example.com")
    identity = f'certificate = "{certificate}"\nprivate_key = "{key}"\n' + client_trust.format(certificate)
    listener = '[[listener]]\nname = "more"\nside = "phones"\ntransport = "tls"\naddress = "127.0.0.1"\nport = 5080\n'
    secure = PBX.replace("sip:192.0.2.50:5060", "sip:pbx.example.net;transport=tls").replace(
        '"address"', '"certificate"'
    )
    site.file.write_text(site.file.read_text().replace(PBX, secure) + listener + identity)
    told = "needs a tls listener with client_trust that a restart opens" if client_trust else "no client could show one"
    with pytest.raises(ConfigurationError, match=told):
        site.settings.reload("root")
    assert not site.adopted


def test_when_a_domains_way_changed_is_known(site: Site) -> None:
    assert site.settings.changed_at("example.com") == 0.0
    site.settings.switch("example.com", Security.OFF, "root")
    assert site.settings.changed_at("Example.com") == 1_700_000_000.0
    assert site.settings.changed_at("example.org") == 0.0
    site.edit("provider.example.com", "other.example.com")
    site.settings.reload("root")
    assert site.settings.changed_at("example.org") == 1_700_000_000.0


def test_a_broken_file_of_switches_is_one_line(site: Site) -> None:
    (site.state / "switches.json").write_text('{"example.com": {"security": "sometimes"}}')
    with pytest.raises(ConfigurationError) as raised:
        site.start()
    assert len(raised.value.errors) == 1


def test_broken_lines_of_the_audit_are_passed_over(site: Site) -> None:
    (site.state / "audit.jsonl").write_text('nonsense\n[]\n{"domain": "example.com", "what": "switch"}\n')
    site.start()
    assert site.audit.about("example.com") == [{"domain": "example.com", "what": "switch"}]
