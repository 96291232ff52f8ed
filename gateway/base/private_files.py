"""Files that this user alone may read: written whole, and the one secret that outlives restarts.

    replace_private(FILE, data) -> .FILE.new, synced -> in the place of FILE in one step

A crash, a power cut or a full disk leaves the old file or the new one, and no half of it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 32


def replace_private(path: Path, data: bytes) -> None:
    """Put a file in the place of another, with mode 0600 from its first byte on. Raises OSError.

    Its name until then is the same in each process, so that a crash leaves one such file at most; each file has one
    writer.
    """
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # one that a crash has left may have another
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def kept_secret(path: Path) -> bytes:
    """The secret in a file that only this user may read; made at the first start. Raises OSError."""
    if not path.exists():
        replace_private(path, secrets.token_bytes(SECRET_BYTES))
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise OSError(f"{path}: is not the secret of a gateway; move it away to have a new one made")
    return secret
