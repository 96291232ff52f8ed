"""One coverage-guided fuzzer: `python -m tests.fuzz.run parser DIRECTORY [libFuzzer's options]`.

New inputs that reach new code are written to DIRECTORY; the corpus of the repository is read and stays as it is. What
breaks a target is written to DIRECTORY too (crash-...), and the status is not 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway.sip", "gateway.sdp", "tests.fuzz.targets"]):
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def main(name: str, directory: str, *options: str) -> None:
    """Fuzz until libFuzzer's options say that it is enough. Does not return."""
    arguments = [name, f"-artifact_prefix={directory}/", "-timeout=5", "-max_len=4096", *options]
    atheris.Setup([*arguments, directory, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
