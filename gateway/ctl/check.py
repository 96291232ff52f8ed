"""All that `gatewayctl check` finds in a configuration file, and its words for people and machines.

    FILE -> load: mistakes of the file -> named_contents, this_machine: mistakes and doubts of its surroundings

A file that cannot be loaded is told alone: without it nobody knows which files and ports to look at.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from gateway.config.capacity import calls_carried
from gateway.config.doubts import doubts as doubts_of
from gateway.config.load import load
from gateway.config.model import Configuration, ConfigurationError
from gateway.ctl import named_contents, this_machine

ONLY_DOUBTS = 2
"""The exit code, where doubts are to be an error."""


@attrs.frozen
class Findings:
    """The outcome of a check: a line for each mistake (no gateway starts) and each doubt (somebody should look)."""

    file: Path
    mistakes: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    configuration: Configuration | None = None
    """None where it cannot be read."""

    def exit_code(self, *, strict: bool) -> int:
        """0: good; 1: mistakes; 2: doubts alone, where they are to be an error."""
        if self.mistakes:
            return 1
        return ONLY_DOUBTS if strict and self.doubts else 0

    def as_json(self) -> dict[str, object]:
        """The findings for machines."""
        carried = self._carried()
        return {
            "file": str(self.file),
            "ok": not self.mistakes,
            "errors": [*self.mistakes],
            "warnings": [*self.doubts],
            "calls": carried,
        }

    def summary(self) -> str:
        """The contents of a configuration without mistakes, counted in one line."""
        configuration = self.configuration
        if configuration is None:
            return ""
        counts = (
            (len(configuration.listeners), "listener"),
            (len(configuration.providers), "provider"),
            (len(configuration.domains), "domain"),
        )
        held = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
        carried = self._carried()
        ports = "the ports of media are rtpengine's"
        if carried is not None:
            ports = f"media ports {configuration.media.ports} carry {carried} calls at once"
        return f"{configuration.source}: ok, {held}; {ports}"

    def _carried(self) -> int | None:
        """Calls with audio alone that the media ports carry at once; None where an rtpengine has ports of its own."""
        if self.configuration is None:
            return None
        capacity = calls_carried(self.configuration.media, len(os.sched_getaffinity(0)))
        return None if capacity is None else capacity.calls


def findings(file: Path, *, elsewhere: bool) -> Findings:
    """The outcome of a check of ``file``; ``elsewhere``: it is for another machine, so this one is not looked at."""
    try:
        configuration = load(file)
    except ConfigurationError as error:
        return Findings(file, error.errors)
    mistakes = [*named_contents.mistakes(configuration)]
    doubts = [*doubts_of(configuration)]
    if not mistakes:  # a certificate that cannot be read has no dates
        doubts += named_contents.doubts(configuration)
    if not elsewhere:
        mistakes += this_machine.mistakes(configuration)
        doubts += this_machine.doubts(configuration)
    return Findings(
        file,
        tuple(f"{configuration.source}: {mistake}" for mistake in mistakes),
        tuple(f"{configuration.source}: {doubt}" for doubt in doubts),
        configuration,
    )
