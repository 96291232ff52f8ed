"""Compiled templates, kept beside Python's own compiled modules.

    first start: template -> compiled (some 10 ms of CPU each) -> gateway/admin/pages/__pycache__
    later ones:  that file, by the digest of the template and the version of Python -> code

They are trusted as those modules are: a user that may write there may change the program itself. Where the gateway may
not write, or Python is told to keep nothing (PYTHONDONTWRITEBYTECODE), templates are compiled at each start.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from jinja2.bccache import Bucket, FileSystemBytecodeCache

BESIDE_MODULES: Final = Path(__file__).parent / "__pycache__"


class CompiledTemplates(FileSystemBytecodeCache):
    """Keeps compiled templates in a directory. One that cannot be read or written costs time, and no page."""

    def __init__(self, directory: Path = BESIDE_MODULES) -> None:
        super().__init__(str(directory), "template-%s.cache")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the compiled template into the bucket, where there is one of this source and this Python."""
        try:
            super().load_bytecode(bucket)
        except OSError:
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it, where that may be done."""
        if sys.dont_write_bytecode:
            return
        try:
            super().dump_bytecode(bucket)
        except OSError:
            pass
