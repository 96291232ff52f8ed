"""A request with credentials as a guess at a password: the users that it names, its source, and how far that is proved.

    phone's request, flow, domain -> Guess.of -> users, nonces        (None: it bears no credentials)
    response to it                -> challenges_in, is_stale          -> nonces that its source was told

Here: reading. Not here: counting (guesses.py). All of it is a sender's text, in any shape: it is read leniently, since
a provider may do so too, and a user name that only the provider understands would be guessed at without end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote as percent_decoded

import attrs

from gateway.security.answering import FIELDS, has_credentials
from gateway.sip.digest import CHALLENGES
from gateway.sip.errors import MalformedMessage
from gateway.sip.message import Request, Response
from gateway.transport.flow import Flow

MOST_USERS: Final = 4
"""Users that one request may bear credentials of: each is counted."""
LONGEST_USER: Final = 80
"""Characters of a user's name that are kept; a longer one ends in a hash."""

_USER = re.compile(r'(?<![\w-])username(\*?)\s*=\s*(?:"((?:[^"\\]++|\\.)*+)"|([^\s,"]+))', re.IGNORECASE | re.DOTALL)
_NONCE = re.compile(r'(?<![\w-])(?:next)?nonce\s*=\s*(?:"((?:[^"\\]++|\\.)*+)"|([^\s,"]+))', re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"\A(?:sips?:)+", re.IGNORECASE)
_STALE = re.compile(r"(?<![\w-])stale\s*=\s*\"?true", re.IGNORECASE)
_TO_COME: Final = ("authentication-info", "proxy-authentication-info")
_TELLING: Final = frozenset((*CHALLENGES, *_TO_COME))
_BORNE: Final = tuple(field for _, field in FIELDS.values())


@attrs.frozen
class Guess:
    """Credentials on their way to the provider: right or wrong, which only the provider knows."""

    names: Mapping[str, frozenset[str]]
    """By ``user@domain`` in lower case, of the credentials, and of a REGISTER the address of record: the addresses of
    record that it may stand for, by their case."""
    flow: Flow
    method: str
    nonces: tuple[bytes, ...]
    """Their hashes."""
    owner: str | None = None
    """The user of the credentials, where they are of one alone."""

    @classmethod
    def of(cls, request: Request, flow: Flow, domain: str) -> Guess | None:
        """The guess in a request for a domain; None where it bears no credentials.

        Raises MalformedMessage for credentials of more than MOST_USERS.
        """
        if not has_credentials(request):
            return None
        borne = [value for name in _BORNE for value in request.headers.get_all(name)]
        found = [_bare(_named(one)) for value in borne for one in _USER.finditer(value)] or [""]
        owners = tuple(dict.fromkeys(_plain(name, domain) for name in found))
        if len(owners) > MOST_USERS:
            raise MalformedMessage("credentials of too many users")
        of_record = _bare(percent_decoded(request.to.uri.user or "")) if request.method == "REGISTER" else ""
        names: dict[str, frozenset[str]] = {}
        for name in (*found, of_record) if of_record else found:
            user = _plain(name, domain)
            names[user] = names.get(user, frozenset()) | {f"sip:{name}@{domain.lower()}"}
        nonces = tuple(dict.fromkeys(nonce for value in borne for nonce in _nonces(value)))
        owner = owners[0] if len(owners) == 1 else None
        return cls(names, flow, request.method, nonces, owner)

    @property
    def users(self) -> tuple[str, ...]:
        """All, in the order in which they stand in the request."""
        return tuple(self.names)


def target_of(request: Request) -> bytes:
    """The hash of method, Request-URI and To: a provider asks for a password at some, and at others lets everybody
    through."""
    return _hash(f"{request.method} {request.uri} {request.to.uri}")


def challenges_in(response: Response) -> list[bytes]:
    """The hashes of the nonces that a response gives its reader: of challenges, and those to come (RFC 7616 3.5)."""
    if _TELLING.isdisjoint(response.headers.present):
        return []
    names = CHALLENGES if response.status in FIELDS else _TO_COME
    return [nonce for name in names for value in response.headers.get_all(name) for nonce in _nonces(value)]


def is_stale(response: Response) -> bool:
    """Whether a challenge says that the nonce was too old, and nothing of the password (RFC 7616 section 3.3)."""
    return any(_STALE.search(value) for name in CHALLENGES for value in response.headers.get_all(name))


def _named(found: re.Match[str]) -> str:
    is_extended, quoted, bare = found.groups()
    name = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else bare
    return percent_decoded(name.rpartition("'")[2]) if is_extended else name


def _bare(name: str) -> str:
    """A user's name without scheme and host."""
    return _SCHEME.sub("", name.strip()).partition("@")[0]


def _plain(name: str, domain: str) -> str:
    """One spelling for all that may be one user at the provider."""
    user = name.casefold()
    if len(user) > LONGEST_USER:
        user = f"{user[:LONGEST_USER]}~{_hash(user).hex()}"
    return f"{user}@{domain.lower()}"


def _nonces(value: str) -> list[bytes]:
    return [_hash(quoted or bare) for quoted, bare in _NONCE.findall(value)]


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
