"""The parts of commands that are not run: programs, options, files, units, targets, profiles, packages.

    a block of commands -> commands(): the words of each -> wrong_parts(): a line for each part that there is not

For gatewayctl the program itself is asked. Options of programs that a machine of tests may lack (docker, systemd) are
in a table; where the program is there, it is asked, too.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from gateway.ctl.main import main
from tests.support.docs.pages import ROOT

MAKEFILE: Final = (ROOT / "Makefile").read_text()
COMPOSE: Final = (ROOT / "docker-compose.yml").read_text()

OPTIONS: Final = {
    "docker run": "--detach --name --network --read-only --cap-drop --security-opt --tmpfs --volume --ulimit "
    "--stop-timeout --restart",
    "docker exec": "",
    "docker logs": "--follow --since",
    "docker stop": "",
    "docker rm": "",
    "docker tag": "",
    "docker compose": "--profile up --build --detach ps logs --follow exec stop",
    "systemctl": "daemon-reload enable --now start stop restart reload status",
    "journalctl": "--unit --since --follow --output",
    "apt-get": "install --no-install-recommends",
    "certbot": "certonly --standalone --webroot --domain --deploy-hook",
    "sysctl": "-w",
    "fail2ban-client": "reload status sip-gateway",
    "cscli": "hub list parsers scenarios",
    "git": "clone fetch checkout --tags",
}
"""The words that may follow a program. Podman takes those of docker."""

PACKAGES: Final = {"git", "make", "python3-venv", "nftables", "certbot", "fail2ban"}
NO_OPTIONS_TABLE: Final = {"useradd", "install", "cp", "tar", "mkdir", "chown", "chmod", "ss", "nft", "rm", "mv", "ln"}
"""Programs of every Debian machine of tests, which say their options themselves."""


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a script; assignments in front, sudo, and redirections are left out."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;"):
                yield from _bare(words)
                words = []
            else:
                words.append(word)


def _bare(words: list[str]) -> Iterator[list[str]]:
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] in ("sudo", "exec")):
        is_user = words[0] == "sudo" and words[1:2] == ["-u"]
        words = words[3:] if is_user else words[1:]
    for sign in ("<", ">", ">>"):
        words = words[: words.index(sign)] if sign in words else words
    if words:
        yield words


def wrong_parts(text: str) -> list[str]:
    """A line for each part of a script's commands that there is not."""
    return [f"{shlex.join(words)}: {wrong}" for words in commands(text) for wrong in _wrong(words)]


def _wrong(words: list[str]) -> Iterator[str]:
    program, rest = re.sub(r"^/opt/gateway(-\d+)?/bin/", "", words[0]), words[1:]
    ours: dict[str, Callable[[list[str]], Iterator[str]]] = {
        "gatewayctl": _gatewayctl, "make": _make, "docker": _container, "podman": _container, "pip": _pip,
    }  # fmt: skip
    yield from _files(rest)
    if program in ours:
        yield from ours[program](rest)
    elif program in OPTIONS:
        yield from _listed(program, program, rest)
        yield from _units_and_packages(program, rest)
    elif program in NO_OPTIONS_TABLE:
        told = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20, check=False)
        yield from (f"no option {one}" for one in _options(rest) if one not in told.stdout + told.stderr)
    elif program not in ("export", "python3", "python", "twist"):
        yield "a program that nobody knows"


def _options(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("--"):
            yield word.partition("=")[0]
        elif re.fullmatch(r"-[A-Za-z]+", word):
            yield from (f"-{letter}" for letter in word[1:])


def _files(words: list[str]) -> Iterator[str]:
    """Files of the checkout."""
    for word in words:
        is_ours = re.fullmatch(r"(?:deploy|docs|tools)/[\w./-]+|[\w-]+\.(?:lock|toml|yml)", word)
        if is_ours and not (ROOT / word).exists():
            yield f"no file {word}"


def _gatewayctl(words: list[str]) -> Iterator[str]:
    command: click.Command = main
    context = click.Context(main, info_name="gatewayctl")
    try:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name, found, words = command.resolve_command(context, words)
            command = found or command
            context = click.Context(command, info_name=name, parent=context)
        command.make_context(context.info_name, words, parent=context.parent)
    except click.UsageError as error:
        yield error.format_message()


def _make(words: list[str]) -> Iterator[str]:
    for word in words:
        if "=" not in word and not re.search(rf"^{re.escape(word)}:", MAKEFILE, re.M):
            yield f"no target {word}"


def _pip(words: list[str]) -> Iterator[str]:
    known = {"install", "--require-hashes", "--requirement", "--no-deps", "."}
    yield from (f"no word {word}" for word in words if word not in known and not (ROOT / word).is_file())


def _container(words: list[str]) -> Iterator[str]:
    """Of docker or podman: the verb, its options up to the image's name, profiles and services of compose."""
    verb = f"docker {words[0]}"
    if verb not in OPTIONS:
        yield f"no verb {words[0]}"
        return
    named = [word for word in words if word == "sip-security-gateway"]
    options = words[1 : words.index(named[0])] if named and verb == "docker run" else words[1:]
    if verb == "docker exec":
        inner = words[words.index("gatewayctl") + 1 :] if "gatewayctl" in words else []
        yield from _gatewayctl(inner)
        return
    if verb == "docker compose":
        profiles = {name for group in re.findall(r"profiles: \[(.*)\]", COMPOSE) for name in group.split(", ")}
        services = set(re.findall(r"^  (\w+):$", COMPOSE, re.M))
        if "gatewayctl" in words:
            yield from _gatewayctl(words[words.index("gatewayctl") + 1 :])
            options = words[1 : words.index("gatewayctl")]
        options = [word for word in options if word not in profiles | services]
    yield from _listed(verb, "docker", options)


def _listed(entry: str, program: str, words: list[str]) -> Iterator[str]:
    known = OPTIONS[entry].split()
    verbs = words if entry == "docker compose" else words[:1] if entry in ("systemctl", "apt-get", "git") else []
    asked = [*_options(words), *(word for word in verbs if not word.startswith("-"))]
    yield from (f"no word {word}" for word in asked if word not in known)
    if shutil.which(program) and entry not in ("docker compose", "git", "apt-get", "certbot", "sysctl"):
        helped = subprocess.run([*entry.split(), "--help"], capture_output=True, text=True, timeout=20, check=False)
        yield from (f"{entry} has no option {word}" for word in _options(words) if word not in helped.stdout)


def _units_and_packages(program: str, words: list[str]) -> Iterator[str]:
    names = [word for word in words[1:] if not word.startswith("-")]
    if program == "systemctl":
        known = {path.stem for path in Path(ROOT / "deploy").glob("*.service")} | {"nftables"}
        yield from (f"no unit {name}" for name in names if name.removesuffix(".service") not in known)
    if program == "apt-get":
        yield from (f"no package {name}" for name in names if name not in PACKAGES)
