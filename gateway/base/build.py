"""The version of this gateway, and of the parts under it that its security rests on.

For commands, the log's first line, pages and the metric `gateway_build_info`. A version is a package's own word: it is
read from the metadata that pip keeps, and nothing of it is told to phones or providers.
"""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import attrs
from OpenSSL import SSL

PACKAGE = "sip-security-gateway"
"""The name of the distribution, as pip knows it."""

UNKNOWN = "unknown"


@attrs.frozen
class Build:
    """Versions, as people write them."""

    version: str
    """Of the gateway."""
    python: str
    openssl: str
    """Of the library that TLS is done with, which is not the system's."""
    twisted: str

    def __str__(self) -> str:
        return f"{PACKAGE} {self.version} (Python {self.python}, {self.openssl}, Twisted {self.twisted})"


@cache
def build() -> Build:
    """The versions of all that runs here."""
    openssl = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii", "replace")
    words = openssl.split()
    return Build(_version(PACKAGE), platform.python_version(), " ".join(words[:2]), _version("twisted"))


def _version(package: str) -> str:
    """Of an installed package; a checkout that was never installed has none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return UNKNOWN
