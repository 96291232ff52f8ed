"""One order of a certificate at an authority (RFC 8555 section 7), from the account to the files; for a thread.

    account (its key is kept) -> order -> each name: question -> put the answer, the authority looks, remove it
                                       -> finalised with a fresh key -> chain and key, replaced in one step each

The protocol is the library's (acme, of certbot); it is loaded here, when the first order is made.
Not here: the answers themselves (challenges.py), the time of an order (renewal.py).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.base.private_files import replace_private
from gateway.config.tables.acme_table import Acme
from gateway.transport.tls.certificates import CertificateError

WITHIN: Final = timedelta(seconds=120)
"""From the answers to the certificate."""
ASK_SECONDS: Final = 20
"""For one request to the authority."""
KEY_BITS: Final = 2048
"""RSA, since the oldest phones that speak TLS know nothing else."""
LONGEST: Final = 300
"""Characters of an authority's words in an error."""


class ChallengeAnswers(Protocol):
    """The way to answer an authority's questions; called in the order's thread."""

    kind: str
    """`http-01` or `dns-01` (RFC 8555 section 8)."""

    def put(self, name: str, token: str, value: str) -> None:
        """Answer the question about a name with that value. Raises OSError where it cannot be answered."""

    def remove(self, name: str, token: str, value: str) -> None:
        """The question is over."""


class OrderFailed(CertificateError):
    """An authority gave no certificate; str() is one line."""


@attrs.frozen
class Order:
    """The wish for a certificate, and the file of the account's key."""

    terms: Acme
    account_file: Path

    def fulfil(self, answering: ChallengeAnswers) -> None:
        """Order, and write the files. Raises OrderFailed; then the files are as they were."""
        import requests
        from acme import errors

        try:
            chain, key = self._ordered(answering)
        except (errors.Error, requests.RequestException, OSError, ValueError) as error:
            raise OrderFailed(f"{self.terms.directory}: {_words(error)}") from error
        missing = set(self.terms.names) - _names(chain)
        if missing:
            raise OrderFailed(f"{self.terms.directory}: its certificate is not for {', '.join(sorted(missing))}")
        try:
            replace_private(self.terms.private_key, key)
            replace_private(self.terms.certificate, chain)
        except OSError as error:
            raise OrderFailed(f"{error.filename}: {error.strerror}") from error

    def _ordered(self, answering: ChallengeAnswers) -> tuple[bytes, bytes]:
        from acme import crypto_util

        client = self._client()
        key = _new_key()
        order = client.new_order(crypto_util.make_csr(key, list(self.terms.names)))
        answered: list[tuple[str, str, str]] = []
        try:
            for authorization in order.authorizations:
                self._answer(client, authorization, answering, answered)
            deadline = datetime.now(UTC).replace(tzinfo=None) + WITHIN
            chain: str = client.poll_and_finalize(order, deadline).fullchain_pem
        finally:
            for name, token, value in answered:
                answering.remove(name, token, value)
        return chain.encode("ascii"), key

    def _answer(
        self, client: Any, authorization: Any, answering: ChallengeAnswers, answered: list[tuple[str, str, str]]
    ) -> None:
        """Answer the question about one name of the kind that we can, unless the name is proved already.

        An answer is noted in `answered` before it is given, and taken back when anything fails then. The name is the
        authority's word, and a hook may write it into a file of a zone: it must be one of ours.
        """
        name = authorization.body.identifier.value
        if name not in self.terms.names:
            raise ValueError(f"it asks about {name}, which was not ordered")
        if authorization.body.status.name == "valid":
            return
        for question in authorization.body.challenges:
            if question.chall.typ == answering.kind:
                response, value = question.response_and_validation(client.net.key)
                token = question.chall.encode("token")
                answered.append((name, token, value))
                answering.put(name, token, value)
                client.answer_challenge(question, response)
                return
        raise ValueError(f"it asks no {answering.kind} about {name}")

    def _client(self) -> Any:
        """The authority, with our account at it."""
        from acme import client, errors, messages
        from josepy.jwk import JWKRSA

        key = JWKRSA.load(self._account_key())
        trust: Any = True if self.terms.trust == "system" else str(self.terms.trust)
        net = client.ClientNetwork(key, verify_ssl=trust, user_agent="sip-security-gateway", timeout=ASK_SECONDS)
        authority = client.ClientV2(client.ClientV2.get_directory(self.terms.directory, net), net)
        wanted = messages.NewRegistration.from_data(email=self.terms.email, terms_of_service_agreed=self.terms.agree)
        try:
            authority.new_account(wanted)
        except errors.ConflictError as known:
            account = messages.RegistrationResource(body=messages.Registration(), uri=known.location)
            net.account = account
        return authority

    def _account_key(self) -> bytes:
        """The key of the account, made when there is none."""
        try:
            return self.account_file.read_bytes()
        except FileNotFoundError:
            key = _new_key()
            self.account_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_private(self.account_file, key)
            return key


def _new_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    none = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


def _names(chain: bytes) -> set[str]:
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {name.lower() for name in names.get_values_for_type(x509.DNSName)}


def _words(error: Exception) -> str:
    """An authority's reason in one line: the failed questions say more than the order."""
    failed = getattr(error, "failed_authzrs", None) or ()
    told = [
        f"{one.body.identifier.value}: {question.error.detail}"
        for one in failed
        for question in one.body.challenges
        if question.error is not None
    ]
    detail = getattr(error, "detail", None)
    text = "; ".join(told) or detail or str(error) or type(error).__name__
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:LONGEST]
