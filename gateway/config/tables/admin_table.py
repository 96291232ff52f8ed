"""[admin] of the configuration: the administration interface.

Here: its keys, their types and ranges. Not here: the other tables (`model`), its files (`named_files`).
"""

from pathlib import Path
from typing import Annotated, Final

import attrs

from gateway.config import fields
from gateway.config.fields import Network
from gateway.config.structuring import Unacceptable, number, one_of

WIDEST_PROXIES: Final = {4: 8, 6: 16}
"""The shortest prefix of a network of proxies, by the version of IP."""


def proxy(value: object) -> Network:
    """The address of a proxy, or a network of them. Raises Unacceptable: in a wide one everybody is a proxy."""
    found = fields.network(value)
    if found.prefixlen < WIDEST_PROXIES[found.version]:
        raise Unacceptable(value, "the address of a proxy, or a network of /8 (of IPv6: /16) or smaller")
    return found


@attrs.frozen
class Admin:
    """[admin]: where the administration interface listens, and the proof that it wants."""

    address: Annotated[str, fields.address] = "127.0.0.1"
    port: Annotated[int, number(0, 65535)] = 8080
    operators: tuple[Annotated[str, fields.user], ...] = ()
    """Users of this machine, by name or number, who may change the gateway; root and its own user may anyway."""
    certificate: Path | None = None
    private_key: Path | None = None
    """With them it speaks HTTPS alone."""
    names: tuple[Annotated[str, fields.domain], ...] = ()
    """Names that it may be asked under, beside localhost, addresses and the certificate's names."""
    socket: Path | None = None
    """The UNIX socket for gatewayctl; None: `admin.sock` in the state directory."""
    users: Annotated[str, fields.user_source] = "local"
    """Where users come from."""
    second_factor: Annotated[str, one_of("optional", "admins", "all")] = "optional"
    """The users that may do nothing without a second factor."""
    session_hours: Annotated[int, number(1, 168)] = 12
    """A log-in lasts so long at most."""
    idle_minutes: Annotated[int, number(1, 1440)] = 30
    """It ends earlier when nothing was asked for so long."""
    token_days: Annotated[int, number(1, 3650)] = 90
    """The longest that a token may count."""
    metrics_from: tuple[Annotated[Network, fields.network], ...] = ()
    """Addresses that may ask for /metrics without a log-in."""
    trusted_proxies: tuple[Annotated[Network, proxy], ...] = ()
    """Proxies in front of it, which say for whom they ask."""

    def socket_in(self, state_directory: Path) -> Path:
        """The path of the UNIX socket."""
        return self.socket or state_directory / "admin.sock"
