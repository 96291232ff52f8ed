"""The two requests that an INVITE client transaction makes by itself, for its next hop only: ACK and CANCEL.

The ACK of a 2xx is not among them: it belongs to the dialog (RFC 3261 section 13.2.2.4).
"""

from collections.abc import Iterable

from gateway.sip.message import Request, Response


def make_ack(invite: Request, response: Response) -> Request:
    """The ACK of a final response of 300 or more (RFC 3261 section 17.1.1.3)."""
    ack = _same_hop(invite, "ACK")
    ack.headers.set("To", response.headers.get("To") or "")
    return ack


def make_cancel(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL of an INVITE (RFC 3261 section 9.1), with more headers at the end, such as Reason (RFC 3326)."""
    cancel = _same_hop(invite, "CANCEL")
    cancel.headers.add_all(headers)
    return cancel


def _same_hop(invite: Request, method: str) -> Request:
    """A request with the Request-URI, top Via, Route, From, To, Call-ID and CSeq number of the INVITE."""
    headers = invite.headers.select(("route", "from", "to", "call-id"))
    headers.prepend("Via", str(invite.top_via))
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    headers.add("Max-Forwards", "70")
    return Request(method, invite.uri, headers)
