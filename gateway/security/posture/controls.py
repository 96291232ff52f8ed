"""Controls of frameworks that a check gives evidence for.

A control is `verified` where its number and meaning were looked up, and `source` says where. All others are there since
somebody said so, and are marked in every report: nobody should quote them. Nothing here says that a control is met: a
report is evidence for an auditor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

HIPAA: Final = "HIPAA 45 CFR 164.312"
PCI: Final = "PCI DSS 4.0.1"
ISO: Final = "ISO/IEC 27002:2022"
NIST: Final = "NIST SP 800-58"
BSI: Final = "BSI IT-Grundschutz"

_CFR: Final = "govinfo.gov, 45 CFR 164.312"
_PCI_TEXT: Final = "requirement as quoted by withpci.com and cloudaware.com for 4.0.1"
_ISO_NAME: Final = "name of the control as isms.online and dqsglobal.com list it"
_NIST_WORDS: Final = "recommendations as summed up by washingtontechnology.com and searchunifiedcommunications"


@attrs.frozen
class FrameworkControl:
    """A control of a framework."""

    framework: str
    control: str
    title: str
    checks: tuple[str, ...]
    """Checks, or families of them (ENC)."""
    source: str = ""
    """Where it was looked up; empty: nowhere."""

    @property
    def is_verified(self) -> bool:
        """Whether it was looked up."""
        return bool(self.source)

    def is_answered_by(self, check: str) -> bool:
        """Whether a check gives evidence for it."""
        return check in self.checks or check.partition("-")[0] in self.checks


def _of(framework: str, source: str, *rows: tuple[str, str, str]) -> Iterable[FrameworkControl]:
    return (FrameworkControl(framework, control, title, tuple(to.split()), source) for control, title, to in rows)


CONTROLS: Final = (
    *_of(
        HIPAA,
        _CFR,
        ("(a)(1)", "access control", "EXP AUTH ACL"),
        ("(b)", "audit controls", "OPS-3 OPS-4 OPS-8"),
        ("(d)", "person or entity authentication", "AUTH TLS-3 TLS-5 ACL-1"),
        ("(e)(1)", "transmission security", "ENC TLS SRTP"),
        ("(e)(2)(i)", "integrity controls", "ENC-1 ENC-2 TLS SRTP"),
        ("(e)(2)(ii)", "encryption (addressable)", "ENC TLS SRTP"),
    ),
    *_of(
        PCI,
        _PCI_TEXT,
        ("4.2.1", "strong cryptography over open, public networks", "ENC TLS SRTP"),
        ("4.2.1.1", "inventory of trusted keys and certificates", "TLS-1 TLS-3 TLS-5"),
        ("6.3.3", "protection from known vulnerabilities by patches", "DEV-1 DEV-2 OPS-1"),
        ("8.3.1", "access is authenticated", "AUTH EXP-2"),
        ("8.3.2", "authentication factors unreadable in transmission", "ENC-4 EXP-2 EXP-4"),
        ("8.3.4", "invalid authentication attempts are limited", "ACL-2"),
        ("8.3.6", "complexity of passwords", "AUTH-3"),
        ("10.2.1", "audit logs are enabled", "OPS-3 OPS-4"),
        ("10.6.2", "systems have the correct and consistent time", "OPS-2"),
        ("12.3.3", "cipher suites and protocols in use are reviewed yearly", "TLS-2 TLS-7 SRTP-1"),
    ),
    *_of(PCI, "", ("1.4.1", "controls between trusted and untrusted networks", "EXP NET")),
    *_of(
        ISO,
        _ISO_NAME,
        ("5.14", "information transfer", "ENC SRTP"),
        ("8.5", "secure authentication", "AUTH TLS-3 TLS-5 EXP-2"),
        ("8.8", "management of technical vulnerabilities", "DEV OPS-1"),
        ("8.9", "configuration management", "ENC-3 EXP TLS-4"),
        ("8.15", "logging", "OPS-3 OPS-4"),
        ("8.16", "monitoring activities", "OPS-4 OPS-8 ACL-2 FRAUD"),
        ("8.20", "networks security", "EXP NET ACL"),
        ("8.21", "security of network services", "TLS SRTP NET-3"),
        ("8.22", "segregation of networks", "NET-1 NET-2"),
        ("8.24", "use of cryptography", "ENC TLS SRTP"),
    ),
    *_of(
        ISO,
        "",
        ("8.13", "information backup", "OPS-5"),
        ("8.14", "redundancy", "OPS-6 NET-3"),
        ("8.17", "clock synchronization", "OPS-2"),
    ),
    *_of(
        NIST,
        _NIST_WORDS,
        ("separate networks", "voice and data on logically different networks", "NET-1 NET-2"),
        ("voice gateway", "no access to the voice gateway from the data network", "EXP-1 ACL"),
        ("remote management", "strong authentication for remote management and auditing", "EXP-2 AUTH-3"),
        ("encryption at the gateway", "encrypt at the router or gateway where phones are too slow", "ENC TLS SRTP"),
        ("emergency service", "emergency calls are considered", "ENC-5"),
        ("softphones", "no softphones where security matters", "DEV-4"),
    ),
    *_of(BSI, "", ("NET.4.2", "VoIP", "ENC TLS SRTP EXP AUTH NET"), ("KomTK", "telecommunications", "ENC NET")),
)


def controls_of(check: str) -> list[FrameworkControl]:
    """The controls that a check gives evidence for."""
    return [one for one in CONTROLS if one.is_answered_by(check)]
