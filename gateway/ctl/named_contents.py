"""The contents of the files that a configuration names, before a start: certificates, keys, authorities, passwords.

    Configuration -> mistakes(): no gateway would start    doubts(): one would, and somebody should look

The rule is the start's own: an expired certificate is better than none for the peers that do not care, so it is a
doubt; a file of authorities without any is a mistake. Not here: one PEM file for people (`certificate_files`), whether
a file is there and may be read (`config.named_files`).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from gateway.config.admin_table import Admin
from gateway.config.model import Configuration, Listener, Provider
from gateway.config.structuring import Mistake
from gateway.ctl.certificate_files import Row, days_left, described, names_of, unusable
from gateway.security.credentials import CredentialsError, Passwords

RENEW_WITHIN_DAYS = 30
"""A certificate with fewer days left is doubted, as the running gateway does."""

Holder = Listener | Provider | Admin
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
    for index, domain in enumerate(configuration.domains):
        if domain.credentials is not None:
            try:
                Passwords.load(domain.credentials)
            except CredentialsError as error:
                yield Mistake(f"domain[{index}].credentials", str(error))


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
    for key, file in _authorities(configuration):
        if all(days_left(row) < 0 for row in described(file)):
            yield Mistake(key, f"every authority in {file} has expired: no certificate will be believed")


def _doubts_of(user: Holder, leaf: Row) -> Iterator[str]:
    left, file = days_left(leaf), leaf["file"]
    if left < 0:
        yield f"{file} expired on {leaf['valid_until']}: peers that look refuse every connection; renew it"
    elif left < RENEW_WITHIN_DAYS:
        yield f"{file} has {left} days left (until {leaf['valid_until']}): renew it"
    host = user.advertised_host if isinstance(user, Listener) else None
    names = [_as_compared(name.lower().removeprefix("sip:")) for name in names_of(leaf)]
    if host is not None and _as_compared(host.lower()) not in names:
        yield f"{file} is for {', '.join(names_of(leaf)[:4]) or 'no name'}, not for {host} (advertised_host)"


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
    for index, provider in enumerate(configuration.providers):
        yield f"provider[{index}]", provider
    yield "admin", configuration.admin


def _authorities(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    """The path of each key that names a file of authorities, and the file."""
    users: list[tuple[str, object]] = [*_users(configuration), ("hep", configuration.hep), ("acme", configuration.acme)]
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
