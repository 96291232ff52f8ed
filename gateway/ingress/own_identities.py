"""Second identities of phones: the fields beside From that name a caller, held to the names that are the phone's own.

    transport -> gate -> OwnIdentities.receive -> transactions
                         a phone's P-Preferred-Identity, Referred-By...: values that name somebody else are taken out

A provider that takes the gateway's word for the caller reads these fields before From (RFC 3325 section 9.2), so they
are judged as From is: by the flow that the phone registered over. They are judged here, for every request and response
that comes from a phone, within a dialog or not: behind this door no field names anybody but its sender, whichever of
them is carried across (b2bua/across/headers.py). A field that cannot be read names nobody, and goes too.

RFC 3892 lets Referred-By name the party that asked for a transfer. Unsigned, it is a claim like any other: only the
party itself may make it. RFC 3325 gives P-Asserted-Identity to the provider; Diversion (RFC 5806) and History-Info (RFC
7044) name the party that forwards a call, Remote-Party-ID is the predecessor of all of these.

Not here: which names are a phone's own (registrar/callers.py), From (sender_rights.py), the provider's fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

import attrs
from twisted.logger import Logger

from gateway.config.model import Side
from gateway.registrar.callers import Callers
from gateway.sip.address import NameAddress
from gateway.sip.errors import MalformedMessage
from gateway.sip.grammar import split_list
from gateway.sip.headers import KEYS, Headers
from gateway.sip.message import Message
from gateway.transport.flow import Flow, FlowKey

# Read once: Python 3.11 calls a function for each look at a member of an enum.
_PHONES: Final = Side.PHONES

log = Logger()

SECOND_IDENTITIES: Final = frozenset(
    {
        "diversion",
        "history-info",
        "p-asserted-identity",
        "p-preferred-identity",
        "p-served-user",
        "referred-by",
        "remote-party-id",
    }
)
"""Every field beside From that says on behalf of which party a message is sent."""

_JUDGED: Final = SECOND_IDENTITIES | {"refer-to"}


class OwnIdentities:
    """``receive`` of the transactions gets each message, with the identities that are its sender's."""

    def __init__(self, callers: Callers, receive: Callable[[Message, Flow], None]) -> None:
        self._callers = callers
        self._receive = receive

    def receive(self, message: Message, flow: Flow) -> None:
        """Take the names of others out of a phone's message, unless its listener trusts the phones behind it."""
        if (
            flow.side is _PHONES
            and not flow.listener.trusted_identities
            and not _JUDGED.isdisjoint(message.headers.present)
        ):
            for name in SECOND_IDENTITIES.intersection(message.headers.present):
                self._judge(message.headers, name, flow)
            if "?" in (message.headers.get("Refer-To") or ""):
                self._judge_referred(message.headers, flow)
        self._receive(message, flow)

    def _judge(self, headers: Headers, name: str, flow: Flow) -> None:
        given = headers.get_all(name)
        try:
            own = list(self._own(headers.values(name), flow.key))
        except MalformedMessage:
            own = []
        if own == given:
            return
        headers.remove(name)
        for value in own:
            headers.add(name, value)
        log.debug("{name} of {source}: {count} of its own are left", name=name, source=flow.remote, count=len(own))

    def _judge_referred(self, headers: Headers, flow: Flow) -> None:
        """A Refer-To says which fields the request has that it leads to (RFC 3261 section 19.1.1): the same holds for
        them. One that cannot be read is refused by its reader."""
        try:
            target = NameAddress.parse(headers.get("Refer-To") or "")
        except MalformedMessage:
            return
        fields = target.uri.headers.split("&")
        own = "&".join(field for field in fields if self._may_lead_to(field, flow.key))
        if own != target.uri.headers:
            headers.set("Refer-To", str(attrs.evolve(target, uri=attrs.evolve(target.uri, headers=own))))

    def _may_lead_to(self, field: str, flow: FlowKey) -> bool:
        name, _, value = (unquote(part, errors="surrogateescape") for part in field.partition("="))
        if KEYS[name.strip()] not in SECOND_IDENTITIES:
            return True
        try:
            values = split_list(value)
            return values == list(self._own(values, flow))
        except MalformedMessage:
            return False

    def _own(self, values: list[str], flow: FlowKey) -> Iterator[str]:
        """The values that name the phone itself."""
        for value in values:
            if self._callers.owner_of(NameAddress.parse(value).uri, flow) is not None:
                yield value
