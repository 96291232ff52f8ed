"""The devices there are, and everything of each: tokens, links, standing, drawn files.

    devices.toml + adopted -> Estate.adopt -> KnownDevice by address and by token -> drawn(device, kind) -> bytes

Tokens are found in a table by their whole text. They are 130 bits made with a secret, so that the time of a look tells
nothing that could be searched for. Not here: proofs and decisions (provisioner.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from gateway.base.json_codec import encode
from gateway.config.device_file import ConfiguredDevice
from gateway.observe.figures import Sample
from gateway.observe.metrics import Metrics
from gateway.provisioning.answers_to_phones import Question
from gateway.provisioning.enrolment import Enrolment
from gateway.provisioning.makes import MAKES_BY_NAME, FileKind, PhoneMake, Told, address_in, told_by
from gateway.provisioning.path_tokens import SALT, TokenMint, sealed
from gateway.provisioning.profiles import (
    DeviceLinks,
    PasswordOf,
    ProfileError,
    ServerPlace,
    Templates,
    common_values,
    own_template,
    template_of,
    values_of,
)
from gateway.provisioning.standings import Standings

MOST_SEEN: Final = 500
"""Devices that asked and are not known: anybody may name one, and the oldest go."""
HIDDEN: Final = "~"
"""In the place of a secret."""
_SEALED_MAKES: Final = ("cisco-spa",)


@attrs.frozen
class KnownDevice:
    """A device that has a file here."""

    address: str
    device: ConfiguredDevice
    token: str = attrs.field(repr=False)
    sealed_token: str = attrs.field(repr=False)
    is_sealed: bool
    """Whether its files may go over HTTP, encrypted by themselves."""


@attrs.frozen
class SeenDevice:
    """A device that asked for its file and is not known. Its texts are a peer's."""

    address: str
    told: Told
    source: str
    at: float
    is_certified: bool
    """Whether its maker's certificate proved the address; else anybody may have named it."""


@attrs.frozen
class EstateFiles:
    """All that is read from files: it is prepared, and adopted whole."""

    devices: Mapping[str, ConfiguredDevice]
    templates: Templates
    place: ServerPlace
    password_of: PasswordOf = attrs.field(repr=False)


class Estate:
    """The devices of one gateway."""

    def __init__(self, files: EstateFiles, standings: Standings) -> None:
        self.standings = standings
        self.enrolment = Enrolment()
        self._files = files
        self._mint = TokenMint(b"")
        self._by_address: dict[str, KnownDevice] = {}
        self._ordered: list[str] | None = None
        """Their addresses in order; None until somebody asks."""
        self._counted: tuple[int, Counter[tuple[str, str]]] | None = None
        """How many there are by make and state, and the changes of standings until then."""
        self._by_token: dict[str, KnownDevice] = {}
        self._by_sealed_token: dict[str, KnownDevice] = {}
        self._seen: OrderedDict[str, SeenDevice] = OrderedDict()

    def start(self, secret: bytes, epoch: bytes) -> None:
        """Know the devices, by tokens that are made with a secret in an epoch of it. Before, there are none."""
        self._mint = TokenMint(TokenMint(secret).mark("epoch", epoch))
        self.adopt(self._files)

    def adopt(self, files: EstateFiles) -> None:
        """Go by other files from now on. Devices of the file come before adopted ones of the same address."""
        self._files = files
        if not self._mint.secret:
            return
        self._by_address, self._by_token, self._by_sealed_token = {}, {}, {}
        for address, device in files.devices.items():
            self.know(address, device)

    def know(self, address: str, device: ConfiguredDevice) -> KnownDevice:
        """Have a device from now on."""
        self.standings.settle(address, self._settings_mark(device), device.security)
        tokens = self.standings.of(address).tokens
        known = KnownDevice(
            address,
            device,
            self._mint.path(address, tokens),
            self._mint.sealed_path(address, tokens),
            device.make in _SEALED_MAKES and bool(self.place.http_port),
        )
        self.forget(address)
        self._ordered = self._counted = None
        self._by_address[address] = self._by_token[known.token] = self._by_sealed_token[known.sealed_token] = known
        self._seen.pop(address, None)
        return known

    def forget(self, address: str) -> None:
        """Have it no more."""
        before = self._by_address.pop(address, None)
        if before is not None:
            self._ordered = self._counted = None
            del self._by_token[before.token], self._by_sealed_token[before.sealed_token]

    def rotate(self, address: str) -> None:
        """Make a device's tokens and keys of before worth nothing."""
        self.standings.rotate(address)
        known = self._by_address[address]
        self.know(address, known.device)

    @property
    def place(self) -> ServerPlace:
        """Where phones find this gateway."""
        return self._files.place

    def password_of(self, user: str, domain: str) -> str | None:
        """The password that the credentials of a domain have for a user."""
        return self._files.password_of(user, domain)

    def find(self, address: str) -> KnownDevice | None:
        """The device of a hardware address."""
        return self._by_address.get(address)

    def by_token(self, token: str) -> KnownDevice | None:
        """The device that has a token over HTTPS."""
        return self._by_token.get(token)

    def by_sealed_token(self, token: str) -> KnownDevice | None:
        """The device that has a token over HTTP."""
        return self._by_sealed_token.get(token)

    @property
    def addresses(self) -> list[str]:
        """The addresses of all devices in order. They are sorted once after each change: 10,000 take 2 ms."""
        if self._ordered is None:
            self._ordered = sorted(self._by_address)
        return self._ordered

    def page(self, after: str, limit: int) -> list[KnownDevice]:
        """So many devices by their addresses, those after one."""
        start = bisect_right(self.addresses, after)
        return [self._by_address[address] for address in self.addresses[start : start + limit]]

    @property
    def has_sealed(self) -> bool:
        """Whether the files of a device go over HTTP, encrypted by themselves."""
        return any(known.is_sealed for known in self._by_address.values())

    def seen(self) -> list[SeenDevice]:
        """Devices that asked and are not known, the latest first."""
        return [*reversed(self._seen.values())]

    def note_seen(self, name: str, question: Question, at: float) -> None:
        """A question was not answered; where it named a device that is not known, that is kept."""
        told = told_by(question.user_agent)
        address = question.certified or address_in(name) or told.address
        if not address or address in self._by_address:
            return
        before = self._seen.pop(address, None)
        is_certified = question.certified == address or (before is not None and before.is_certified)
        self._seen[address] = SeenDevice(address, told, question.source, at, is_certified)
        while len(self._seen) > MOST_SEEN:
            # Those that a certificate proved are not driven out by addresses that somebody made up.
            doubtful = next((key for key, one in self._seen.items() if not one.is_certified), None)
            self._seen.pop(doubtful if doubtful is not None else next(iter(self._seen)))

    def drawn(self, known: KnownDevice, kind: FileKind) -> bytes:
        """A proved device's file. Raises ProfileError."""
        make = MAKES_BY_NAME[known.device.make]
        if kind is FileKind.COMMON:
            return self._files.templates.draw(template_of(make, "common"), common_values(self.place))
        values = values_of(
            known.address,
            known.device,
            self.standings.of(known.address).effective,
            self.place,
            self.links(known),
            self._files.password_of,
        )
        name = own_template(known.device) if kind is FileKind.OWN else template_of(make, "master")
        return self._files.templates.draw(name, values)

    def drawn_own(self, known: KnownDevice) -> bytes:
        """A device's own file, with its secrets. Raises ProfileError."""
        return self.drawn(known, FileKind.OWN)

    def shown(self, known: KnownDevice) -> bytes:
        """A device's own file for people: without passwords, tokens, keys, and the values of its options. Raises
        ProfileError."""
        lines = tuple(attrs.evolve(line, password=HIDDEN) for line in known.device.lines)
        device = attrs.evolve(known.device, lines=lines, options=dict.fromkeys(known.device.options, HIDDEN))
        protection, place = self.standings.of(known.address).effective, self.place
        links = DeviceLinks(f"{place.https}/p/{HIDDEN}/", HIDDEN)
        values = values_of(known.address, device, protection, place, links, self._files.password_of)
        return self._files.templates.draw(own_template(device), values)

    def first_file(self, known: KnownDevice | None, name: str) -> tuple[PhoneMake, bytes] | None:
        """The file that leads a device to its own, or any device of a make where ``known`` is None; None: there is none
        of that name. No password is in it. Raises ProfileError."""
        if known is None:
            make = next((one for one in MAKES_BY_NAME.values() if one.kind_of(name) is FileKind.COMMON), None)
            if make is None:
                return None
            return make, self._files.templates.draw(template_of(make, "common"), common_values(self.place))
        make = MAKES_BY_NAME[known.device.make]
        kind = make.kind_of(name)
        if kind not in (FileKind.OWN, FileKind.MASTER):
            return None
        links = self.links(known)
        values = {**common_values(self.place), "mac": known.address, "url": links.url, "rule": links.rule}
        template = template_of(make, "bootstrap" if kind is FileKind.OWN else "master")
        return make, self._files.templates.draw(template, values)

    def links(self, known: KnownDevice) -> DeviceLinks:
        """The URLs of a device. Raises ProfileError where there is no way to it."""
        make, place = MAKES_BY_NAME[known.device.make], self.place
        if known.is_sealed:
            key = self._mint.profile_key(known.address, self.standings.of(known.address).tokens)
            url = f"{place.http}/e/{known.sealed_token}/"
            return DeviceLinks(url, f"[--key {key}]{url}{make.address_in_url}")
        if not place.https_port:
            raise ProfileError("https_port is 0, and its files go over HTTPS alone")
        url = f"{place.https}/p/{known.token}/"
        if make.name == "grandstream":  # its setting has no scheme, and no slash at its end
            return DeviceLinks(url, url.removeprefix("https://").rstrip("/"))
        return DeviceLinks(url, f"{url}{make.address_in_url}")

    def first_url(self, known: KnownDevice, *, in_clear: bool) -> str:
        """The URL that leads a device to its first file, over HTTP where there is that and it may be; it holds no
        token. Empty where there is none."""
        make, place = MAKES_BY_NAME[known.device.make], self.place
        if in_clear and place.http_port:
            return f"{place.http}/{make.address_in_url}"
        return f"{place.https}/{make.address_in_url}" if place.https_port else ""

    def mark_of(self, body: bytes) -> str:
        """The ETag of a file (RFC 9110 section 8.8.3)."""
        return f'"{self._mint.mark("etag", body).hex()[:24]}"'

    def sealed(self, known: KnownDevice, body: bytes) -> bytes:
        """A device's file, encrypted by itself: the same bytes for the same file."""
        key = self._mint.profile_key(known.address, self.standings.of(known.address).tokens)
        return sealed(body, key, self._mint.mark("salt", body)[:SALT])

    def figures(self) -> Iterator[Sample]:
        """Devices by make and state, for a scrape of the metrics. They are counted after a change alone: 5,000 take
        5 ms, in which calls wait."""
        changes, known = self.standings.changes, self._by_address.values()
        if self._counted is None or self._counted[0] != changes:
            self._counted = changes, Counter((one.device.make, self.standings.of(one.address).state) for one in known)
        for labels, number in self._counted[1].items():
            yield Metrics.provisioning_devices, labels, number

    def _settings_mark(self, device: ConfiguredDevice) -> str:
        """A mark of a device's settings, without its passwords."""
        lines = [[line.user, line.domain, line.label] for line in device.lines]
        place = self.place
        told = [device.make, device.model, device.template, [*device.options.items()], lines]
        whole = [*told, place.host, place.proxy, place.tls_port, place.udp_port, place.ntp, place.mode]
        return self._mint.mark("settings", encode(whole)).hex()[:24]
