"""The border of a domain: the names by which each side knows its people, and the rules for all that passes between.

    phone:    Refer-To: <sip:300@gw.office.test>     the gateway, as phones know it        -> <sip:300@example.com>
    provider: Contact: <sip:bob@198.51.100.99:5099>  a host of the provider's own choice   -> <sip:bob@example.com>

A host that is the gateway's own (listener addresses, ``advertised_host``), the provider's or any number means somebody
of the domain, and only its own side can reach it: to the other side it is the domain. Numbers are written as the
domain's plan has them on that side (config/tables/numbers). So a phone that follows a
transfer or a redirection (RFC 3515, RFC 3261 section 8.1.3.4) asks the gateway, which asks the provider; no address
that the provider picks leads it past both. Names of other domains are the writer's choice and stay, except toward the
phones of a domain that requires encryption: they would call there in clear.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import ClassVar, Final

import attrs

from gateway.base.telephone_numbers import TelephoneNumber
from gateway.config.model import Domain, Security, Side
from gateway.config.tables.numbers.number_table import NumberField
from gateway.registrar.binding import Binding
from gateway.routing.router import Route
from gateway.sdp.codecs import CodecList
from gateway.security.limits.call_limits import CallLimits, Permit
from gateway.security.limits.rules import LimitedCaller
from gateway.sip.address import NameAddress
from gateway.sip.uri import Uri
from gateway.transport.flow import Flow

NOBODY: Final = ".invalid"
"""The end of a host that is none (RFC 2606 section 2): callers without a name have it (RFC 3323 section 4.1.1.3)."""

_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+))*")
"""An IPv4 address in any form that a resolver takes."""

_OF_PERSONS: Final = frozenset({"user", "method", "cause", "target", "isub", "ext", "postd", "rn", "npdi", "cic"})
"""URI parameters that say something about a person or a call. Others tell the way to a host."""


@attrs.frozen
class Border:
    """The border that one request crosses, and all that follows from it."""

    route: Route
    own_hosts: Set[str] = frozenset()
    """Names and addresses of the gateway, in lower case."""

    is_between_phones: ClassVar[bool] = False
    """Whether there are phones of one domain on both sides, and no provider."""

    @property
    def domain(self) -> Domain:
        """The configuration of the domain."""
        return self.route.domain

    def codecs(self, toward: Side) -> CodecList | None:
        """The codecs that cross to that side; None where all do."""
        return codecs_of(self.route, toward)

    def phone_on(self, side: Side) -> Binding | None:
        """The binding of the phone on that side, where it has registered over its flow."""
        return None if side is Side.PROVIDER else self.route.binding or self.route.caller

    def limited_caller(self, flow: Flow) -> LimitedCaller:
        """The phone as limits of calls count it: by its registration, else by the source of its flow. A provider may
        let "Alice" register with the password of "alice", so that all spellings of a user count as one."""
        phone, domain = self.phone_on(Side.PHONES), self.domain.name
        name = flow.source if phone is None else phone.aor.casefold()
        return LimitedCaller(name, domain, phone is not None, str(flow.remote))

    def permit(self, limits: CallLimits, flow: Flow, target: Uri) -> Permit | None:
        """The permit for a call that the phone on a flow makes, or has its provider make; None where no limit is about
        its number. Raises OverLimit.

        The number is judged as it is sent, behind all rules: the provider dials that one, and charges for it."""
        if self.route.numbers is not None:
            target = self.numbered(target, Side.PROVIDER, NumberField.REQUEST_URI)
        domain, dialled = self.route.domain, target.user or ""
        if target.parameters and target.parameter("rn"):  # RFC 4694 has it in the user part; some write it here
            dialled = f"{dialled};rn={target.parameter('rn')}"
        number = domain.number(dialled)
        return limits.check(self.limited_caller(flow), number) if limits.may_reach(domain.name, number) else None

    def numbered(self, uri: Uri, toward: Side, field: NumberField) -> Uri:
        """A person's URI with the number that it has in a field on that side. Between phones none changes."""
        numbers = self.route.numbers
        return uri if numbers is None or self.route.is_local else numbers.uri(uri, field, toward)

    def numbered_address(self, address: NameAddress, toward: Side, field: NumberField) -> NameAddress:
        """The same of an address."""
        if self.route.numbers is None:
            return address
        uri = self.numbered(address.uri, toward, field)
        return address if uri is address.uri else attrs.evolve(address, uri=uri)

    def named(self, uri: Uri, toward: Side) -> Uri:
        """A person's URI as that side is to read it."""
        if not uri.host:  # no URI of SIP's
            return uri
        if uri.password is not None:
            uri = attrs.evolve(uri, password=None)
        host = uri.host.lower().rstrip(".")
        is_at_home = host == self.domain.name.lower()
        if is_at_home and toward is Side.PROVIDER:
            return uri
        if not is_at_home and not self._is_inside(host) and not self._leads_past(host, toward):
            return uri
        kept = tuple(pair for pair in uri.parameters if pair[0].lower() in _OF_PERSONS)
        return attrs.evolve(uri, host=self.domain.name, port=None, parameters=kept)

    def addressed(self, address: NameAddress, toward: Side) -> NameAddress:
        """The same of an address with a display name; without the fields of a request to it, which nobody but a
        referrer may choose (RFC 3261 section 19.1.1, table 1)."""
        uri = self.named(bare(address.uri), toward)
        return address if uri is address.uri else attrs.evolve(address, uri=uri)

    def _is_inside(self, host: str) -> bool:
        """Whether one side alone can tell where this is."""
        is_number = ":" in host or _NUMERIC.fullmatch(host) is not None
        return is_number or host in self.own_hosts or host in self._providers_hosts

    def _leads_past(self, host: str, toward: Side) -> bool:
        is_required = self.domain.security is Security.REQUIRED
        return toward is Side.PHONES and is_required and not host.endswith(NOBODY)

    @property
    def _providers_hosts(self) -> tuple[str, ...]:
        uris = map(Uri.parse, self.route.provider.uris)
        return (*self.domain.restricted_access_domains, *(uri.host.lower() for uri in uris))


class PhonesBorder(Border):
    """The border that a leg of a call between phones is at. The route of the caller's leg has no ``binding``, that of a
    callee's has both phones: so each leg is as the phone's leg of an outbound call and of an inbound one."""

    is_between_phones: ClassVar[bool] = True

    def permit(self, limits: CallLimits, flow: Flow, target: Uri) -> Permit | None:
        """See ``Border.permit``: the caller's leg asks it."""
        domain, number = self.domain, uncharged(self.domain.number(target.user or ""))
        return limits.check(self.limited_caller(flow), number) if limits.may_reach(domain.name, number) else None


def uncharged(number: TelephoneNumber) -> TelephoneNumber:
    """A number that a phone here is called by: of no class of destinations, since nobody is paid for that call. Limits
    of such classes are not about it; those of all calls are, or of numbers that begin so: they bound the calls of a
    phone, and a stolen one troubles the house as it would the provider."""
    return attrs.evolve(number, classes=frozenset())


def codecs_of(route: Route, toward: Side) -> CodecList | None:
    """The codecs that cross to a side on a route, in the order that this side is to see; None where all do.

    The provider's list and the domain's hold both ways, so that neither side answers a codec that the other never gets.
    An emergency call completes with whatever codecs there are.
    """
    provider, domain = () if route.is_local else route.provider.codecs, route.domain.codecs
    if not provider and not domain:
        return None
    lists = (provider, domain) if toward is Side.PROVIDER else (domain, provider)
    names, also = lists if lists[0] else (lists[1], ())
    return CodecList(names, also, is_lenient=route.is_emergency)


def border_at(route: Route, own_hosts: Set[str]) -> Border:
    """The border of a route, toward the provider, from there, or from one phone to others."""
    return PhonesBorder(route, own_hosts) if route.is_local else Border(route, own_hosts)


def bare(uri: Uri) -> Uri:
    """The URI without the fields that a request to it would have, and without a password: nobody on the other side is
    to have it (RFC 3261 section 19.1.1)."""
    is_bare = not uri.headers and uri.password is None
    return uri if is_bare else attrs.evolve(uri, headers="", password=None)
