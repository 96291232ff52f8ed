"""The file of devices: which phones there are, and their lines.

    [device.805ec0112233]
    make = "yealink"
    lines = [{ user = "101", domain = "example.com", password = "...", label = "Reception" }]

Here: its keys, their types, and each mistake in it as a line. Not here: the files of phones that are made of it
(`gateway.provisioning`). It may hold passwords, so that no mistake quotes a value of a line, and a device shows none in
``repr``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import attrs

from gateway.config import fields
from gateway.config.structuring import Mistake, Reader, Unacceptable, known, one_of

HARDWARE_ADDRESS: Final = re.compile(r"[0-9a-f]{12}")
MOST_DEVICES: Final = 10_000
MOST_BYTES: Final = 16 * 1024 * 1024
MAKES: Final = {
    "cisco-spa": 12,
    "cisco-mpp": 16,
    "yealink": 16,
    "polycom": 16,
    "snom": 12,
    "grandstream": 1,
}
"""The makes there are templates for, and the lines that each takes."""
LONGEST_PASSWORD: Final = 200
LONGEST_VALUE: Final = 500
MOST_OPTIONS: Final = 200

_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_USER: Final = re.compile(r"[A-Za-z0-9._~!*+#-]{1,64}")
_OPTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,79}")
_TEMPLATE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class LegProtection(StrEnum):
    """The protection of a phone's own leg that its file asks for."""

    REQUIRED = "required"
    """TLS, and SRTP alone."""
    PREFERRED = "preferred"
    """TLS, and SRTP where the other side has it."""
    OFF = "off"
    """UDP, and RTP in clear: as phones were before."""


class DeviceFileError(Exception):
    """The file cannot be used; `mistakes` are one line each, without a password."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def line_user(value: object) -> str:
    """The user of a line: part of a SIP URI, and of a file in XML or of keys and values. Raises Unacceptable."""
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise Unacceptable(value, "a user: letters, digits, . _ ~ ! * + # -, 64 at most")
    return value


def line_password(value: object) -> str:
    """A password. Raises Unacceptable, which does not quote it: line breaks would begin another key of a file."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= LONGEST_PASSWORD
        or not _TEXT.fullmatch(value)
        or value != value.strip()
    ):
        raise Unacceptable(
            "...", f"a text of {LONGEST_PASSWORD} characters at most, no line break, no blank at its ends"
        )
    return value


def short_text(value: object) -> str:
    """A label, or a model. Raises Unacceptable."""
    if not isinstance(value, str) or len(value) > 64 or not _TEXT.fullmatch(value):
        raise Unacceptable(value, "a text of 64 characters at most, no line break")
    return value.strip()


def template_name(value: object) -> str:
    """The name of a template, never a path. Raises Unacceptable."""
    if not isinstance(value, str) or not _TEMPLATE.fullmatch(value) or ".." in value:
        raise Unacceptable(value, "the name of a file in provisioning.directory")
    return value


def device_options(value: object) -> dict[str, str]:
    """Settings in the maker's own words. Raises Unacceptable."""
    if not isinstance(value, dict) or len(value) > MOST_OPTIONS:
        raise Unacceptable(value, f"a table of settings, {MOST_OPTIONS} at most")
    found: dict[str, str] = {}
    for key, given in value.items():
        text = str(given).lower() if isinstance(given, bool) else str(given)
        is_value = isinstance(given, str | int | bool) and len(text) <= LONGEST_VALUE and _TEXT.fullmatch(text)
        if not _OPTION.fullmatch(str(key)) or not is_value:
            raise Unacceptable(str(key)[:80], "a setting's name, and a text, number or truth for it, no line break")
        found[str(key)] = text
    return found


@attrs.frozen
class DeviceLine:
    """A line of a phone: an account at its provider."""

    user: Annotated[str, line_user]
    domain: Annotated[str, fields.domain]
    password: Annotated[str, line_password] | None = attrs.field(default=None, repr=False)
    """None: that of the domain's `credentials`."""
    label: Annotated[str, short_text] = ""


@attrs.frozen
class ConfiguredDevice:
    """A phone, as its operator describes it."""

    make: Annotated[str, one_of(*MAKES)]
    lines: tuple[DeviceLine, ...]
    model: Annotated[str, short_text] = ""
    security: LegProtection = LegProtection.REQUIRED
    template: Annotated[str, template_name] | None = None
    """None: that of its make."""
    options: Annotated[dict[str, str], device_options] = attrs.field(factory=dict, repr=False)


def read_devices(path: Path, domains: frozenset[str] | None = None) -> dict[str, ConfiguredDevice]:
    """The devices in a file by hardware address, 12 digits in lower case; their domains are among ``domains``, unless
    that is None. Raises DeviceFileError with all mistakes."""
    found: dict[str, ConfiguredDevice] = {}
    mistakes: list[Mistake] = []
    reader = Reader(path.parent)  # one for all: its making takes longer than a hundred devices
    for address, table in _tables(path):
        where = f"device.{address}"
        if not HARDWARE_ADDRESS.fullmatch(address):
            mistakes.append(Mistake(where[:80], "12 hexadecimal digits, in lower case, are a hardware address"))
            continue
        device, wrong = reader.read(ConfiguredDevice, table, where)
        mistakes += [*wrong, *device_mistakes(where, device, domains)]
        if device is not None:
            found[address] = device
    if mistakes:
        raise DeviceFileError(tuple(f"{path}: {mistake}" for mistake in mistakes))
    return found


def device_of(table: object, domains: frozenset[str]) -> ConfiguredDevice:
    """A device from a table as the file has them, of one of these domains. Raises DeviceFileError."""
    device, wrong = Reader(Path()).read(ConfiguredDevice, table, "")
    mistakes = [*wrong, *device_mistakes("", device, domains)]
    if mistakes or device is None:
        raise DeviceFileError(tuple(str(mistake).lstrip(".") for mistake in mistakes))
    return device


def device_mistakes(where: str, device: ConfiguredDevice | None, domains: frozenset[str] | None) -> Iterator[Mistake]:
    """The mistakes of a device, after its keys were read."""
    lines, make = known(device, "lines"), known(device, "make")
    if not isinstance(lines, tuple) or make not in MAKES:
        return
    if not 1 <= len(lines) <= MAKES[make]:
        yield Mistake(f"{where}.lines", f"found {len(lines)}, allowed: 1 to {MAKES[make]} of a {make}")
    for index, line in enumerate(lines):
        domain = known(line, "domain")
        if domains is not None and domain is not None and domain not in domains:
            allowed = ", ".join(sorted(domains)) or "none is configured"
            yield Mistake(f"{where}.lines[{index}].domain", str(Unacceptable(domain, allowed)))


def _tables(path: Path) -> Iterator[tuple[str, Any]]:
    """Each device's table. Raises DeviceFileError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        document = tomllib.loads(data.decode("utf-8")) if len(data) <= MOST_BYTES else None
    except OSError as error:
        raise DeviceFileError((f"{path}: cannot be read: {error.strerror}",)) from None
    except UnicodeDecodeError:
        raise DeviceFileError((f"{path}: is not UTF-8",)) from None
    except tomllib.TOMLDecodeError as error:
        # The parser's message may quote the line that it stumbled over: its place alone is told.
        place = re.search(r"\(at [^()]*\)$", str(error))
        raise DeviceFileError((f"{path}: is not TOML {place[0] if place else ''}".strip(),)) from None
    if document is None:
        raise DeviceFileError((f"{path}: is longer than {MOST_BYTES} bytes",))
    devices = document.pop("device", {})
    if document:
        raise DeviceFileError((f"{path}: {next(iter(document))[:40]}: is no table here, allowed: device",))
    if not isinstance(devices, dict) or len(devices) > MOST_DEVICES:
        raise DeviceFileError((f"{path}: device: {MOST_DEVICES} tables [device.ADDRESS] at most are needed",))
    yield from devices.items()
