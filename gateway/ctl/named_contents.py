"""The contents of the files that a configuration names, before a start: certificates, keys, authorities, passwords.

    Configuration -> mistakes(): no gateway would start    doubts(): one would, and somebody should look

The rule is the start's own: an expired certificate is better than none for the peers that do not care, so it is a
doubt; a file of authorities without any is a mistake. Not here: one PEM file for people (`certificate_files`), whether
a file is there and may be read (`config.named_files`).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError

from gateway.config.device_file import read_devices
from gateway.config.model import (
    Configuration,
    Domain,
    FixedPhone,
    Listener,
    NamedCertificate,
    Provider,
    Provisioning,
    Side,
)
from gateway.config.structuring import Mistake
from gateway.config.tables.admin_table import Admin
from gateway.ctl.certificate_files import Row, days_left, described, names_of, unusable
from gateway.security.credentials import CredentialsError, Passwords

RENEW_WITHIN_DAYS = 30
"""A certificate with fewer days left is doubted, as the running gateway does."""

Holder = Listener | Provider | Admin | Provisioning | NamedCertificate | FixedPhone
User = tuple[str, Holder]
"""The path of a table that names certificates, and the table."""


def mistakes(configuration: Configuration) -> Iterator[Mistake]:
    """Files that the gateway could not use."""
    for path, user in _users(configuration):
        if user.certificate is not None and user.private_key is not None and not _is_to_come(configuration, user):
            why = unusable(user.certificate, user.private_key)
            if why is not None:
                yield Mistake(f"{path}.certificate", why)
    for key, file in _authorities(configuration):
        if (why := _no_authorities(file)) is not None:
            yield Mistake(key, why)
    yield from _provisioning_mistakes(configuration)
    for index, domain in enumerate(configuration.domains):
        if domain.credentials is not None:
            try:
                yield from _unknown_accounts(configuration, domain, Passwords.load(domain.credentials))
            except CredentialsError as error:
                yield Mistake(f"domain[{index}].credentials", str(error))


def _unknown_accounts(configuration: Configuration, domain: Domain, passwords: Passwords) -> Iterator[Mistake]:
    """Accounts of PBXs without a password: no challenge of the provider could be answered."""
    for index, phone in enumerate(configuration.phones):
        is_its = phone.domain == domain.name and phone.account is not None
        if is_its and passwords.of(phone.account or "") is None:
            yield Mistake(f"phone[{index}].account", f"{domain.credentials} has no password of {phone.account}")


def _provisioning_mistakes(configuration: Configuration) -> Iterator[Mistake]:
    """Templates that are none, and a certificate that phones would not take for the name in their URLs."""
    table = configuration.provisioning
    if table is None:
        return
    for file in sorted(table.directory.iterdir()) if table.directory is not None else ():
        if file.suffix in (".xml", ".cfg") and (why := _no_template(file)) is not None:
            yield Mistake("provisioning.directory", f"{file}: {why}")
    holder = table if table.certificate is not None else configuration.phone_listener("tls")
    if holder is None or holder.certificate is None or _is_to_come(configuration, holder) or not table.https_port:
        return
    if unusable(holder.certificate, holder.private_key or holder.certificate) is not None:
        return  # told already, of its own table
    names = [name.lower().rstrip(".") for name in names_of(described(holder.certificate)[0])]
    if table.name not in names:
        yield Mistake("provisioning.name", f'"{table.name}" is not among the names of {holder.certificate}')


def _missing_passwords(configuration: Configuration) -> Iterator[Mistake]:
    """Lines of phones without a password, here and in the credentials of their domains: their files cannot be made."""
    table = configuration.provisioning
    if table is None or table.mode != "full":
        return
    known = {one.name: Passwords.load(one.credentials) for one in configuration.domains if one.credentials is not None}
    for address, device in read_devices(table.devices).items():
        for index, line in enumerate(device.lines):
            if line.password is None and (line.domain not in known or known[line.domain].of(line.user) is None):
                text = f"{table.devices}: device.{address}.lines[{index}]: {line.user}@{line.domain} has no password"
                yield Mistake("provisioning.devices", f"{text}, here or in the credentials of the domain")


def _no_template(file: Path) -> str | None:
    """Why a file is no template; None: it is one."""
    try:
        Environment(autoescape=True).parse(file.read_text(encoding="utf-8"))
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    return None


def doubts(configuration: Configuration) -> Iterator[Mistake]:
    """Files that the gateway uses, and that somebody should look at."""
    for path, user in _users(configuration):
        if _is_to_come(configuration, user):
            continue
        if user.certificate is not None:
            leaf = described(user.certificate)[0]
            yield from (Mistake(f"{path}.certificate", text) for text in _doubts_of(user, leaf))
        if user.private_key is not None and (mode := user.private_key.stat().st_mode & 0o777) & 0o077:
            text = f"{user.private_key} can be read by others (mode {mode:04o}): chmod 600 {user.private_key}"
            yield Mistake(f"{path}.private_key", text)
    yield from _missed_names(configuration)
    yield from _missing_passwords(configuration)
    for key, file in _authorities(configuration):
        if all(days_left(row) < 0 for row in described(file)):
            yield Mistake(key, f"every authority in {file} has expired: no certificate will be believed")


def _doubts_of(user: Holder, leaf: Row) -> Iterator[str]:
    left, file = days_left(leaf), leaf["file"]
    if left < 0:
        yield f"{file} expired on {leaf['valid_until']}: peers that look refuse every connection; renew it"
    elif left < RENEW_WITHIN_DAYS:
        yield f"{file} has {left} days left (until {leaf['valid_until']}): renew it"
    host, key = None, "advertised_host"
    if isinstance(user, Listener) and not user.certificates:
        host = user.advertised_host
    elif isinstance(user, Provider):
        host, key = user.contact_host, "contact_host"
    names = [_as_compared(name.lower().removeprefix("sip:")) for name in names_of(leaf)]
    if host is not None and _as_compared(host.lower()) not in names:
        yield f"{file} is for {', '.join(names_of(leaf)[:4]) or 'no name'}, not for {host} ({key})"


def _missed_names(configuration: Configuration) -> Iterator[Mistake]:
    """Names of ours that none of several certificates is for: peers that go by them would not take the first one."""
    for index, listener in enumerate(configuration.listeners):
        if not listener.certificates or listener.certificate is None:
            continue
        users: tuple[Holder, ...] = (listener, *listener.certificates)
        held = (name for one in users for name in _names_held(configuration, one))
        names = [name.lower().removeprefix("sip:") for name in held]
        named = set(map(_as_compared, names))
        domains = [domain.name for domain in configuration.domains] if listener.side is Side.PHONES else []
        wanted = dict.fromkeys(name for name in (listener.advertised_host, *domains) if name is not None)
        missed = [name for name in wanted if not _names_of_host(name) & named]
        if missed:
            text = f"none is for {', '.join(missed)}: a peer that asks for such a name gets {listener.certificate}"
            yield Mistake(f"listener[{index}].certificates", text)


def _names_held(configuration: Configuration, user: Holder) -> Sequence[str]:
    """The names of a certificate, or those that one is for which is still to come."""
    if configuration.acme is not None and _is_to_come(configuration, user):
        return configuration.acme.names
    return [] if user.certificate is None else names_of(described(user.certificate)[0])


def _names_of_host(host: str) -> set[str]:
    """The names of a certificate that is for a host."""
    name = _as_compared(host.lower())
    return {name, f"*.{name.partition('.')[2]}"}


def _is_to_come(configuration: Configuration, user: Holder) -> bool:
    """Whether the gateway gets that certificate by itself, at its first start."""
    acme = configuration.acme
    return acme is not None and user.certificate == acme.certificate and not acme.certificate.exists()


def _as_compared(host: str) -> str:
    """A name as it is, an address in its one form: IPv6 is written in many."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host.rstrip(".")


def _users(configuration: Configuration) -> Iterator[User]:
    for index, listener in enumerate(configuration.listeners):
        yield f"listener[{index}]", listener
        for place, one in enumerate(listener.certificates):
            yield f"listener[{index}].certificates[{place}]", one
    for index, provider in enumerate(configuration.providers):
        yield f"provider[{index}]", provider
    for index, phone in enumerate(configuration.phones):
        yield f"phone[{index}]", phone
    yield "admin", configuration.admin
    if configuration.provisioning is not None:
        yield "provisioning", configuration.provisioning


def _authorities(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    """The path of each key that names a file of authorities, and the file."""
    users: list[tuple[str, object]] = [*_users(configuration), ("hep", configuration.hep), ("acme", configuration.acme)]
    users += [(f"alert[{index}]", alert) for index, alert in enumerate(configuration.alerts)]
    for path, user in users:
        for key in ("client_trust", "trust"):
            file = getattr(user, key, None)
            if isinstance(file, Path):
                yield f"{path}.{key}", file


def _no_authorities(file: Path) -> str | None:
    """Why nothing could be verified with a file of authorities; None when something can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return f"{file} holds no certificate of an authority: PEM is needed (-----BEGIN CERTIFICATE-----)"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    return None
