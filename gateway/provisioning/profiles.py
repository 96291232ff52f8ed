"""Files of phones: the settings of one device, drawn by the template of its make.

    ConfiguredDevice, ServerPlace, addresses and URLs -> a dict of plain values -> template -> bytes

Templates of the operator's `directory` come before those that are built in, of the same names. All are compiled when
they are read, and a value that is missing is an error. XML is escaped; a file of keys and values takes no line break in
a value, which would begin another key. Not here: the proof of a device, and which file it asks for (provisioner.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound

from gateway.config.device_file import ConfiguredDevice, LegProtection
from gateway.provisioning.makes import MAKES_BY_NAME, PhoneMake

BUILT_IN: Final = Path(__file__).parent / "templates"
LONGEST_FILE: Final = 256 * 1024
"""Bytes of a file of a phone."""
_ENDINGS: Final = (".xml", ".cfg")

PasswordOf = Callable[[str, str], str | None]
"""The password of a user in a domain; None: nobody knows one."""


class ProfileError(Exception):
    """A file cannot be drawn; the message names the reason, without a value."""


class ManyLines(str):
    """A text of ours that may have line breaks: a certificate."""


@attrs.frozen
class ServerPlace:
    """Where phones find this gateway: the same for all of them."""

    host: str
    """The name in URLs."""
    proxy: str
    """The host that phones send SIP to."""
    tls_port: int
    udp_port: int
    """0: no listener takes UDP."""
    https_port: int
    """0: none."""
    http_port: int
    ntp: str = ""
    ca: str = attrs.field(default="", repr=False)
    """The authority of this server, PEM; empty where phones know it."""
    mode: str = "overlay"

    @property
    def https(self) -> str:
        """The beginning of URLs over HTTPS."""
        return f"https://{self.host}{_port(self.https_port, 443)}"

    @property
    def http(self) -> str:
        """The beginning of URLs over HTTP."""
        return f"http://{self.host}{_port(self.http_port, 80)}"

    def ca_url(self, beginning: str) -> str:
        """Where the authority is; empty where phones know it. A device that has its own file asks over HTTPS: over
        HTTP, which the first file alone names, anybody on the way could give it another authority."""
        return f"{beginning}/ca.pem" if self.ca else ""


@attrs.frozen
class DeviceLinks:
    """The URLs and keys of one device."""

    url: str = attrs.field(repr=False)
    """The folder of its files, with a slash at its end."""
    rule: str = attrs.field(repr=False)
    """The same as the phone wants it: with its own words for its hardware address."""


class Templates:
    """The templates, compiled. Raises ProfileError for one that is none."""

    def __init__(self, directory: Path | None = None) -> None:
        folders = [BUILT_IN] if directory is None else [directory, BUILT_IN]
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=lambda name: name is None or not name.endswith(".cfg"),  # noqa: S701 - those are no markup
            undefined=StrictUndefined,
            finalize=_one_line,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        for name in {path.name for folder in folders for path in folder.iterdir() if path.suffix in _ENDINGS}:
            self._compiled(name)

    def draw(self, name: str, values: Mapping[str, Any]) -> bytes:
        """The file. Raises ProfileError, of which no word is a value."""
        template = self._compiled(name)
        try:
            text = template.render(values)
        except (TemplateError, ProfileError) as error:
            raise ProfileError(f"{name}: {str(error)[:200]}") from None
        except Exception as error:  # an operator's template may do anything
            raise ProfileError(f"{name}: {type(error).__name__}") from None
        data: bytes = text.encode("utf-8", "replace")
        if len(data) > LONGEST_FILE:
            raise ProfileError(f"{name}: is longer than {LONGEST_FILE} bytes")
        return data

    def _compiled(self, name: str) -> Any:
        try:
            return self._environment.get_template(name)
        except TemplateNotFound:
            raise ProfileError(f"{name}: there is no such template") from None
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise ProfileError(f"{name}: line {line}: {error}" if line else f"{name}: {error}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"{name}: cannot be read: {error}") from None


def own_template(device: ConfiguredDevice) -> str:
    """The name of the template for a device's own settings."""
    return device.template or template_of(MAKES_BY_NAME[device.make], "")


def template_of(make: PhoneMake, kind: str) -> str:
    """The name of a make's template: of its settings for an empty kind, else such as `bootstrap`."""
    return f"{make.name}.{kind}{make.ending}" if kind else f"{make.name}{make.ending}"


def values_of(
    address: str,
    device: ConfiguredDevice,
    protection: LegProtection,
    place: ServerPlace,
    links: DeviceLinks,
    password_of: PasswordOf,
) -> dict[str, Any]:
    """The values that a template may name. Raises ProfileError where a password is needed and nobody knows it."""
    is_secure, is_full = protection is not LegProtection.OFF, place.mode == "full"
    if not is_secure and not place.udp_port:
        raise ProfileError('security is "off", and no listener of the phones takes UDP')
    return {
        **common_values(place),
        "ca_url": place.ca_url(place.https if place.https_port else place.http),
        "mac": address,
        "model": device.model,
        "transport": "tls" if is_secure else "udp",
        "port": place.tls_port if is_secure else place.udp_port,
        "srtp": str(protection),
        "is_secure": is_secure,
        "is_full": is_full,
        "lines": [*_lines(device, is_full, password_of)],
        "url": links.url,
        "rule": links.rule,
        "options": {**device.options},
    }


def common_values(place: ServerPlace) -> dict[str, Any]:
    """The values of a file that is the same for all devices of a make: none of them is a secret."""
    return {
        "host": place.host,
        "proxy": place.proxy,
        "ntp": place.ntp,
        "ca": ManyLines(place.ca),
        "ca_url": place.ca_url(place.http if place.http_port else place.https),
        "https": place.https if place.https_port else "",
        "http": place.http if place.http_port else "",
    }


def _lines(device: ConfiguredDevice, is_full: bool, password_of: PasswordOf) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(device.lines, 1):
        password = (line.password or password_of(line.user, line.domain)) if is_full else ""
        if password is None:
            raise ProfileError(f"line {number} has no password, and the credentials of its domain have none either")
        yield {
            "number": number,
            "user": line.user,
            "domain": line.domain,
            "password": password,
            "label": line.label or line.user,
        }


def _one_line(value: Any) -> Any:
    """A value as it may stand in a file. Raises ProfileError."""
    if not isinstance(value, ManyLines) and any(ord(one) < 32 or ord(one) == 127 for one in str(value)):
        raise ProfileError("a value has a line break or another control character")
    return value


def _port(port: int, usual: int) -> str:
    return "" if port == usual else f":{port}"
