"""Questions and orders of the administration interface to the running gateway.

Here: the questions (`Inspection`), the changes (`Control`) and the right to them (`Role`, `Permission`). Not here: HTTP
(`api`), pages (`pages`), and the answers (`overview`). Answers are JSON values that hold no secret; they are copies,
which nobody changes afterwards.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Protocol, TypeAlias, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from gateway.base.json_codec import Json
from gateway.state.audit import Author
from gateway.state.devices.device_table import DeviceFilter
from gateway.state.listing.call_filter import CallFilter, CallsCount, CallsPage
from gateway.state.listing.call_statistics import Statistics

Row: TypeAlias = dict[str, Json]


class Role(IntEnum):
    """The right that a route needs; each has those of the ones before it."""

    NOBODY = 0
    """Answers to everybody, without a log-in."""
    VIEWER = 1
    """Reads."""
    OPERATOR = 2
    """Switches domains, ends calls, forgets peers."""
    ADMIN = 3
    """Configures: reload, users, tokens."""

    @property
    def title(self) -> str:
        """The role's name for people and documents."""
        return self.name.lower()


class CallSearch(Protocol):
    """The list of all calls that are up or kept."""

    def find(self, wanted: CallFilter, limit: int, after: str | None = None) -> Deferred[CallsPage]:
        """A page of the calls that are wanted, the latest first; ``after`` is the cursor of the page before.

        Raises BadCursor; fails with TooManyQuestions.
        """

    def count(self, wanted: CallFilter) -> Deferred[CallsCount]:
        """How many calls are wanted, up to 10,000. Fails with TooManyQuestions."""

    def statistics(self) -> Deferred[Statistics]:
        """Calls by verdict and time, shares that are encrypted, reasons, set-up times. Fails with TooManyQuestions."""


@attrs.frozen
class Population:
    """Phones that are registered, counted. Domains are in lower case."""

    phones: Mapping[str, int] = attrs.field(factory=dict)
    """By domain."""
    transports: Mapping[str, int] = attrs.field(factory=dict)
    """By the transport that they registered over."""


class Inspection(Protocol):
    """A look at the running gateway; no method changes anything, blocks or fails."""

    @property
    def lists(self) -> CallSearch:
        """The list of all calls."""

    def calls(self) -> Iterable[Row]:
        """Calls that are up and those kept after their end, the latest first: a summary of each, made when it is asked
        for."""

    def call(self, call_id: str) -> Deferred[Row | None]:
        """All that is known of one call: its ladder, its chain of reasons; None when there is none of that id."""

    def call_details(self) -> Iterable[Row]:
        """The call detail records of calls that ended, the latest last."""

    def phones(self) -> Iterable[Row]:
        """The bindings of phones that have not expired, each made when it is asked for."""

    def registrations(self, address_of_record: str | None, limit: int, after: str | None = None) -> Deferred[Row]:
        """A page of the bindings of phones, by address of record: ``registrations``, and the cursor ``next``.

        Raises BadCursor.
        """

    def devices(self, wanted: DeviceFilter, limit: int, after: str | None = None) -> Deferred[Row]:
        """A page of the inventory of devices: ``phones``, and the cursor ``next``. Raises BadCursor."""

    def audit_entries(self, about: str | None, limit: int) -> list[Row]:
        """The latest entries of the audit, the last one first; ``about``: a domain or peer."""

    def domains(self) -> list[Row]:
        """The configured domains and their policy."""

    def domain(self, name: str) -> Row | None:
        """One domain, with the audit of its changes; None when there is none of that name."""

    def providers(self) -> list[Row]:
        """The configured providers, and the features that each was last seen to have."""

    def peers(self) -> list[Row]:
        """The providers, and the features that each peer was last seen to have."""

    def certificates(self) -> list[Row]:
        """The certificates that the TLS listeners serve, with warnings for the operator."""

    def counts(self) -> Row:
        """How much there is of everything at this moment; most of it goes back to nothing without calls."""


class NotChanged(Exception):
    """A change was refused, and everything is as it was; `lines` say why."""

    def __init__(self, *lines: str, status: int = 400) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.status = status


class Control(Protocol):
    """Changes to the running gateway; each but `refused` raises NotChanged. `who` is the author in the audit."""

    def switch_domain(self, name: str, security: str, who: str, because: str = "") -> Row:
        """Set the security of a domain ("configured": as in the file), for a reason; the domain as it is now."""

    def hang_up(self, call_id: str, who: str) -> None:
        """End a call that is up, on both sides."""

    def reload(self, who: str) -> Row:
        """Read the configuration, certificates and passwords again; gives the changes."""

    def refused(self, change: str, who: str, domain: str | None = None) -> None:
        """Note that a change ("switch", "reload", "forget", "learn") was refused for its author."""

    def forget_peer(self, name: str, who: str) -> Row:
        """Forget the features that a provider or phone was seen to have."""

    def learn_peer(self, name: str, features: list[str], who: str) -> Row:
        """Expect these features ("tls", "srtp") of a provider or phone from now on."""


@attrs.frozen
class Caller:
    """The author of a request."""

    name: str
    """For the audit: a user's name, `token NAME`, or a user of this machine."""
    role: Role
    source: str
    """The address that it came from, or "socket"."""
    user: str = ""
    """The name of a user with a session; empty for all others."""
    is_limited: bool = False
    """Whether it may do nothing but set up a second factor."""

    @property
    def author(self) -> Author:
        """The name and the place, for the audit."""
        return Author(self.name, self.source)

    @property
    def may_operate(self) -> bool:
        """Whether pages show it an operator's buttons. Before the first user, the kernel is asked for the right where
        a button is used, and not for each look."""
        return self.role >= Role.OPERATOR or not self.user


class Permission(Protocol):
    """Knows authors of requests."""

    def admit(self, request: IRequest, role: Role, path: str) -> Caller:
        """The author of a request to the route of that path, which needs that role. Raises Rejected."""


def caller_of(request: IRequest) -> Caller:
    """The author of a request that was admitted."""
    caller: Caller = cast(Any, request).caller
    return caller
