"""The files that a configuration names: that they are there, and that this user can read them.

Here: mistakes of the start and of a reload. Not here: the contents of the files, which the parts that use them read
(`transport.tls`, `security.credentials`), and `gatewayctl check` before them.
"""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from gateway.config.model import Admin, FixedPhone, Listener, NamedCertificate, Provider, Provisioning
from gateway.config.structuring import Mistake, known


def file_mistakes(path: str, table: object, *keys: str) -> Iterator[Mistake]:
    """The mistakes of the files that these keys name, in a table that stands at `path`."""
    for key in keys:
        file = known(table, key)
        if isinstance(file, Path) and os.access(file, os.R_OK) and not file.is_file():
            yield Mistake(f"{path}.{key}", f"{file} is no file")
        elif isinstance(file, Path) and not os.access(file, os.R_OK):
            yield Mistake(f"{path}.{key}", f"{file} {_unreadable(file)}")


def given_files(made: frozenset[Path], table: Listener | NamedCertificate | Admin | Provisioning) -> Iterator[str]:
    """The keys of a table's certificate and private key that the operator gives: not those that are still to be
    written."""
    for key in ("certificate", "private_key"):
        file = known(table, key)
        if file not in made or file.exists():
            yield key


def identity_mistakes(path: str, table: Listener | Provider | Admin | Provisioning | FixedPhone) -> Iterator[Mistake]:
    """The mistake of a certificate without its key, or of a key without its certificate. Raises Unread."""
    certificate, private_key = table.certificate, table.private_key
    if certificate is not None and private_key is None:
        yield Mistake(f"{path}.private_key", "is missing: certificate and private_key go together")
    if private_key is not None and certificate is None:
        yield Mistake(f"{path}.certificate", "is missing: certificate and private_key go together")


def private_file_mistakes(path: str, table: object, key: str) -> Iterator[Mistake]:
    """The mistake of a file of passwords that others than its owner may read or write."""
    file = known(table, key)
    if isinstance(file, Path) and os.access(file, os.R_OK) and file.is_file() and file.stat().st_mode & 0o077:
        mode = f"{file.stat().st_mode & 0o777:04o}"
        yield Mistake(f"{path}.{key}", f"{file} has mode {mode}, allowed: nothing for group or others (0600)")


def this_user() -> str:
    """The user of this process, for people: user gateway (uid 998)."""
    return user_named(os.geteuid())


def user_named(number: int) -> str:
    """A user of this machine, for people; by number alone where it has no name."""
    try:
        return f"user {pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"


def _unreadable(file: Path) -> str:
    """Why a file is not readable: the first place on the way to it where this user is not let in, or its owner."""
    for directory in reversed(file.parents):
        if os.access(directory, os.F_OK) and not os.access(directory, os.X_OK):
            return f"cannot be read by {this_user()}: the directory {directory} does not let it in"
    if not os.access(file, os.F_OK):
        return "is no file"
    found = file.stat()
    owner = f"it belongs to {user_named(found.st_uid)}, mode {found.st_mode & 0o777:04o}"
    return f"cannot be read by {this_user()}: {owner}"
