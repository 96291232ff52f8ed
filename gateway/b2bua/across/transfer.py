"""Transfers: a field that names a dialog of one leg is made to name the same call's dialog of the other leg.

    phone:    REFER ... Refer-To: <sip:carol@example.com?Replaces=c2%3Bto-tag%3Dt%3Bfrom-tag%3Df>
    provider: REFER ... Refer-To: <sip:carol@example.com?Replaces=<the callee leg of call c2>>

A dialog has other identifiers on each side of the gateway (RFC 3261 section 12), so a Replaces (RFC 3891) that crossed
as it is would name nothing. The same holds for the Replaces field of an INVITE. A dialog that is none of ours is one
between others at the provider, which asks a phone to take its place: that one crosses as it is, to the phone and back
in the phone's INVITE, and its receiver in the end knows it or answers 481 (RFC 3891 section 3). Refer-To, Referred-By
and the Contact of a redirection are also kept from naming a host of the phones' side: toward the provider it becomes
the domain. So is P-Preferred-Identity.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import attrs

from gateway.b2bua.legs.by_dialog import Dialogs
from gateway.b2bua.legs.leg import Leg
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage, Refused
from gateway.sip.headers import Headers
from gateway.sip.message import Response
from gateway.sip.uri import Uri

_UNESCAPED = "!*'()-._~"


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
            raise MalformedMessage(f"not a Replaces: {text[:80]!r}")
        rest = "".join(f";{part}" for part in parameters if part.partition("=")[0] not in ("to-tag", "from-tag"))
        return cls(call_id, tags["to-tag"], tags["from-tag"], rest)

    def __str__(self) -> str:
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{self.rest}"

    def across(self, dialogs: Dialogs[Leg]) -> Replaces | None:
        """The same dialog as it is named on the other side; None when it is of no call here."""
        leg = dialogs.begun((self.call_id, self.to_tag, self.from_tag)) or dialogs.begun(
            (self.call_id, self.from_tag, self.to_tag)
        )
        other = None if leg is None else leg.owner.other_leg(leg)
        if other is None or other.dialog is None:
            return None
        dialog = other.dialog
        return Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag, self.rest)


def translate(headers: Headers, leg: Leg) -> None:
    """Rewrite Replaces, Refer-To, Referred-By and P-Preferred-Identity of a request that crosses to `leg`, in place.

    Toward the provider hosts become the domain of the call. Raises MalformedMessage, and Refused 481 for a phone's
    REFER to a dialog that is not of a call here: each dialog of a phone is one through here.
    """
    domain, dialogs = (leg.domain or None) if leg.is_toward_provider else None, leg.services.dialogs
    replaces = headers.get("Replaces")
    if replaces is not None:
        headers.set("Replaces", str(Replaces.parse(replaces).across(dialogs) or replaces))
    preferred = headers.values("P-Preferred-Identity")
    if preferred and domain is not None:
        named = [str(_in_domain(NameAddress.parse(value), domain)) for value in preferred]
        headers.set("P-Preferred-Identity", ", ".join(named))
    for name in ("Refer-To", "Referred-By"):
        value = headers.get(name)
        if value is not None:
            headers.set(name, str(_translated(NameAddress.parse(value), domain, dialogs)))


def redirections(response: Response, domain: str | None) -> list[tuple[str, str]]:
    """The Contact fields of a 3xx (RFC 3261 section 8.1.3.4) as the other side is to see them; none for other statuses.

    A phone that forwards its calls names a number at the gateway's address or its own: toward the provider that becomes
    the domain.
    """
    if not 300 <= response.status < 400:
        return []
    moved = [contact for contact in response.contacts if contact.uri.scheme in ("sip", "sips", "tel")]
    return [("Contact", str(contact if domain is None else _in_domain(contact, domain))) for contact in moved]


def _in_domain(address: NameAddress, domain: str) -> NameAddress:
    uri = address.uri
    if uri.scheme == "tel" or not _is_numeric_or_foreign(uri, domain):
        return address
    return attrs.evolve(address, uri=attrs.evolve(uri, host=domain, port=None, parameters=()))


def _translated(address: NameAddress, domain: str | None, dialogs: Dialogs[Leg]) -> NameAddress:
    uri = address.uri
    if uri.scheme not in ("sip", "sips"):
        return address
    if domain is not None and _is_numeric_or_foreign(uri, domain):
        uri = attrs.evolve(uri, host=domain, port=None, parameters=())
    if uri.headers:
        uri = attrs.evolve(uri, headers=_translated_headers(uri.headers, domain is not None, dialogs))
    return attrs.evolve(address, uri=uri)


def _is_numeric_or_foreign(uri: Uri, domain: str) -> bool:
    """A host that is no name tells where somebody is; a name other than the domain's is somebody's own choice."""
    return uri.host.lower() != domain.lower() and (":" in uri.host or uri.host.replace(".", "").isdigit())


def _translated_headers(text: str, is_phones: bool, dialogs: Dialogs[Leg]) -> str:
    fields = [part.partition("=") for part in text.removeprefix("?").split("&")]
    written = []
    for name, equals, value in fields:
        if name.lower() == "replaces":
            across = Replaces.parse(unquote(value)).across(dialogs)
            if across is None and is_phones:
                raise Refused(481, "The dialog to replace is unknown")
            value = value if across is None else quote(str(across), safe=_UNESCAPED)
        written.append(f"{name}{equals}{value}")
    return ("?" if text.startswith("?") else "") + "&".join(written)
