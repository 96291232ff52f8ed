"""The file of passwords that peers must prove: TOML, ``user = "password"``, readable by its owner alone.

Here: reading it, and each mistake in it told in one line. A password leaves this module only through ``of``.
"""

import os
import stat
import tomllib
from collections import Counter
from pathlib import Path

MAXIMUM_BYTES = 16 * 1024 * 1024
SHORT = 12
"""Characters of a password that are too few."""


class CredentialsError(Exception):
    """The file cannot be used; the message is one line without any of its content."""


class Passwords:
    """Users and their passwords. Shows neither in ``repr``."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._passwords = dict(passwords)

    @classmethod
    def load(cls, path: Path) -> "Passwords":
        """The passwords in the file; raises CredentialsError."""
        try:
            document = tomllib.loads(_read(path).decode("utf-8"))
        except OSError as error:
            raise CredentialsError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise CredentialsError(f"{path}: is not UTF-8") from None
        except tomllib.TOMLDecodeError:
            # The parser's message may quote the line that it stumbled over.
            raise CredentialsError(f'{path}: is not TOML: a line is not of the form user = "password"') from None
        return cls(_checked(path, document))

    def of(self, user: str) -> str | None:
        """The user's password; None for an unknown user."""
        return self._passwords.get(user)

    def weak(self) -> tuple[int, int, int, int]:
        """How many users have a password of less than SHORT characters, their own name, and one that another user has,
        too; and how many users there are. No password leaves by it."""
        count = Counter(self._passwords.values())
        short = sum(len(password) < SHORT for password in self._passwords.values())
        own = sum(user.casefold() in password.casefold() for user, password in self._passwords.items())
        shared = sum(count[password] > 1 for password in self._passwords.values())
        return short, own, shared, len(self._passwords)

    def __len__(self) -> int:
        return len(self._passwords)

    def __repr__(self) -> str:
        return f"<Passwords of {len(self._passwords)} users>"


def _read(path: Path) -> bytes:
    """The content, once the open file is known to be private: the name could be given to another file in between."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialsError(f"{path}: is no file")
        mode = stat.S_IMODE(status.st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CredentialsError(f"{path}: has mode {mode:04o}, but only its owner may have access: chmod 600")
        data = file.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        raise CredentialsError(f"{path}: is longer than {MAXIMUM_BYTES} bytes")
    return data


def _checked(path: Path, document: dict[str, object]) -> dict[str, str]:
    passwords = {}
    for number, (user, password) in enumerate(document.items(), 1):
        if not user or not isinstance(password, str) or not password:
            raise CredentialsError(f'{path}: entry {number} is not of the form user = "password"')
        passwords[user] = password
    return passwords
