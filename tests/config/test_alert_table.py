"""The tables [[alert]]: values, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import Alert, ConfigurationError
from gateway.config.tables.alert_table import EVENTS, Server, SyslogPlace
from gateway.observe.events import EventName
from tests.support.docs.machine import first_configuration

WEBHOOK = 'url = "https://hooks.example.com/x?token=abc"\nsecret_file = "key"\n'
MAIL = 'smtp = "mail.example.com:587"\nsender = "gw@example.com"\nrecipients = ["ops@example.com"]\n'


def loaded(directory: Path, *tables: str) -> tuple[Alert, ...]:
    for name in ("key", "password"):
        (directory / name).write_text("0123456789abcdef\n")
        (directory / name).chmod(0o600)
    (directory / "open").write_text("0123456789abcdef\n")
    (directory / "open").chmod(0o644)
    file = directory / "gateway.toml"
    file.write_text(first_configuration().replace("/etc/gateway", str(directory)) + "\n" + "\n".join(tables))
    for name in ("gateway.pem", "gateway.key", "provider-ca.pem", "passwords.toml"):
        (directory / name).touch(0o600)
    return load(file).alerts


def table(name: str, to: str, keys: str) -> str:
    return f'[[alert]]\nname = "{name}"\nto = "{to}"\n{keys}'


def test_each_kind_has_its_keys(tmp_path: Path) -> None:
    hook, mail, siem, line = loaded(
        tmp_path,
        table("hook", "webhook", WEBHOOK),
        table("mail", "email", MAIL + 'user = "gw"\npassword_file = "password"\n'),
        table("siem", "syslog", 'syslog = "udp:[2001:db8::5]:514"\nformat = "cef"\nevents = ["fraud.*"]\n'),
        table("line", "log", 'least = "info"\n'),
    )
    assert hook.url is not None
    assert hook.url.text == "https://hooks.example.com/x?token=abc"
    assert (str(hook.url), hook.url.server) == ("https://hooks.example.com:443/", Server("hooks.example.com", 443))
    assert "abc" not in repr(hook)
    assert (hook.events, hook.least) == (EVENTS, "warning")
    assert (mail.smtp, mail.smtp_security) == (Server("mail.example.com", 587), "starttls")
    assert siem.syslog == SyslogPlace("udp", Server("2001:db8::5", 514))
    assert str(siem.syslog) == "udp:[2001:db8::5]:514"
    assert line.least == "info"


def test_by_default_it_is_told_of_all_but_single_calls_and_registrations() -> None:
    kinds = {name.partition(".")[0] for name in EventName}
    assert {glob.removesuffix(".*") for glob in EVENTS} == kinds - {"call", "calls", "registration"}


@pytest.mark.parametrize(
    ("to", "keys", "told"),
    [
        ("webhook", "", 'url: is missing: to = "webhook" needs it'),
        ("webhook", WEBHOOK.replace("https", "http"), "allowed: a URL that begins with https://"),
        ("webhook", WEBHOOK.replace("hooks.", "user:secret@hooks."), "without user or fragment"),
        ("webhook", WEBHOOK.replace("example.com", "example.com:99999"), "allowed: a URL"),
        ("webhook", WEBHOOK + 'smtp = "mail.example.com:25"\n', 'smtp: is no key of to = "webhook"'),
        ("webhook", WEBHOOK.replace("key", "open"), "has mode 0644, allowed: nothing for group or others"),
        ("webhook", WEBHOOK.replace('"key"', '"nonesuch"'), "nonesuch"),
        ("email", MAIL.replace(":587", ""), "allowed: HOST:PORT"),
        ("email", MAIL + 'user = "gw"\n', "password_file: is missing: user and password_file go together"),
        (
            "email",
            MAIL + 'user = "gw"\npassword_file = "password"\nsmtp_security = "none"\n',
            'smtp_security: found "none", allowed with a password: starttls, tls',
        ),
        ("email", MAIL.replace("gw@", "gäteway@"), "an address such as ops@example.com, in ASCII"),
        ("email", MAIL.replace("ops@example.com", "ops>\\nBcc: all@example.com"), "an address such as"),
        ("syslog", 'syslog = "udp:logs.example.com:514"\n', "allowed: tls:HOST:PORT, udp:ADDRESS:PORT or unix:PATH"),
        ("syslog", 'syslog = "unix:/dev/log"\ntrust = "ca.pem"\n', "trust: is for a syslog receiver over tls"),
        ("syslog", 'syslog = "unix:/dev/log"\nfacility = 24\n', "a number from 0 to 23"),
        ("log", 'events = ["Provider Down"]\n', "allowed: the name of an event"),
        ("log", 'least = "loud"\n', "allowed: info, notice, warning, critical"),
        ("pager", "", "allowed: webhook, email, syslog, log"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(tmp_path: Path, to: str, keys: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, table("one", to, keys))
    assert any(told in line and ": alert[0]." in line for line in raised.value.errors), raised.value.errors


def test_two_of_one_name_and_too_many_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, *[table("one", "log", "")] * 21)
    assert 'alert[1].name: found "one", which alert[0] has already' in str(raised.value)
    assert "alert: found 21 tables, allowed: 20 at most" in str(raised.value)
