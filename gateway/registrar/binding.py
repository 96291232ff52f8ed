"""A binding: one contact of one address of record, and the seam that stores of them share (RFC 3261 section 10).

Here: the value and the Protocol. Not here: the rules for a REGISTER, the stores.
"""

from collections.abc import Iterator
from typing import Protocol, Self

import attrs

from gateway.transport.flow import FlowKey


@attrs.frozen
class Binding:
    """Where one phone of ``aor`` can be reached, and its registration at the provider."""

    aor: str
    """Canonical: "sip:alice@example.com", without port or parameters."""
    contact: str
    """The phone's Contact URI, as the phone sent it."""
    flow: FlowKey
    """Where requests to it go: where its REGISTER was answered, NAT or not."""
    expires_at: float
    """Seconds since the epoch: the end of the grant to the phone."""
    call_id: str
    """The phone's own Call-ID of the registration, with ``cseq`` the order of its updates (section 10.3)."""
    cseq: int
    q: float
    """0.0 to 1.0, higher is tried first."""
    instance: str | None
    """The phone's +sip.instance (RFC 5626 section 4.1)."""
    user_agent: str
    token: str
    """The user part of the Contact that the provider was given for this binding."""
    provider_expires_at: float
    """Seconds since the epoch: the end of the provider's own grant."""
    provider_interval: int = 0
    """Seconds that the provider granted when it was last asked."""
    service_route: str = ""
    """The Service-Route of the provider's answer (RFC 3608): Route values for the phone's requests, comma between."""
    source: FlowKey | None = None
    """Where its REGISTER came from, if not over ``flow``: some phones send from a port on which they do not listen."""

    is_behind_nat: bool = attrs.field(default=False, metadata={"is_kept": False})
    """Whether its REGISTER named another place as its own than it came from. Not kept over a restart: the Contact tells
    most of it again."""

    @property
    def domain(self) -> str:
        """The domain of the address of record, in lower case."""
        return self.aor.rpartition("@")[2]

    @property
    def user(self) -> str:
        """The user part of the address of record."""
        return self.aor.removeprefix("sip:").rpartition("@")[0]

    def refreshed(self, expires_at: float, cseq: int, q: float) -> Self:
        """The same after a refresh, which attrs.evolve would make by asking for each field by its name."""
        return type(self)(
            self.aor,
            self.contact,
            self.flow,
            expires_at,
            self.call_id,
            cseq,
            q,
            self.instance,
            self.user_agent,
            self.token,
            self.provider_expires_at,
            self.provider_interval,
            self.service_route,
            self.source,
            self.is_behind_nat,
        )

    @property
    def came_over(self) -> FlowKey:
        """Where its REGISTER came from: a request from there is this phone's, and from nowhere else."""
        return self.source or self.flow


class StoreFull(Exception):
    """No more bindings fit; those that are held can still be refreshed and removed."""


class LocationStore(Protocol):
    """Bindings by address of record and by token. Synchronous: a durable store writes behind."""

    def save(self, binding: Binding) -> None:
        """Add the binding, or replace the one with its address of record and contact, or with its token.

        Raises StoreFull instead of adding one too many.
        """

    def remove(self, aor: str, contact: str) -> None:
        """Forget that binding; nothing happens when there is none."""

    def remove_flow(self, flow: FlowKey) -> list[Binding]:
        """That connection has ended: its bindings, which stay and are unreachable until they are saved again."""

    def is_reachable(self, binding: Binding) -> bool:
        """Whether the connection that the binding came over is up, as far as is known; of UDP nothing is."""

    def set_reachable(self, binding: Binding, *, is_reachable: bool) -> None:
        """The phone of a binding has fallen silent, or answers again; nothing happens when it is held no more."""

    @property
    def unreachable(self) -> int:
        """How many bindings are unreachable."""

    def find(self, aor: str) -> list[Binding]:
        """The live bindings of ``aor``: reachable ones first, then by q, and of equal ones the latest saved first."""

    def over(self, flow: FlowKey) -> list[Binding]:
        """The live bindings that came over this flow, the latest saved last."""

    def find_token(self, token: str) -> Binding | None:
        """The live binding that the provider knows by ``token``."""

    def all(self) -> Iterator[Binding]:
        """Every binding, in no particular order; not to be kept while the store changes."""

    def expire(self, now: float) -> int:
        """Forget the bindings that have expired by ``now`` (seconds since the epoch); their number."""

    def __len__(self) -> int:
        """How many bindings are held."""
