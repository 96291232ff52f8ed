"""Provisioning without a network: an estate of devices, and questions as values."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from gateway.config.device_file import ConfiguredDevice, DeviceLine, LegProtection
from gateway.observe.metrics import Metrics
from gateway.provisioning.answers_to_phones import Question, Reply, Way
from gateway.provisioning.estate import Estate, EstateFiles
from gateway.provisioning.profiles import ServerPlace, Templates
from gateway.provisioning.provisioner import Provisioner, ProvisionerClock
from gateway.provisioning.standings import Standings

PHONE, OTHER, STRANGER = "805ec0112233", "000413922d24", "805ec0999999"
SOURCE = "192.0.2.7"
PASSWORD = "it is a s3cret"
PLACE = ServerPlace("phones.example.com", "gw.example.com", 5061, 5060, 8443, 8081, "192.0.2.1", "CA PEM\n", "full")


class MemoryTable:
    """Kept values, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def put(self, key: str, at: float, value: dict[str, Any]) -> None:
        self.rows[key] = value

    def put_at_once(self, key: str, at: float, value: dict[str, Any]) -> None:
        self.rows[key] = value

    def drop(self, key: str) -> None:
        self.rows.pop(key, None)


def device(make: str = "yealink", lines: int = 1, **more: Any) -> ConfiguredDevice:
    """A phone with that many lines."""
    made = tuple(DeviceLine(f"10{n}", "example.com", PASSWORD, f"Line <{n}>") for n in range(1, lines + 1))
    return ConfiguredDevice(make, made, **more)


@cache
def built_in() -> Templates:
    """Compiled once for all tests."""
    return Templates()


class House:
    """A provisioner with its clock, events and table."""

    def __init__(
        self,
        devices: dict[str, ConfiguredDevice] | None = None,
        place: ServerPlace = PLACE,
        rate: int = 1000,
        directory: Path | None = None,
        table: MemoryTable | None = None,
        proofs: tuple[str, ...] = ("certificate", "token"),
    ) -> None:
        self.clock = Clock()
        self.metrics = Metrics(CollectorRegistry())
        self.table = table or MemoryTable()
        standings = Standings(self.table, self.clock.seconds)
        standings.recall([*self.table.rows.items()])
        self.devices = {PHONE: device(), OTHER: device("snom")} if devices is None else devices
        self.directory = directory
        self.place = place
        self.estate = Estate(self.files(), standings)
        self.estate.start(b"secret", b"epoch")
        clock = ProvisionerClock(self.clock.seconds, self.clock.seconds)
        self.provisioner = Provisioner(self.estate, proofs, rate, self.metrics, clock)

    def files(self) -> EstateFiles:
        templates = built_in() if self.directory is None else Templates(self.directory)
        return EstateFiles(self.devices, templates, self.place, lambda user, domain: None)

    def ask(self, path: str, certified: str | None = None, way: Way = Way.HTTPS, **more: Any) -> Reply:
        """The answer to a GET."""
        question = Question(way, more.pop("method", "GET"), path, more.pop("source", SOURCE), certified, **more)
        return self.provisioner.answer(question)

    def token(self, address: str = PHONE) -> str:
        known = self.estate.find(address)
        assert known is not None
        return known.token

    def told(self, name: str) -> list[str]:
        """The texts of the events of a name."""
        return [str(event.fields.get("why", "")) for _, event in self.metrics.events.after(0) if event.name == name]


REQUIRED, PREFERRED, OFF = LegProtection.REQUIRED, LegProtection.PREFERRED, LegProtection.OFF
