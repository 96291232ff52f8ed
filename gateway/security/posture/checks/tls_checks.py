"""TLS: certificates that are served, versions and ciphers that peers agree on, and how much a peer has to prove."""

from __future__ import annotations

from typing import Final

from gateway.security.posture.findings import (
    Check,
    Effort,
    Evidence,
    Gravity,
    Judgement,
    failed,
    not_applicable,
    passed,
    unknown,
    warned,
)
from gateway.security.posture.posture_facts import PostureFacts, SeenTls

SOON_DAYS: Final = 14
LONG_DAYS: Final = 30.0
DAY: Final = 86_400.0


def _certificates(facts: PostureFacts) -> Judgement:
    if facts.certificates is None:
        return unknown("the certificates are not known")
    if not facts.certificates:
        return not_applicable("no listener serves TLS")
    remedy = "Put a renewed certificate in the place of the file, or let [acme] renew it: docs/certificates.md."
    told = [
        Evidence(f"{one.listener}: {'; '.join(one.warnings) or f'{one.days_left} days left'}", one.days_left)
        for one in facts.certificates
    ]
    doubtful = [line for line, one in zip(told, facts.certificates, strict=True) if one.warnings]
    if any(one.days_left < SOON_DAYS or one.has_short_key for one in facts.certificates):
        return failed(remedy, doubtful or told)
    return warned(remedy, doubtful) if doubtful else passed(*told)


def is_strong(one: SeenTls) -> bool:
    """Whether a cipher has forward secrecy and authenticates what it encrypts (AEAD)."""
    return one.version == "TLSv1.3" or (
        one.cipher.startswith(("ECDHE", "DHE")) and ("GCM" in one.cipher or "CHACHA20" in one.cipher)
    )


def _ciphers(facts: PostureFacts) -> Judgement:
    if not facts.handshakes:
        return unknown("no handshake has been seen since the start")
    weak = [one for one in facts.handshakes if not is_strong(one)]
    told = [
        Evidence(f"{one.peer or one.side}: {one.version} {one.cipher}, {one.handshakes:,} times", one.handshakes)
        for one in sorted(weak or facts.handshakes, key=lambda one: -one.handshakes)
    ]
    if not weak:
        return passed(*told)
    remedy = (
        'ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20" in the [[listener]] or [[provider]], once the peer has one of these.'
    )
    lost = sum(one.handshakes for one in weak) / sum(one.handshakes for one in facts.handshakes)
    old = [one for one in weak if not one.cipher.startswith(("ECDHE", "DHE"))]
    return (failed if old else warned)(remedy, told, lost)


def _asked(facts: PostureFacts) -> Judgement:
    if not facts.listeners:
        return unknown("no listener is known")
    served = [one for one in facts.listeners if one.side == "provider" and one.transport == "tls"]
    if not served:
        return not_applicable("no listener on the provider's side speaks TLS")
    open_ones = [one.name for one in served if not one.asks_for_certificate]
    if not open_ones:
        return passed(*(f"{one.name} asks for a certificate" for one in served))
    remedy = "client_trust of the [[listener]]: the file of the authority that the provider's certificate comes from."
    return warned(remedy, [f"{name} asks callers for no certificate" for name in open_ones])


def _loosened(facts: PostureFacts) -> Judgement:
    if not facts.providers:
        return unknown("no provider is known")
    loose = [
        f"{one.name}: {key} = true"
        for one in facts.providers
        for key in ("allow_wildcards", "common_name")
        if getattr(one, key)
    ]
    if not loose:
        return passed(f"{len(facts.providers)} providers are judged by their exact names")
    remedy = (
        "Ask the provider for a certificate with its name among the subject alternative names, and take the key away."
    )
    return failed(remedy, loose)


def _mutual(facts: PostureFacts) -> Judgement:
    if not facts.providers:
        return unknown("no provider is known")
    without = [one.name for one in facts.providers if not one.shows_certificate]
    if not without:
        return passed(*(f"{one.name} is shown a certificate" for one in facts.providers))
    remedy = "certificate and private_key of the [[provider]], where the provider takes mutual TLS."
    return warned(remedy, [f"{name} is shown no certificate of ours" for name in without])


def _tickets(facts: PostureFacts) -> Judgement:
    if facts.up_since is None or facts.certificates is None:
        return unknown("it is not known how long the process runs")
    if not facts.certificates:
        return not_applicable("no listener serves TLS")
    days = (facts.at - facts.up_since) / DAY
    told = [Evidence(f"keys of session tickets are {days:.0f} days old at most: those of this process", int(days))]
    if days <= LONG_DAYS:
        return passed(*told)
    return warned("gatewayctl reload makes new contexts, and new keys of tickets with them.", told)


def _old_versions(facts: PostureFacts) -> Judgement:
    asked = facts.old_versions_asked
    if asked is None or not facts.handshakes:
        return unknown("no handshake has been seen since the start")
    told = [Evidence(f"{asked:,} handshakes asked for no version of TLS that is allowed", asked)]
    remedy = (
        "Find the phones by the log's lines of failed handshakes, and update their firmware: TLS 1.0 and 1.1 stay off."
    )
    return warned(remedy, told) if asked else passed(*told)


CHECKS: Final = (
    Check(
        "TLS-1",
        "Certificates are good",
        Gravity.HIGH,
        "With an expired or doubtful certificate peers stop trusting the gateway, or learn to trust anybody.",
        Effort.MINUTES,
        _certificates,
    ),
    Check(
        "TLS-2",
        "Peers agree on strong ciphers",
        Gravity.MEDIUM,
        "A cipher without forward secrecy lets a stolen key open all recorded calls of before.",
        Effort.HOURS,
        _ciphers,
    ),
    Check(
        "TLS-3",
        "Callers over TLS prove their name",
        Gravity.MEDIUM,
        "A peer that proves itself by its address alone can be replaced by whoever takes that address.",
        Effort.HOURS,
        _asked,
    ),
    Check(
        "TLS-4",
        "Names in certificates are judged strictly",
        Gravity.HIGH,
        "A wildcard or common name vouches for more hosts than the provider's own.",
        Effort.HOURS,
        _loosened,
    ),
    Check(
        "TLS-5",
        "The gateway shows a certificate (mutual TLS)",
        Gravity.LOW,
        "Without one the provider knows the gateway by an address or password alone.",
        Effort.HOURS,
        _mutual,
    ),
    Check(
        "TLS-6",
        "Keys of session tickets are young",
        Gravity.LOW,
        "With a stolen key of tickets all sessions of TLS 1.2 that were resumed by it can be read.",
        Effort.MINUTES,
        _tickets,
    ),
    Check(
        "TLS-7",
        "Nobody asks for TLS 1.0 or 1.1",
        Gravity.LOW,
        "A device that knows old versions alone is not served, and is old in other ways, too.",
        Effort.HOURS,
        _old_versions,
    ),
)
