"""A phone's answers to its REGISTER: granted, passed back from the provider, or refused by us: pure functions.

The digest exchange passes end to end: challenges, the provider's proof and its next nonce cross as they are, so the
gateway never needs the phone's password. Any other header stays behind unless it is named here.

Not here: the provider's REGISTER and reading its answers (upstream.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache

from gateway.sip.digest import CHALLENGES, without_auth_int
from gateway.sip.message import Request, Response

_TO_PHONE = frozenset(
    {
        "authentication-info",
        "error-info",
        "min-expires",
        "proxy-authenticate",
        "retry-after",
        "unsupported",
        "warning",
        "www-authenticate",
    }
)
_PROOF = frozenset({"authentication-info", "proxy-authentication-info"})


def granting(request: Request, bound: Iterable[tuple[str, int]], to_tag: str, at: float) -> Response:
    """A 200 that lists (contact, seconds), sent ``at``, in seconds since the epoch.

    Its Date (RFC 3261 sections 10.3 step 8 and 20.17) is the only clock that some phones have.
    """
    answer = request.response(200, None, to_tag)
    answer.headers.add("Date", _date(int(at)))
    for contact, seconds in bound:
        answer.headers.add("Contact", f"<{contact}>;expires={seconds}")
    return answer


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    """The answers of one second share it."""
    return formatdate(seconds, usegmt=True)


def authentication_info(answer: Response, response: Response) -> None:
    """Let the 2xx for the phone carry the provider's proof and next nonce (RFC 7616 section 3.5)."""
    answer.headers.extend(response.headers, _PROOF)


def passed_back(request: Request, response: Response, to_tag: str) -> Response:
    """The phone's copy of a final response that is no 2xx; a redirection (its Contact is not ours to show) is 502."""
    status = response.status if response.status >= 400 else 502
    answer = request.response(status, response.reason if status == response.status else None, to_tag)
    for name, value in response.headers.items():
        if name.lower() in _TO_PHONE:
            answer.headers.add(name, without_auth_int(value) if name.lower() in CHALLENGES else value)
    return answer


def try_later(request: Request, status: int, cause: str, seconds: int, to_tag: str) -> Response:
    """The refusal of a REGISTER that came to nothing on our side of the provider, worth repeating after ``seconds``."""
    answer = request.response(status, None, to_tag)
    answer.headers.add("Retry-After", str(seconds))
    answer.headers.add("Reason", f'SIP;cause={status};text="{cause}"')
    return answer
