"""The header of docker-compose.yml says commands that work as they are written, as far as reading can tell.

There is no docker here. Compose puts variables into the whole file, whichever profiles are asked for.
"""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMMANDS = [shlex.split(line) for line in re.findall(r"^#   (\S.*docker compose.*)$", TEXT, re.MULTILINE)]
PROFILES = {name for group in re.findall(r"^    profiles: \[(.*)\]$", TEXT, re.MULTILINE) for name in group.split(", ")}


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 3
    assert {"metrics", "rtpengine"} <= PROFILES


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_sets_the_variables_that_the_file_demands(words: list[str]) -> None:
    given = {word.partition("=")[0] for word in words[: words.index("docker")]}
    demanded = set(re.findall(r"(?<!\$)\$\{(\w+):?\?", TEXT))
    assert demanded <= given
    assert given <= set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)), "a variable that nothing asks for"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_names_profiles_that_there_are(words: list[str]) -> None:
    asked = [value for option, value in pairwise(words) if option == "--profile"]
    assert set(asked) <= PROFILES
    assert words[-3:] == ["up", "--build", "--detach"]


def test_every_file_that_is_mounted_or_built_from_is_there() -> None:
    named = re.findall(r"^      (?:- \./|dockerfile: )([^:\s]+)", TEXT, re.MULTILINE)
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []
