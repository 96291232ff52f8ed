"""Transfers: a field that names a dialog of one leg is made to name the same call's dialog of the other leg.

    phone:    REFER ... Refer-To: <sip:carol@example.com?Replaces=c2%3Bto-tag%3Dt%3Bfrom-tag%3Df>
    provider: REFER ... Refer-To: <sip:carol@example.com?Replaces=<the callee leg of call c2>>

A dialog has other identifiers on each side of the gateway (RFC 3261 section 12), so a Replaces (RFC 3891) that crossed
as it is would name nothing. The same holds for the Replaces field of an INVITE. A dialog that is none of ours is one
between others at the provider, which asks a phone to take its place: that one crosses as it is, to the phone and back
in the phone's INVITE, and its receiver in the end knows it or answers 481 (RFC 3891 section 3).

People in Refer-To, Referred-By, Reply-To, P-Preferred-Identity, a shared line's Call-Info and the Contact of a
redirection are named as each side knows them (``legs.border``), and numbers in them, and in P-Asserted-Identity, are
written as that side has them. A number that the provider is to call for a phone is one that the phone dials.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import attrs

from gateway.b2bua.legs.border import Border
from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.leg import Leg
from gateway.config.model import Security, Side
from gateway.config.tables.numbers.number_table import NumberField
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Response
from gateway.sip.uri import Uri

_UNESCAPED = "!*'()-._~"

_CALLED: Final = ("sip", "sips", "tel")
"""Schemes of URIs that a call can go to."""

_LISTS: Final = {Side.PROVIDER: ("P-Preferred-Identity", "Call-Info"), Side.PHONES: ("Reply-To",)}
"""Fields of several people that cross to each side."""

_ASSERTED: Final = "P-Asserted-Identity"

_NAMING: Final = frozenset(
    {"replaces", "refer-to", "referred-by", *(name.lower() for names in _LISTS.values() for name in names)}
)
"""Fields that name dialogs and people."""

_REFERRERS: Final = frozenset(
    {"replaces", "require", "referred-by", "b", "user-to-user", "subject", "priority", "reason", "privacy", "expires"}
)
"""Fields that a URI may ask for in the request to it."""


@attrs.frozen
class Replaces:
    """A Replaces value (RFC 3891 section 6.1): a dialog as the receiver of the INVITE sees it."""

    call_id: str
    to_tag: str
    from_tag: str
    rest: str = ""
    """Other parameters, such as early-only, each with its semicolon."""

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Raises MalformedMessage."""
        call_id, *parameters = (part.strip() for part in text.split(";"))
        tags = dict(part.partition("=")[::2] for part in parameters)
        if not call_id or not tags.get("to-tag") or not tags.get("from-tag"):
            raise MalformedMessage("not a Replaces")
        rest = "".join(f";{part}" for part in parameters if part.partition("=")[0] not in ("to-tag", "from-tag"))
        return cls(call_id, tags["to-tag"], tags["from-tag"], rest)

    def __str__(self) -> str:
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{self.rest}"

    def replaced(self, dialogs: Dialogs[Leg]) -> Leg | None:
        """The leg at the other end of this dialog's call; None when it is of no call here."""
        leg = dialogs.begun((self.call_id, self.to_tag, self.from_tag)) or dialogs.begun(
            (self.call_id, self.from_tag, self.to_tag)
        )
        return None if leg is None else leg.owner.other_leg(leg)

    def across(self, dialogs: Dialogs[Leg]) -> Replaces | None:
        """The same dialog as it is named on the other side; None when it is of no call here."""
        other = self.replaced(dialogs)
        if other is None or other.dialog is None:
            return None
        dialog = other.dialog
        return Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag, self.rest)


def translate(headers: Headers, border: Border, toward: Side, dialogs: Dialogs[Leg]) -> None:
    """Rewrite the fields of a request that crosses that name dialogs and people, in place.

    Raises MalformedMessage, and Refused: 481 for a phone's REFER to a dialog that is not of a call here (each dialog of
    a phone is one through here), 403 for a REFER to a place that is none of SIP's, where the domain requires
    encryption.
    """
    if border.route.numbers is not None:
        number_identities(headers, border, toward)
    if _NAMING.isdisjoint(headers.present):
        return
    replaces = headers.get("Replaces")
    if replaces is not None:
        named = Replaces.parse(replaces)
        headers.set("Replaces", str(named.across(dialogs) or replaces))
        replaced = named.replaced(dialogs) if toward is Side.PROVIDER else None
        if replaced is not None:  # the provider goes on with it, under the limits of the number that was dialled now
            replaced.services.limits.transferred(replaced.record.id)
    for name in _LISTS[toward]:
        if name in headers:
            people = (border.addressed(one, toward) for one in _addresses(headers, name))
            headers.set(name, ", ".join(str(_identified(one, name, border, toward)) for one in people))
    for name, field in (("Refer-To", NumberField.REQUEST_URI), ("Referred-By", NumberField.IDENTITY)):
        value = headers.get(name)
        if value is not None:
            address = _translated(NameAddress.parse(value), border, toward, dialogs)
            headers.set(name, str(border.numbered_address(address, toward, field)))


def number_identities(headers: Headers, border: Border, toward: Side) -> None:
    """Write the numbers of a P-Asserted-Identity as phones have them, in place. One that cannot be read stays: nobody
    but the phone reads it."""
    if toward is not Side.PHONES or border.route.numbers is None or _ASSERTED not in headers:
        return
    try:
        people = _addresses(headers, _ASSERTED)
    except MalformedMessage:
        return
    named = [border.numbered_address(one, toward, NumberField.IDENTITY) for one in people]
    if named != people:
        headers.set(_ASSERTED, ", ".join(map(str, named)))


def replaced_in(target: Uri, dialogs: Dialogs[Leg]) -> Leg | None:
    """The leg of the call that a request to a target would take the place of; None where it is of no call here. Raises
    MalformedMessage."""
    for name, _, value in (part.partition("=") for part in target.headers.removeprefix("?").split("&")):
        if unquote(name).strip().lower() == "replaces":
            return Replaces.parse(unquote(value)).replaced(dialogs)
    return None


def redirections(response: Response, border: Border, toward: Side) -> list[tuple[str, str]]:
    """The Contact fields of a 3xx (RFC 3261 section 8.1.3.4) for the other side; none for other statuses."""
    if not 300 <= response.status < 400:
        return []
    moved = [contact for contact in response.contacts if contact.uri.scheme in _CALLED]
    named = (border.addressed(contact, toward) for contact in moved)
    return [("Contact", str(border.numbered_address(one, toward, NumberField.REQUEST_URI))) for one in named]


def _identified(address: NameAddress, name: str, border: Border, toward: Side) -> NameAddress:
    """One of the fields of several people, with its number where it names the caller."""
    if name != "P-Preferred-Identity":
        return address
    return border.numbered_address(address, toward, NumberField.IDENTITY)


def _addresses(headers: Headers, name: str) -> list[NameAddress]:
    return [NameAddress.parse(value) for value in headers.values(name)]


def _translated(address: NameAddress, border: Border, toward: Side, dialogs: Dialogs[Leg]) -> NameAddress:
    uri = address.uri
    if not uri.is_sip:
        is_led_past = toward is Side.PHONES and border.domain.security is Security.REQUIRED
        if is_led_past and uri.scheme not in (*_CALLED, "urn", "cid"):
            raise Refused(403, "This domain's phones call through the gateway")
        return address
    uri = border.named(uri, toward)
    if uri.headers:
        uri = attrs.evolve(uri, headers=_translated_headers(uri.headers, border, toward, dialogs))
    return attrs.evolve(address, uri=uri)


def _translated_headers(text: str, border: Border, toward: Side, dialogs: Dialogs[Leg]) -> str:
    """The fields in a URI, for the request that it leads to: those that a referrer may choose (RFC 3261 section
    19.1.5). A Route would lead past the gateway, a body would bring SDP past the relay."""
    written = []
    for name, equals, value in (part.partition("=") for part in text.removeprefix("?").split("&")):
        key = unquote(name).lower()
        if key == "replaces":
            named = Replaces.parse(unquote(value))
            other, across = named.replaced(dialogs), named.across(dialogs)
            if across is None and (toward is Side.PROVIDER or border.is_between_phones):
                raise Refused(481, "The dialog to replace is unknown")
            # The phone that is referred by another asks here, and so does whoever is referred to a call between phones:
            # their INVITE is given the name on the other side, and not they.
            stays = border.is_between_phones or (other is not None and other.spec.border.is_between_phones)
            value = value if across is None or stays else quote(str(across), safe=_UNESCAPED)
        elif key in ("referred-by", "b"):
            referrer = border.addressed(NameAddress.parse(unquote(value)), toward)
            value = quote(str(border.numbered_address(referrer, toward, NumberField.IDENTITY)), safe=_UNESCAPED)
        if key in _REFERRERS:
            written.append(f"{name}{equals}{value}")
    return "&".join(written)
