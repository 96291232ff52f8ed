"""The requests that a phone is sent: an order as NOTIFY outside a dialog, and a question whether it is there.

    PhoneOrder, Binding, Flow -> order_to -> NOTIFY (RFC 6665 section 8.2.1)
    Binding, Flow             -> ask_of   -> OPTIONS (RFC 3261 section 11)

A NOTIFY without a subscription is against RFC 6665 and has been the way of all makes since Cisco's SPA. It goes where
the phone's calls go: to the Contact of a live binding, over its flow, and to nobody else. Its From and To are the
phone's own address of record, since makes that look at them take no other. Pure functions.
"""

from __future__ import annotations

import attrs

from gateway.registrar.binding import Binding
from gateway.registrar.enablement.phone_orders import PhoneOrder
from gateway.sip.capabilities import SOFTWARE
from gateway.sip.headers import Headers
from gateway.sip.message import Request
from gateway.transport.flow import Flow


@attrs.frozen
class ExchangeNames:
    """The random names of one exchange: a challenged NOTIFY is sent again under the same, with the next CSeq (RFC 3261
    section 22.2)."""

    call_id: str
    tag: str


def order_to(binding: Binding, order: PhoneOrder, flow: Flow, names: ExchangeNames, cseq: int) -> Request:
    """The NOTIFY that gives a phone an order."""
    headers = _headers("NOTIFY", binding, flow, names, cseq)
    headers.add("Event", order.event)
    headers.add("Subscription-State", "terminated")
    if order.body:
        headers.add("Content-Type", order.content_type)
    return Request("NOTIFY", binding.contact, headers, order.body)


def ask_of(binding: Binding, flow: Flow, names: ExchangeNames) -> Request:
    """The OPTIONS that any phone answers that is there, be it with a refusal."""
    headers = _headers("OPTIONS", binding, flow, names, 1)
    headers.add("Accept", "application/sdp")
    return Request("OPTIONS", binding.contact, headers)


def _headers(method: str, binding: Binding, flow: Flow, names: ExchangeNames, cseq: int) -> Headers:
    return Headers(
        (
            ("Max-Forwards", "70"),
            ("From", f"<{binding.aor}>;tag={names.tag}"),
            ("To", f"<{binding.aor}>"),
            ("Call-ID", names.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<sip:{flow.contact}>"),
            ("User-Agent", SOFTWARE),
        )
    )
