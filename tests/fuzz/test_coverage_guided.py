"""The coverage-guided fuzzers, for a few seconds each; `make fuzz` gives them more time.

An input that breaks a target is to be put into tests/fuzz/corpus, where it is tried in every run, fuzzer or not.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 5


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_there_is_a_corpus_for_each_target() -> None:
    assert {directory.name for directory in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no build for this Python")
def test_a_few_seconds_of_each_fuzzer(tmp_path: Path) -> None:
    running = []
    for name in TARGETS:
        found = tmp_path / name
        found.mkdir()
        command = [sys.executable, "-m", "tests.fuzz.run", name, str(found), f"-max_total_time={SECONDS}", "-seed=1"]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    said = [process.communicate(timeout=SECONDS * 20)[0] for process in running]
    for process, text in zip(running, said, strict=True):
        assert process.returncode == 0, text[-4000:]
        assert "DONE" in text or "Done" in text
