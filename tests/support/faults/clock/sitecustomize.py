"""Lets a test set the wall clock of a process: put on PYTHONPATH, and $CLOCK_OFFSET names a file of seconds to add."""

import os
import time
from pathlib import Path

_true = time.time
_file = Path(os.environ["CLOCK_OFFSET"])


def _set() -> float:
    return _true() + float(_file.read_text())


time.time = _set
