"""Compiled templates, kept beside Python's own compiled modules.

    first start: template -> compiled (some 10 ms of CPU each) -> gateway/admin/pages/__pycache__
    later ones:  that file, by the digests of template and settings, the versions of Python and Jinja -> code

They are trusted as those modules are: a user that may write there may change the program itself. Where the gateway may
not write, or Python is told to keep nothing (PYTHONDONTWRITEBYTECODE), templates are compiled at each start.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import jinja2
from jinja2 import Environment
from jinja2.bccache import Bucket, FileSystemBytecodeCache

BESIDE_MODULES: Final = Path(__file__).parent / "__pycache__"
SETTINGS: Final = (
    *("block_start_string", "block_end_string", "variable_start_string", "variable_end_string"),
    *("comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix"),
    *("trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline"),
    *("optimized", "autoescape", "finalize", "is_async"),
)
"""Of an environment: those that compiled code depends on."""


class CompiledTemplates(FileSystemBytecodeCache):
    """Keeps compiled templates in a directory. One that cannot be read or written costs time, and no page."""

    def __init__(self, directory: Path = BESIDE_MODULES) -> None:
        super().__init__(str(directory), "template-%s.cache")

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        """The place of a compiled template, with its code where that was compiled from this source by this version of
        Jinja under these settings. An upgrade of Jinja may change the code, and no file of ours with it."""
        settings = [f"{setting}={getattr(environment, setting)!r}" for setting in SETTINGS]
        made_by = "|".join((jinja2.__version__, *settings, *sorted(environment.extensions), source))
        return super().get_bucket(environment, name, filename, made_by)

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
