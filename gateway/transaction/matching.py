"""The transaction that a message belongs to (RFC 3261 sections 17.1.3, 17.2.3 and 8.2.2.2), as keys of dictionaries.

Also the Via and branch by which responses to our own requests match.
"""

from collections.abc import Container

from gateway.config.model import Side
from gateway.sip.message import Request, Response
from gateway.sip.via import MAGIC_COOKIE
from gateway.transport.flow import Flow

Key = tuple[str | int | None, ...]


def client_key(response: Response) -> Key:
    """The key of a response's client transaction (17.1.3). The method tells a CANCEL from its INVITE."""
    return response.top_via.branch, response.cseq.method


def server_key(request: Request, side: Side, method: str | None = None) -> Key:
    """The key of a request's server transaction (17.2.3); an ACK has the key of its INVITE.

    method asks for another request with the same branch: that of a CANCEL. The side is in the key so that nobody on one
    side of the gateway reaches a transaction of the other, by any branch.
    """
    if method is None:
        method = "INVITE" if request.method == "ACK" else request.method
    via = request.top_via
    branch = via.branch
    if branch is None or branch == MAGIC_COOKIE or not branch.startswith(MAGIC_COOKIE):
        return _rfc2543_key(request, side, method)
    return branch, via.host, via.port, method, side


def is_taken(taken: Container[Key], branch: str, host: str, port: int | None) -> bool:
    """Whether an INVITE of a phone with this in its top Via is among these keys of requests."""
    return (branch, host, port, "INVITE", Side.PHONES) in taken


def _rfc2543_key(request: Request, side: Side, method: str) -> Key:
    """The key for a peer without the magic cookie, or with nothing behind it (RFC 4475 section 3.2.1).

    The To tag counts too, but an ACK has that of the response: it is compared after the look-up.
    """
    to_tag = None if method == "INVITE" else request.to.tag
    sender = (str(request.top_via), request.uri, request.from_.tag, to_tag)
    return (*sender, request.call_id, request.cseq.number, method, side)


def is_rfc2543(key: Key) -> bool:
    """Whether a server key is that of a peer without magic cookie."""
    return not str(key[0]).startswith(MAGIC_COOKIE)


def merge_key(request: Request, side: Side) -> Key | None:
    """The key that forks of one request share though their branches differ (8.2.2.2); None within a dialog."""
    if request.to.tag is not None:
        return None
    cseq = request.cseq
    return request.from_.tag, request.call_id, cseq.number, cseq.method, side


def via_value(flow: Flow, branch: str) -> str:
    """The Via of a request that we send over the flow. It asks for the response to come back the same way (RFC
    3581)."""
    return f"{flow.sent_by};branch={branch};rport"
