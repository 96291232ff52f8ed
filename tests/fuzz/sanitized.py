"""The hot path in C with AddressSanitizer and UndefinedBehaviorSanitizer: built, and given packets of chance.

python -m tests.fuzz.sanitized SECONDS        for `make fuzz`; tests/native has a short form
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "gateway/native/relay.c"
BUILD = ("-g", "-O1", "-fPIC", "-shared", "-std=gnu11", "-ffp-contract=off")
FLAGS = (*BUILD, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def built(source: str, to: Path) -> Path:
    """The extension of that source, with both sanitizers."""
    library, code = to / "relay.so", to / "relay.c"
    code.write_text(source)
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["gcc", *FLAGS, include, "-o", str(library), str(code)], check=True, timeout=60)
    return library


def played(library: Path, seconds: float, seed: int = 1) -> subprocess.CompletedProcess[str]:
    """Packets of chance through that build, for so long."""
    sanitizer = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    environment = os.environ | {
        "LD_PRELOAD": sanitizer.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # an interpreter that ends leaves much
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, "-m", "tests.fuzz.relay", str(library), str(seconds), str(seed)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds + 120, check=False
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        done = played(built(SOURCE.read_text(), Path(directory)), float(sys.argv[1]), int.from_bytes(os.urandom(4)))
    print(done.stdout, done.stderr, sep="")
    sys.exit(done.returncode)
