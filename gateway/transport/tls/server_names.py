"""The certificate of a listener that a client asks for by a name (SNI, RFC 6066 section 3).

    hello names b.example.com -> the first certificate that is for it        names nobody, or nobody here -> the first

Most phones ask for no name, so that the first certificate is the one that they are to believe. A name is a choice and
no secret: each that asks gets the certificate. Here: the choice. Not here: contexts and their files (contexts.py),
whether a server is the one that was meant (identity.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from OpenSSL import SSL

from gateway.config.model import Listener
from gateway.transport.flow import PeerIdentity
from gateway.transport.tls.certificates import CertificateReport, examine
from gateway.transport.tls.identity import mismatch

IdentityFiles: TypeAlias = tuple[Path, Path]
"""A certificate with its chain, and its key."""

LONGEST_NAME = 255
"""Bytes of a name that is looked for (RFC 1035 section 2.3.4)."""


def identity_files(listener: Listener) -> tuple[IdentityFiles, ...]:
    """The files of each certificate of a TLS listener, the first one first."""
    assert listener.certificate is not None
    assert listener.private_key is not None
    more = ((one.certificate, one.private_key) for one in listener.certificates)
    return (listener.certificate, listener.private_key), *more


def examined(listener: Listener, now: datetime) -> tuple[CertificateReport, ...]:
    """The reports on all certificates of a TLS listener, the first one first, which is to be for the listener's own
    name unless another one is for it; now has a time zone. Raises CertificateError."""
    first, *others = identity_files(listener)
    reports = [examine(*files, None, now) for files in others]
    host = listener.advertised_host
    if host is not None and any(mismatch(report.identity, host) is None for report in reports):
        host = None
    return examine(*first, host, now), *reports


def choose_by_name(contexts: Sequence[SSL.Context], identities: Sequence[PeerIdentity]) -> None:
    """Let the first context lead each connection to the one whose certificate is for the name in its hello."""
    if len(contexts) < 2:
        return

    def choose(connection: SSL.Connection) -> None:
        asked = connection.get_servername() or b""
        name = asked[:LONGEST_NAME].decode("ascii", "replace").lower().rstrip(".")
        for context, identity in zip(contexts, identities, strict=True):
            if name and mismatch(identity, name, allow_wildcards=True) is None:
                connection.set_context(context)
                return

    contexts[0].set_tlsext_servername_callback(choose)
