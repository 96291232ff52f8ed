"""Checks of a whole configuration: names, files, transports, addresses fit together. Each mistake is a line for people.

Here: checks across keys and tables. Not here: the type and range of one key (model's annotations, fields), the files
that a configuration names (named_files).

    (path, table) -> each check of its kind -> mistakes; a check that needs a value that the file has wrong is left out

So every check is small, and takes no value that it does not need: one wrong value must not hide another mistake.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gateway.config import fields
from gateway.config.device_file import DeviceFileError, read_devices
from gateway.config.fields import Nameserver as Nameserver
from gateway.config.model import DIGESTS, Admin, Domain, Listener, Media, Provider, Provisioning, Security, Side
from gateway.config.named_files import (
    file_mistakes,
    given_files,
    identity_mistakes,
    private_file_mistakes,
    this_user,
)
from gateway.config.places import ANY, is_ipv6, is_nameless
from gateway.config.structuring import Mistake, Unacceptable, each, is_set, known, repeated, shown
from gateway.config.tables.acme_table import Acme
from gateway.config.tables.blocklist_table import Blocklist, list_mistakes
from gateway.config.tables.hep_table import Hep, HepReceiver
from gateway.config.tables.network_table import NetworkTerms
from gateway.sdp.codecs import ACCOMPANYING
from gateway.sdp.crypto import SUITE_NAMES

MOST_URIS = 7
"""Servers of a provider beside the first."""


def hep_mistakes(table: Hep | None) -> Iterator[Mistake]:
    """The mistakes of the table, if there is one."""
    if table is None:
        return
    yield from file_mistakes("hep", table, "password_file", "trust")
    yield from private_file_mistakes("hep", table, "password_file")
    to, insecure = known(table, "to"), known(table, "insecure")
    if isinstance(to, HepReceiver) and to.transport != "tls" and not to.is_here and insecure is False:
        yield Mistake("hep.to", f"{to.transport} to another machine is in clear: use tls, or set insecure = true")


def blocklist_mistakes(entries: list[tuple[str, Blocklist]]) -> Iterator[Mistake]:
    """The mistakes of the lists of addresses, each given with the path of its table."""
    yield from list_mistakes(entries)
    for path, entry in entries:
        yield from file_mistakes(path, entry, "file", "key_file")
        yield from private_file_mistakes(path, entry, "key_file")


def files_of(acme: Acme | None) -> frozenset[Path]:
    """The files that the gateway writes by itself."""
    files = (known(acme, "certificate"), known(acme, "private_key")) if acme is not None else ()
    return frozenset(file for file in files if isinstance(file, Path))


def acme_mistakes(
    acme: Acme | None, users: list[tuple[str, Any]], provisioning: Provisioning | None = None
) -> Iterator[Mistake]:
    """The mistakes of the table, if there is one; `users` are the tables that name certificates, as [provisioning]
    may."""
    if acme is None:
        return
    yield from file_mistakes("acme", acme, "trust", "hook")
    if known(acme, "agree") is False:
        yield Mistake("acme.agree", "is false: nothing is asked before you agree to the authority's terms of service")
    if known(acme, "names") == ():
        yield Mistake("acme.names", "is empty: a certificate is for at least one name")
    files = files_of(acme)
    tables = [one for _, one in users] + ([provisioning] if provisioning is not None else [])
    holders = [
        *tables,
        *(more for one in tables if isinstance(one, Listener) for more in known(one, "certificates") or ()),
    ]
    if len(files) == 2 and not any({known(one, "certificate"), known(one, "private_key")} == files for one in holders):
        yield Mistake("acme.certificate", "no listener and not [admin] has this certificate and private_key")
    for key in ("certificate", "private_key"):
        file = known(acme, key)
        if isinstance(file, Path) and not os.access(file.parent, os.W_OK):
            yield Mistake(f"acme.{key}", f"{file.parent} cannot be written by {this_user()}")


def admin_mistakes(admin: Admin | None, made: frozenset[Path] = frozenset()) -> Iterator[Mistake]:
    """The mistakes of the table of the administration interface; None for one that cannot be read at all."""
    if admin is not None:
        yield from each([("admin", admin)], identity_mistakes)
        yield from file_mistakes("admin", admin, *given_files(made, admin))


def provisioning_file_mistakes(
    table: Provisioning | None,
    listening: set[tuple[object, ...]],
    domains: set[tuple[object, ...]],
    made: frozenset[Path] = frozenset(),
) -> Iterator[Mistake]:
    """The mistakes of the files that the table names, if there is one, those in the file of devices, and that of a
    gateway without a way over TLS for the phones that it would lead here. ``listening`` has side and transport of each
    listener, ``domains`` the name of each domain."""
    if table is None:
        return
    yield from each([("provisioning", table)], identity_mistakes)
    yield from file_mistakes("provisioning", table, "devices", "client_trust", "ca", *given_files(made, table))
    yield from private_file_mistakes("provisioning", table, "devices")
    yield from _device_file_mistakes(table, domains)
    directory = known(table, "directory")
    if directory is not None and not directory.is_dir():
        yield Mistake("provisioning.directory", f"{directory} is no directory")
    if (str(Side.PHONES), "tls") not in listening:
        yield Mistake("provisioning", 'no listener has side = "phones" and transport = "tls": phones are led there')


def _device_file_mistakes(table: Provisioning, domains: set[tuple[object, ...]]) -> Iterator[Mistake]:
    file, https_port = known(table, "devices"), known(table, "https_port")
    if file is None or not file.is_file() or not os.access(file, os.R_OK):
        return
    try:
        devices = read_devices(file, frozenset(str(name).lower().rstrip(".") for (name,) in domains))
    except DeviceFileError as error:
        yield from (Mistake("provisioning.devices", one) for one in error.mistakes)
        return
    if https_port == 0 and (others := sorted({one.make for one in devices.values()} - {"cisco-spa"})):
        yield Mistake("provisioning.https_port", f"is 0, and files of {', '.join(others)} go over HTTPS alone")


def no_phones(sides: set[tuple[object, ...]]) -> Iterator[Mistake]:
    """The mistake that nobody can call, from the sides of all listeners."""
    if sides == {(str(Side.PROVIDER),)}:
        yield Mistake("listener", 'none has side = "phones", at least one is needed')


def media_mistakes(media: Media | None) -> Iterator[Mistake]:
    """The mistakes of the media table; None for one that is no table."""
    if media is not None:
        sides = (partial(_media_address_mistakes, side) for side in ("phone", "provider"))
        yield from each([("media", media)], _no_rtpengine, _workers_only_mistakes, *sides, _too_few_ports)


def place_mistakes(
    network: NetworkTerms | None, listeners: list[tuple[str, Listener]], media: Media | None
) -> Iterator[Mistake]:
    """The mistake of addresses that leave the interface to [network], where it names none."""
    if network is None or known(network, "interface") is not None:
        return
    written = [(f"{path}.address", known(entry, "address")) for path, entry in listeners]
    if media is not None:
        written += [(f"media.{key}", known(media, key)) for key in ("address", "phone_address", "provider_address")]
    for key, value in written:
        if isinstance(value, str) and is_nameless(value):
            yield Mistake(key, f"found {shown(value)}, but [network] has no interface")


def _no_rtpengine(path: str, media: Media) -> Iterator[Mistake]:
    if media.relay == "rtpengine" and not media.rtpengine:
        yield Mistake(f"{path}.rtpengine", 'is missing: relay = "rtpengine" needs at least one HOST:PORT')


def _workers_only_mistakes(path: str, media: Media) -> Iterator[Mistake]:
    """Keys of our workers only: nobody may believe that an rtpengine goes by them."""
    quirks = ("plain_rtcp", "constant_ssrc", "follow_port", "sequence_restarts")
    for key in (*quirks, "ng_listen", "loop", "gather_us", "silence_seconds") if media.relay == "rtpengine" else ():
        if is_set(media, Media, key):
            yield Mistake(f"{path}.{key}", 'is for relay = "workers", found "rtpengine"')


def _media_address_mistakes(side: str, path: str, media: Media) -> Iterator[Mistake]:
    own, advertised = getattr(media, f"{side}_address"), getattr(media, f"{side}_advertised")
    address, key = own or media.address, f"{path}.{side}_advertised"
    if advertised is None and address in ANY:
        yield Mistake(key, f"is missing: nobody can send media to {shown(address)}")
    if advertised is not None and (":" in advertised) is not is_ipv6(address):
        yield Mistake(key, f"found {shown(advertised)}, allowed: the IP version of {shown(address)}")


def _too_few_ports(path: str, media: Media) -> Iterator[Mistake]:
    most = len(media.ports.shares(media.workers))
    if media.workers > most:
        yield Mistake(f"{path}.workers", f"found {media.workers}, allowed: {most} at most, two pairs of ports for each")


def provider_mistakes(entries: list[tuple[str, Provider]], listening: set[tuple[object, ...]]) -> Iterator[Mistake]:
    """The mistakes of the providers; ``listening`` has side and transport of each listener."""
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    transports = partial(_transport_mistakes, listening)
    yield from each(
        entries, _provider_files, identity_mistakes, transports, _no_suites, _codecs, _keys_of_tls, _more_uris
    )


def _provider_files(path: str, entry: Provider) -> Iterator[Mistake]:
    yield from file_mistakes(path, entry, "certificate", "private_key", "trust")


def _transport_mistakes(listening: set[tuple[object, ...]], path: str, entry: Provider) -> Iterator[Mistake]:
    """The gateway answers where it calls from, so each transport it uses needs a listener on that side."""
    offered = {pair[1] for pair in listening if pair[0] == Side.PROVIDER}
    more = [(f"more_uris[{index}]", uri) for index, uri in enumerate(known(entry, "more_uris") or ())]
    for key, uri in (("uri", known(entry, "uri")), ("fallback_uri", known(entry, "fallback_uri")), *more):
        transport = None if uri is None else fields.uri_transport(uri)
        if uri is not None and transport is None and not offered:
            yield Mistake(f"{path}.{key}", f'found {shown(uri)}, but no listener has side = "provider"')
        if transport is not None and transport not in offered:
            wanted = f'side = "provider" and transport = "{transport}"'
            yield Mistake(f"{path}.{key}", f"found {shown(uri)}, but no listener has {wanted}")


def _no_suites(path: str, entry: Provider) -> Iterator[Mistake]:
    if not entry.suites or len(set(entry.suites)) < len(entry.suites):
        yield Mistake(f"{path}.suites", f"found none or one twice, allowed: each once of {', '.join(SUITE_NAMES)}")


def _keys_of_tls(path: str, entry: Provider) -> Iterator[Mistake]:
    """Keys that count over TLS alone, of a provider in clear: an agreement on keys that everybody on the way reads, and
    a name that no certificate proves."""
    is_clear = fields.uri_transport(entry.uri) in ("udp", "tcp")
    for key in ("mediasec", "contact_host") if is_clear else ():
        if found := getattr(entry, key):
            yield Mistake(
                f"{path}.{key}", f"found {shown(found)}, but {shown(entry.uri)} is not TLS, which {key} needs"
            )


def _more_uris(path: str, entry: Provider) -> Iterator[Mistake]:
    """Further servers that would be asked under other terms: in clear where calls go over TLS, or twice."""
    transport = fields.uri_transport(entry.uri)
    for index, uri in enumerate(entry.more_uris):
        if fields.uri_transport(uri) != transport:
            yield Mistake(
                f"{path}.more_uris[{index}]", f"found {shown(uri)}, allowed: the transport of {shown(entry.uri)}"
            )
    if len({entry.uri, *entry.more_uris}) <= len(entry.more_uris) or len(entry.more_uris) > MOST_URIS:
        yield Mistake(f"{path}.more_uris", f"found one twice, or too many, allowed: {MOST_URIS} beside uri")


def _codecs(path: str, entry: Provider | Domain) -> Iterator[Mistake]:
    """Of a list of codecs that is given: each once, and one at least that people can talk with."""
    names = [name.lower() for name in entry.codecs]
    if len(set(names)) < len(names):
        yield Mistake(f"{path}.codecs", "found one twice, allowed: each once")
    if names and set(names) <= ACCOMPANYING:
        yield Mistake(f"{path}.codecs", "has no codec to talk with, such as PCMA, beside telephone-event and CN")


def _no_codec_left(providers: dict[str, Provider], path: str, entry: Domain) -> Iterator[Mistake]:
    """A domain and its provider with no codec in common."""
    provider = providers.get(entry.provider)
    if provider is None or not provider.codecs or not entry.codecs:
        return
    mine, others = ({name.lower() for name in one.codecs} - ACCOMPANYING for one in (entry, provider))
    if not mine & others:
        allowed = ", ".join(provider.codecs)
        yield Mistake(f"{path}.codecs", f"has none of provider {provider.name}, whose codecs are {allowed}")


def domain_mistakes(
    entries: list[tuple[str, Domain]], providers: list[tuple[str, Provider]], names: set[object]
) -> Iterator[Mistake]:
    """The mistakes of the domains; ``names`` are those of all providers, of the ones that cannot be read, too."""
    yield from repeated("name", [(path, known(entry, "name")) for path, entry in entries])
    named = {known(entry, "name"): entry for _, entry in providers}
    yield from each(
        entries,
        partial(_unknown_provider, names),
        partial(_never_encrypted, named),
        partial(_no_codec_left, named),
        _codecs,
        _no_algorithms,
        _strange_exemptions,
        _domain_files,
    )


def _unknown_provider(names: set[object], path: str, entry: Domain) -> Iterator[Mistake]:
    if entry.provider not in names:
        allowed = ", ".join(sorted(map(str, names))) or "none is configured"
        yield Mistake(f"{path}.provider", str(Unacceptable(entry.provider, allowed)))


def _never_encrypted(providers: dict[str, Provider], path: str, entry: Domain) -> Iterator[Mistake]:
    """A provider that is reached in clear alone, for a domain that puts no call through in clear."""
    provider = providers.get(entry.provider)
    if entry.security is not Security.REQUIRED or provider is None:
        return
    transport = fields.uri_transport(provider.uri)
    if transport in ("udp", "tcp"):
        yield Mistake(
            f"{path}.security",
            f'found "required", but provider {provider.name} is reached over {transport} alone '
            f"({shown(provider.uri)}), so nothing could be put through, allowed: preferred, off, "
            "or a provider whose uri has transport=tls",
        )


def _no_algorithms(path: str, entry: Domain) -> Iterator[Mistake]:
    if not entry.challenge_algorithms or len(set(entry.challenge_algorithms)) < len(entry.challenge_algorithms):
        yield Mistake(f"{path}.challenge_algorithms", f"found none or one twice, allowed: {', '.join(DIGESTS)}")


def _strange_exemptions(path: str, entry: Domain) -> Iterator[Mistake]:
    strangers = set(entry.challenge_exempt) - set(entry.restricted_access_domains)
    if entry.restricted_access_domains and strangers:
        allowed = f"names of {path}.restricted_access_domains"
        yield Mistake(f"{path}.challenge_exempt", str(Unacceptable(min(strangers), allowed)))


def _domain_files(path: str, entry: Domain) -> Iterator[Mistake]:
    yield from file_mistakes(path, entry, "credentials")
    yield from private_file_mistakes(path, entry, "credentials")
    if known(entry, "local_calls") and known(entry, "credentials") is None:
        yield Mistake(f"{path}.local_calls", "found true, without credentials: callers prove their passwords here then")
