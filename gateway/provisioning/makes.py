"""Makes of phones: the names of the files that each asks for, and the words in which it names itself over HTTP.

    "805ec0112233.cfg" -> wanted_by(name) -> hardware address    Make.kind_of(name) -> OWN, COMMON, UPLOAD or None

Names are those of the makers' guides; no device has tried them here. Not here: the contents (profiles.py), devices.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

import attrs

LONGEST_NAME: Final = 64
"""Characters of the name of a file."""
LONGEST_AGENT: Final = 200
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADDRESS: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])")
_FIRMWARE: Final = r"(?P<firmware>[0-9][0-9A-Za-z.()_-]{0,40})"
_SPELT: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}([:-]?)[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Za-z])")
_NOBODY: Final = "0" * 12
_MAC: Final = r"(?P<mac>[0-9a-f]{12})"


class FileKind(Enum):
    """The kinds of files that a phone asks for."""

    OWN = "own"
    """The settings of one device."""
    MASTER = "master"
    """A list of the device's other files."""
    COMMON = "common"
    """The same for all devices of a make: it leads to a device's own and holds no secret."""
    UPLOAD = "upload"
    """Sent by the phone, and thrown away."""


@attrs.frozen
class PhoneMake:
    """A make: its files, and the template of each kind by its name without the ending."""

    name: str
    title: str
    ending: str
    """Of its templates: .xml ones are escaped."""
    content: str
    """The media type of its files."""
    agent: re.Pattern[str]
    """Finds its model and firmware in a User-Agent."""
    files: tuple[tuple[FileKind, re.Pattern[str]], ...]
    address_in_url: str
    """The words for the hardware address that the phone itself puts into a URL; empty where it adds its file's name."""

    def kind_of(self, name: str) -> FileKind | None:
        """The kind of a file of that name; None: it asks for no such file, or is not given one."""
        return next((kind for kind, pattern in self.files if pattern.fullmatch(name.lower())), None)


def _files(**patterns: str) -> tuple[tuple[FileKind, re.Pattern[str]], ...]:
    return tuple((FileKind(kind), re.compile(pattern.replace("MAC", _MAC))) for kind, pattern in patterns.items())


def _agent(before: str, between: str) -> re.Pattern[str]:
    return re.compile(rf"{before}(?P<model>[A-Za-z0-9-]{{1,24}}){between}{_FIRMWARE}")


_TEXT: Final = "text/plain; charset=utf-8"
_XML: Final = "application/xml; charset=utf-8"

MAKES_BY_NAME: Final = {
    make.name: make
    for make in (
        PhoneMake(
            "cisco-spa",
            "Cisco SPA",
            ".xml",
            _XML,
            re.compile(rf"(?:Cisco|Linksys|Sipura)/(?P<model>(?:SPA|ATA|PAP)-?[A-Za-z0-9]{{1,12}})-{_FIRMWARE}"),
            _files(own=r"MAC\.(?:xml|cfg)", common=r"spa(?![0-9a-f]{12})[0-9a-z-]{1,20}\.cfg"),
            "$MA.xml",
        ),
        PhoneMake(
            "cisco-mpp",
            "Cisco MPP",
            ".xml",
            _XML,
            re.compile(rf"Cisco-(?P<model>CP-[A-Za-z0-9-]{{1,24}})/{_FIRMWARE}"),
            _files(own=r"MAC\.(?:xml|cfg)", common=r"(?:cp-)?[0-9]{4}(?:-[0-9a-z-]{1,16})?\.xml"),
            "$MA.xml",
        ),
        PhoneMake("yealink", "Yealink", ".cfg", _TEXT, _agent("Yealink ", " "), _files(own=r"MAC\.cfg"), ""),
        PhoneMake(
            "polycom",
            "Poly and Polycom",
            ".xml",
            _XML,
            re.compile(rf"Poly(?:com)?[A-Za-z]{{0,12}}-(?P<model>[A-Za-z0-9_]{{1,20}})-UA/{_FIRMWARE}"),
            _files(
                own=r"gateway-MAC\.cfg",
                master=r"MAC\.cfg",
                upload=r"MAC-(?:boot|app|now|flash|user|phone|web)[0-9a-z-]{0,16}\.(?:log|cfg|tar\.gz|xml)",
            ),
            "",
        ),
        PhoneMake(
            "snom",
            "snom",
            ".xml",
            _XML,
            _agent("snom", "-SIP "),
            _files(own=r"(?:snom[0-9a-z]{1,12}-)?MAC\.(?:xml|html?)"),
            "{mac}.xml",
        ),
        PhoneMake(
            "grandstream",
            "Grandstream",
            ".xml",
            _XML,
            _agent("Grandstream Model HW ", " SW "),
            _files(own=r"cfgMAC\.xml"),
            "",
        ),
    )
}
"""Every make by the name that the file of devices has for it."""


@attrs.frozen
class Told:
    """A phone as it names itself over HTTP; empty where it does not say. Anybody may say anything."""

    make: str = ""
    """A name of `MAKES_BY_NAME`."""
    model: str = ""
    firmware: str = ""
    address: str = ""


def told_by(user_agent: str) -> Told:
    """The make, model, firmware and hardware address in a User-Agent."""
    text = user_agent[:LONGEST_AGENT]
    spelt = _SPELT.search(text)
    address = re.sub("[:-]", "", spelt[0]).lower() if spelt else ""
    for make in MAKES_BY_NAME.values():
        found = make.agent.search(text)
        if found is not None:
            return Told(make.name, found["model"], found["firmware"], address)
    return Told(address=address)


def is_file_name(name: str) -> bool:
    """Whether a text can be the name of a file here: no path, no blank, no ``..``, 64 characters at most."""
    return _SAFE.fullmatch(name) is not None and ".." not in name


def address_in(name: str) -> str | None:
    """The hardware address in the name of a file, in lower case; None where there is none, more than one, or
    the zeros of a file that is the same for all."""
    found = _ADDRESS.findall(name.lower())
    return found[0] if len(found) == 1 and found[0] != _NOBODY else None
