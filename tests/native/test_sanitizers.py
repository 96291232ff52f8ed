"""The hot path in C, built with AddressSanitizer and UndefinedBehaviorSanitizer, agrees with its twin and touches no
foreign memory. For longer: `make fuzz`."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.sanitized import SOURCE, built, played


def test_packets_of_chance_touch_no_foreign_memory(tmp_path: Path) -> None:
    done = played(built(SOURCE.read_text(), tmp_path), 3)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    assert "the twins agree" in done.stdout


def test_a_path_that_is_freed_too_early_would_be_found(tmp_path: Path) -> None:
    right = "(Path *)Py_NewRef(path)"
    assert SOURCE.read_text().count(right) == 1
    done = played(built(SOURCE.read_text().replace(right, "(Path *)path"), tmp_path), 3)
    assert "heap-use-after-free" in done.stderr
