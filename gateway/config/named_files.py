"""The files that a configuration names: that they are there, and that this user can read them.

Here: mistakes of the start and of a reload. Not here: the contents of the files, which the parts that use them read
(`transport.tls`, `security.credentials`), and `gatewayctl check` before them.
"""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from gateway.config.model import Listener, Provider
from gateway.config.structuring import Mistake, known


def file_mistakes(path: str, table: object, *keys: str) -> Iterator[Mistake]:
    """The mistakes of the files that these keys name, in a table that stands at `path`."""
    for key in keys:
        file = known(table, key)
        if isinstance(file, Path) and not file.is_file():
            yield Mistake(f"{path}.{key}", f"{file} is no file")
        elif isinstance(file, Path) and not os.access(file, os.R_OK):
            yield Mistake(f"{path}.{key}", f"{file} cannot be read by {this_user()}: {_remedy(file)}")


def identity_mistakes(path: str, table: Listener | Provider) -> Iterator[Mistake]:
    """The mistake of a certificate without its key, or of a key without its certificate. Raises Unread."""
    certificate, private_key = table.certificate, table.private_key
    if certificate is not None and private_key is None:
        yield Mistake(f"{path}.private_key", "is missing: certificate and private_key go together")
    if private_key is not None and certificate is None:
        yield Mistake(f"{path}.certificate", "is missing: certificate and private_key go together")


def private_file_mistakes(path: str, table: object, key: str) -> Iterator[Mistake]:
    """The mistake of a file of passwords that others than its owner may read or write."""
    file = known(table, key)
    if isinstance(file, Path) and file.is_file() and file.stat().st_mode & 0o077:
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


def _remedy(file: Path) -> str:
    """The first place on the way to a file where this user is not let in."""
    for directory in reversed(file.parents):
        if directory.is_dir() and not os.access(directory, os.X_OK):
            return f"the directory {directory} does not let it in"
    return f"it belongs to {user_named(file.stat().st_uid)}, mode {file.stat().st_mode & 0o777:04o}"
