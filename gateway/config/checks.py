"""Checks of a whole configuration: names, files, transports, addresses fit together. Each mistake is a line for people.

Here: checks across keys and tables, and of the files that they name. Not here: the type and range of one key (model's
annotations, fields).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.config import fields
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.fields import PortRange as PortRange
from gateway.config.model import (
    DIGESTS,
    GATHER_US,
    SILENCE_SECONDS,
    TLS_VERSIONS,
    Domain,
    Listener,
    Media,
    Provider,
    Side,
)
from gateway.config.structuring import Mistake, Unacceptable, shown
from gateway.sdp.crypto import SUITE_NAMES


def listener_mistakes(entries: list[tuple[str, Listener]]) -> Iterator[Mistake]:
    """The mistakes of the listeners, each given with the path of its table."""
    yield from _repeated("name", [(path, entry.name) for path, entry in entries])
    yield from _repeated("port", [(path, _endpoint(entry)) for path, entry in entries if entry.port])
    for path, entry in entries:
        yield from _identity_mistakes(path, entry.certificate, entry.private_key)
        yield from _file_mistakes(path, "client_trust", entry.client_trust)
        if entry.transport == "tls" and entry.certificate is None and entry.private_key is None:
            yield Mistake(f"{path}.certificate", "is missing: a tls listener needs certificate and private_key")
        if entry.transport != "tls":
            yield from _pointless(path, entry)
        if entry.require_client_certificate and entry.client_trust is None:
            yield Mistake(f"{path}.client_trust", "is missing: require_client_certificate needs it")
        if entry.address in ("0.0.0.0", "::") and entry.advertised_host is None:  # noqa: S104
            yield Mistake(f"{path}.advertised_host", f"is missing: nobody can answer to {shown(entry.address)}")


def no_phones(sides: set[tuple[object, ...]]) -> Iterator[Mistake]:
    """The mistake that nobody can call, from the sides of all listeners."""
    if sides == {(str(Side.PROVIDER),)}:
        yield Mistake("listener", 'none has side = "phones", at least one is needed')


def _pointless(path: str, entry: Listener) -> Iterator[Mistake]:
    """Keys that protect a tls listener only: nobody may believe that they protect another."""
    for key, is_set in (
        ("require_client_certificate", entry.require_client_certificate),
        ("tls_minimum", entry.tls_minimum != TLS_VERSIONS[0]),
        ("ciphers", entry.ciphers is not None),
    ):
        if is_set:
            yield Mistake(f"{path}.{key}", f'is for transport = "tls", found {shown(entry.transport)}')


def media_mistakes(media: Media | None) -> Iterator[Mistake]:
    """The mistakes of the media table; None for one that cannot be read."""
    if media is None:
        return
    if media.relay == "rtpengine" and not media.rtpengine:
        yield Mistake("media.rtpengine", 'is missing: relay = "rtpengine" needs at least one HOST:PORT')
    if media.relay == "rtpengine":
        yield from _workers_only_mistakes(media)
    yield from _media_address_mistakes(media)
    if media.workers > len(media.ports) // 4:
        yield Mistake(
            "media.workers", f"found {media.workers}, allowed: {len(media.ports) // 4} at most, 4 ports for each"
        )


def _workers_only_mistakes(media: Media) -> Iterator[Mistake]:
    """Keys of our workers only: nobody may believe that an rtpengine goes by them."""
    for key, is_set in (
        ("plain_rtcp", media.plain_rtcp),
        ("constant_ssrc", media.constant_ssrc),
        ("follow_port", media.follow_port),
        ("sequence_restarts", media.sequence_restarts),
        ("ng_listen", media.ng_listen),
        ("gather_us", media.gather_us != GATHER_US),
        ("silence_seconds", media.silence_seconds != SILENCE_SECONDS),
    ):
        if is_set:
            yield Mistake(f"media.{key}", 'is for relay = "workers", found "rtpengine"')


def _media_address_mistakes(media: Media) -> Iterator[Mistake]:
    for side, own, advertised in (
        ("phone", media.phone_address, media.phone_advertised),
        ("provider", media.provider_address, media.provider_advertised),
    ):
        address = own or media.address
        key = f"media.{side}_advertised"
        if advertised is None and address in ("0.0.0.0", "::"):  # noqa: S104
            yield Mistake(key, f"is missing: nobody can send media to {shown(address)}")
        if advertised is not None and (":" in advertised) is not (":" in address):
            yield Mistake(key, f"found {shown(advertised)}, allowed: the IP version of {shown(address)}")


def provider_mistakes(entries: list[tuple[str, Provider]], listening: set[tuple[object, ...]]) -> Iterator[Mistake]:
    """The mistakes of the providers; ``listening`` has side and transport of each listener."""
    yield from _repeated("name", [(path, entry.name) for path, entry in entries])
    for path, entry in entries:
        yield from _identity_mistakes(path, entry.certificate, entry.private_key)
        if isinstance(entry.trust, Path):
            yield from _file_mistakes(path, "trust", entry.trust)
        yield from _transport_mistakes(f"{path}.uri", entry.uri, listening)
        if entry.fallback_uri is not None:
            yield from _transport_mistakes(f"{path}.fallback_uri", entry.fallback_uri, listening)
        if not entry.suites or len(set(entry.suites)) < len(entry.suites):
            yield Mistake(f"{path}.suites", f"found none or one twice, allowed: each once of {', '.join(SUITE_NAMES)}")


def _transport_mistakes(path: str, uri: str, listening: set[tuple[object, ...]]) -> Iterator[Mistake]:
    """The gateway answers where it calls from, so each transport it uses needs a listener on that side."""
    transport = fields.uri_transport(uri)
    offered = {pair[1] for pair in listening if pair[0] == Side.PROVIDER}
    if transport is None and not offered:
        yield Mistake(path, f'found {shown(uri)}, but no listener has side = "provider"')
    if transport is not None and transport not in offered:
        wanted = f'side = "provider" and transport = "{transport}"'
        yield Mistake(path, f"found {shown(uri)}, but no listener has {wanted}")


def domain_mistakes(entries: list[tuple[str, Domain]], providers: set[object]) -> Iterator[Mistake]:
    """The mistakes of the domains; ``providers`` are the providers' names."""
    yield from _repeated("name", [(path, entry.name) for path, entry in entries])
    for path, entry in entries:
        if entry.provider not in providers:
            names = ", ".join(sorted(map(str, providers))) or "none is configured"
            yield Mistake(f"{path}.provider", str(Unacceptable(entry.provider, names)))
        if not entry.challenge_algorithms or len(set(entry.challenge_algorithms)) < len(entry.challenge_algorithms):
            yield Mistake(f"{path}.challenge_algorithms", f"found none or one twice, allowed: {', '.join(DIGESTS)}")
        strangers = set(entry.challenge_exempt) - set(entry.restricted_access_domains)
        if entry.restricted_access_domains and strangers:
            allowed = f"names of {path}.restricted_access_domains"
            yield Mistake(f"{path}.challenge_exempt", str(Unacceptable(min(strangers), allowed)))
        yield from _file_mistakes(path, "credentials", entry.credentials)
        if entry.credentials is not None and entry.credentials.is_file() and entry.credentials.stat().st_mode & 0o077:
            mode = f"{entry.credentials.stat().st_mode & 0o777:04o}"
            yield Mistake(
                f"{path}.credentials",
                f"{entry.credentials} has mode {mode}, allowed: nothing for group or others (0600)",
            )


def _identity_mistakes(path: str, certificate: Path | None, private_key: Path | None) -> Iterator[Mistake]:
    yield from _file_mistakes(path, "certificate", certificate)
    yield from _file_mistakes(path, "private_key", private_key)
    if certificate is not None and private_key is None:
        yield Mistake(f"{path}.private_key", "is missing: certificate and private_key go together")
    if private_key is not None and certificate is None:
        yield Mistake(f"{path}.certificate", "is missing: certificate and private_key go together")


def _file_mistakes(path: str, key: str, file: Path | None) -> Iterator[Mistake]:
    if file is not None and not file.is_file():
        yield Mistake(f"{path}.{key}", f"{file} is no file")
    elif file is not None and not os.access(file, os.R_OK):
        yield Mistake(f"{path}.{key}", f"{file} cannot be read by this user")


def _endpoint(listener: Listener) -> str:
    # TLS runs on TCP: the two cannot share a port.
    return f"{'udp' if listener.transport == 'udp' else 'tcp'} {listener.address} {listener.port}"


def _repeated(key: str, values: list[tuple[str, str]]) -> Iterator[Mistake]:
    first: dict[str, str] = {}
    for path, value in values:
        if value in first:
            yield Mistake(f"{path}.{key}", f"found {shown(value)}, which {first[value]} has already")
        first.setdefault(value, path)
