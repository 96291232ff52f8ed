"""Mistakes of [[listener]]: names, ports, files, and keys that do not fit their transport.

Here: checks across keys and listeners. Not here: the type and range of one key (listener_table.py).
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gateway.config.model import Listener, Side
from gateway.config.named_files import file_mistakes, given_files, identity_mistakes
from gateway.config.places import ANY
from gateway.config.structuring import Mistake, Unread, each, is_set, known, repeated, shown


def listener_mistakes(entries: list[tuple[str, Listener]], made: frozenset[Path] = frozenset()) -> Iterator[Mistake]:
    """The mistakes of the listeners, each given with the path of its table. The files in `made` are written by the
    gateway itself, and may be missing."""
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    yield from repeated("port", [(path, _endpoint(entry)) for path, entry in entries])
    yield from each(
        entries,
        partial(_listener_files, made),
        identity_mistakes,
        _tls_without_identity,
        _pointless,
        _no_authority,
        _unanswerable,
        _not_for_browsers,
        _no_origins,
    )


def _listener_files(made: frozenset[Path], path: str, entry: Listener) -> Iterator[Mistake]:
    yield from file_mistakes(path, entry, "client_trust", *given_files(made, entry))
    for index, one in enumerate(entry.certificates):
        yield from file_mistakes(f"{path}.certificates[{index}]", one, *given_files(made, one))


def _tls_without_identity(path: str, entry: Listener) -> Iterator[Mistake]:
    if entry.is_encrypted and entry.certificate is None and entry.private_key is None:
        yield Mistake(
            f"{path}.certificate", f"is missing: a {entry.transport} listener needs certificate and private_key"
        )


def _pointless(path: str, entry: Listener) -> Iterator[Mistake]:
    """Keys that protect a tls listener only: nobody may believe that they protect another."""
    if not entry.is_encrypted:
        for key in ("require_client_certificate", "tls_minimum", "ciphers", "certificates"):
            if is_set(entry, Listener, key):
                yield Mistake(f"{path}.{key}", f'is for transport = "tls", found {shown(entry.transport)}')


def _no_authority(path: str, entry: Listener) -> Iterator[Mistake]:
    if entry.require_client_certificate and entry.client_trust is None:
        yield Mistake(f"{path}.client_trust", "is missing: require_client_certificate needs it")


def _unanswerable(path: str, entry: Listener) -> Iterator[Mistake]:
    if entry.address in ANY and entry.advertised_host is None:
        yield Mistake(f"{path}.advertised_host", f"is missing: nobody can answer to {shown(entry.address)}")


def _not_for_browsers(path: str, entry: Listener) -> Iterator[Mistake]:
    if entry.transport == "wss" and entry.side is not Side.PHONES:
        yield Mistake(f"{path}.side", f'found {shown(entry.side)}, allowed with transport = "wss": phones')


def _no_origins(path: str, entry: Listener) -> Iterator[Mistake]:
    """A listener for browsers without a page that may use it: it would let nobody in. Any page is no choice, for a page
    that somebody was lured to could reach the gateway from inside the house."""
    if entry.transport == "wss" and not entry.origins:
        yield Mistake(f"{path}.origins", 'is missing: a wss listener lets in these pages alone, as "https://HOST"')
    if entry.transport != "wss" and entry.origins:
        yield Mistake(f"{path}.origins", f'is for transport = "wss", found {shown(entry.transport)}')


def _endpoint(listener: Listener) -> str | None:
    """The port of a listener, for comparison; None for any free one, or where a part of it is wrong."""
    try:
        # TLS and WebSockets run on TCP: two of them cannot share a port.
        kind = "udp" if listener.transport == "udp" else "tcp"
        return f"{kind} {listener.address} {listener.port}" if listener.port else None
    except Unread:
        return None
