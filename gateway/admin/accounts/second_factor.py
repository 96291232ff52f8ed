"""The second factor: codes of an authenticator app (TOTP, RFC 6238) and recovery codes. Pure; time is an argument.

Here: the codes and how they are shown to an app. Not here: log-in (`log_in`), where they are kept (`store`). A code
counts for its own 30 seconds and one step to either side, for clocks that differ, and once: a look over a
shoulder is too late.
"""

import hashlib
import hmac
import secrets
from base64 import b32encode
from typing import Final
from urllib.parse import quote, urlencode

STEP_SECONDS: Final = 30
DIGITS: Final = 6
RECOVERY_CODES: Final = 8
_SECRET_BYTES: Final = 20
"""As long as the output of SHA-1 (RFC 4226 section 4, R6)."""
_RECOVERY_BYTES: Final = 10
"""80 random bits: no guessing, so a plain SHA-256 keeps them."""


def new_secret() -> bytes:
    """The secret that the gateway and an app share."""
    return secrets.token_bytes(_SECRET_BYTES)


def code_at(secret: bytes, step: int, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """The code of one step, the number of STEP_SECONDS since the epoch (RFC 6238 section 4.2, RFC 4226 section 5.3)."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), algorithm).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_of(secret: bytes, code: str, now: float, after: int) -> int | None:
    """The step that a code is of; None where it is of none that counts. ``now``: seconds since the epoch by the
    system's clock, as the app has them. Steps up to ``after`` were used."""
    current = int(now) // STEP_SECONDS
    typed = code.replace(" ", "").encode("utf-8", "surrogatepass")
    found = None
    for step in (current - 1, current, current + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), typed) and step > after:
            found = step
    return found


def address_for_app(secret: bytes, user: str, gateway: str) -> str:
    """The otpauth: URI that apps read, for one user of one gateway."""
    label = quote(f"{gateway}:{user}", safe=":")
    return f"otpauth://totp/{label}?{urlencode({'secret': typed(secret), 'issuer': gateway}, quote_via=quote)}"


def typed(secret: bytes) -> str:
    """The secret to be typed into an app."""
    return b32encode(secret).decode()


def new_recovery_codes() -> tuple[str, ...]:
    """Codes for the day when the telephone is lost; each counts once."""
    return tuple(
        _in_groups(b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()) for _ in range(RECOVERY_CODES)
    )


def kept_of(recovery_code: str) -> str:
    """The hash to keep of a recovery code, however it is typed."""
    plain = "".join(character for character in recovery_code.lower() if character.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def _in_groups(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
