"""Phones as operators manage them: their files, and the orders to fetch these."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks

from gateway.admin.enablement.rollout_office import OfficeMeans
from gateway.app.administration.enablement_part import EnablementPart, surroundings_of
from gateway.app.administration.provisioning_part import ProvisioningPart
from gateway.app.calls_part import CallsPart
from gateway.app.parts import Basis, GatewayPart
from gateway.app.signalling_part import SignallingPart
from gateway.app.state_part import StatePart
from gateway.config.device_file import LegProtection
from gateway.config.model import Provisioning
from gateway.config.switches import Settings
from gateway.provisioning.device_files import DeviceFiles
from gateway.provisioning.estate import Estate
from gateway.registrar.enablement.surroundings import NoFiles, ServedFile
from gateway.registrar.sightings import HARDWARE
from gateway.security.posture.posture_facts import Surroundings


class ServedFiles:
    """The files of devices that this gateway serves, for roll-outs, which name a device as the inventory does."""

    def __init__(self, files: DeviceFiles) -> None:
        self._files = files

    def file_of(self, device: str) -> ServedFile | None:
        """The file of a device."""
        found = self._files.standing(_address(device))
        if found is None:
            return None
        told = found.state, str(found.effective), found.generation, found.fetched, found.fetched_at, found.proof
        return ServedFile(*told)

    def serves(self, device: str) -> bool:
        """Whether a device's file comes from here."""
        return self._files.serves(_address(device))

    def protect(self, device: str, *, is_required: bool) -> None:
        """Give a device a file that says TLS from now on. One that asks for SRTP alone already goes on with that."""
        address = _address(device)
        found = self._files.standing(address)
        if is_required:
            self._files.protect(address, LegProtection.REQUIRED)
        elif found is not None and found.effective is LegProtection.OFF:
            self._files.protect(address, LegProtection.PREFERRED)

    def roll_back(self, device: str) -> None:
        """Give a device the file of before from now on."""
        self._files.roll_back(_address(device))

    def follow(self, follower: Callable[[str], None]) -> None:
        """Tell of each later fetch of a file, by the device."""
        self._files.follow(lambda address: follower(f"{HARDWARE}{address}"))


class PhonesPart(GatewayPart):
    """Provisioning, and enablement, which is built on it."""

    def __init__(
        self,
        basis: Basis,
        settings: Settings,
        state: StatePart,
        signalling: SignallingPart,
        calls: CallsPart,
        means: OfficeMeans,
    ) -> None:
        """Raises ConfigurationError, CertificateError."""
        self.provisioning = ProvisioningPart(basis, settings, state.provisioning, signalling.transport, means.rest)
        estate = self.provisioning.estate
        files = NoFiles() if estate is None else ServedFiles(DeviceFiles(estate))
        around = surroundings_of(basis, settings, state, signalling, calls, files)
        self._enablement = EnablementPart(basis, state, around, means)
        self._terms = basis.configuration.provisioning
        self._seconds = basis.clock.seconds

    @inlineCallbacks
    def start(self) -> Generator[Deferred[Any], Any, None]:
        """Serve files, then go on with roll-outs. Fails with CannotListen, InUse and OSError."""
        yield self.provisioning.start()
        yield self._enablement.start()

    def surroundings(self) -> Surroundings:
        """How phones get their files here, for the posture."""
        terms, estate = self._terms, self.provisioning.estate
        if terms is None or estate is None:
            return Surroundings(provisioning=(), provisioning_open=False, first_file_ports=())
        return file_doors(terms, estate, self._seconds())

    def stop(self) -> Deferred[None]:
        """Ask no phone any more. The server of files is stopped with the parts of the gateway."""
        return self._enablement.stop()


def file_doors(terms: Provisioning, estate: Estate, now: float) -> Surroundings:
    """The ways of files by these terms. Files of phones go in clear in a window alone; a port of HTTP that a device
    needs for files which are encrypted by themselves is none for first files alone."""
    has_sealed = estate.has_sealed and "token" in terms.proof
    ways = (("https", terms.https_port), ("sealed", has_sealed))
    ports = (("http_port", terms.http_port and not has_sealed), ("tftp_port", terms.tftp_port))
    return Surroundings(
        provisioning=tuple(way for way, is_there in ways if is_there),
        provisioning_open=bool(estate.enrolment.open_windows(now)),
        first_file_ports=tuple(key for key, is_open in ports if is_open),
    )


def _address(device: str) -> str:
    """The hardware address of a device that the inventory knows by that; no device has any other name here."""
    return device.removeprefix(HARDWARE)
