"""Facts of an office for tests of the posture: one that is well, and ways to make each check fail."""

from __future__ import annotations

from typing import Any, Final

import attrs

from gateway.security.posture.posture_facts import (
    Defence,
    KnownDomain,
    KnownInterface,
    KnownListener,
    KnownMedia,
    KnownProvider,
    PostureFacts,
    Process,
    SeenTls,
    ServedCertificate,
    Surroundings,
)
from gateway.state.devices.device_table import DeviceCount
from gateway.state.listing.call_groups import CallGroup

NOW: Final = 1_796_000_000.0
DAY: Final = 86_400.0
DOMAIN: Final = KnownDomain(
    "example.com",
    "main",
    "required",
    challenge=("INVITE",),
    algorithms=("SHA-256", "MD5"),
    registered_callers_only=True,
    access=("sip.example.net",),
    budget=0.05,
    budget_floor=2,
    weak_passwords=(0, 0, 0, 30),
)
PROVIDER: Final = KnownProvider("main", True, True, True, suites=("AES_CM_128_HMAC_SHA1_80",), targets=2)
PHONES: Final = KnownListener("phones", "phones", "tls", "10.0.0.10")
FAR: Final = KnownListener("provider", "provider", "tls", "192.0.2.10", asks_for_certificate=True)
GOOD_TLS: Final = SeenTls("provider", "sip.example.net", "TLSv1.3", "TLS_AES_256_GCM_SHA384", 40)
ENCRYPTED: Final = CallGroup("example.com", "main", "ENCRYPTED", "", 90)


def calls(number: int, verdict: str, reason: str = "", domain: str = "example.com") -> CallGroup:
    """So many calls."""
    return CallGroup(domain, "main", verdict, reason, number)


GOOD: Final = PostureFacts(
    at=NOW,
    since=NOW - 30 * DAY,
    up_since=NOW - DAY,
    gateway="gw-berlin",
    version="0.1.0",
    domains=(DOMAIN,),
    providers=(PROVIDER,),
    listeners=(PHONES, FAR),
    interface=KnownInterface("127.0.0.1", has_tls=True, has_users=True),
    media=KnownMedia(),
    calls=(ENCRYPTED,),
    day=(ENCRYPTED,),
    clear_in_month=0,
    phones={"tls": 30},
    certificates=(ServedCertificate("provider", 200),),
    handshakes=(GOOD_TLS,),
    old_versions_asked=0,
    suites={("phones", "AES_CM_128_HMAC_SHA1_80"): 20, ("provider", "none"): 1},
    devices=(DeviceCount("Yealink", "SIP-T54W", "96.86.0.100", 30),),
    strangers=0,
    defence=Defence("defend", limits=2, limits_hit=0, alerts=1, alerts_lost=0),
    process=Process("0.1.0", 10, True, 0.5, (), 0, 100, 3.0, 2, 0),
    surroundings=Surroundings(("https",), False, (), (30, 30), 0, 0, True),
)
"""An office in which every check passes."""


def but(**changes: Any) -> PostureFacts:
    """The good office, but for this."""
    return attrs.evolve(GOOD, **changes)


def domain(**changes: Any) -> PostureFacts:
    """The same with another domain."""
    return but(domains=(attrs.evolve(DOMAIN, **changes),))


def provider(**changes: Any) -> PostureFacts:
    """The same with another provider."""
    return but(providers=(attrs.evolve(PROVIDER, **changes),))


def process(**changes: Any) -> PostureFacts:
    """The same with another process."""
    return but(process=attrs.evolve(GOOD.process, **changes))


def defence(**changes: Any) -> PostureFacts:
    """The same with another defence."""
    return but(defence=attrs.evolve(GOOD.defence, **changes))


def around(**changes: Any) -> PostureFacts:
    """The same elsewhere."""
    return but(surroundings=attrs.evolve(GOOD.surroundings, **changes))
