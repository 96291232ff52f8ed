"""The ``a=crypto`` attribute: an SRTP suite and its key (SDES, RFC 4568; GCM suites RFC 7714).

Here: reading and writing one attribute, the suites this gateway implements, and making keys. Not here: the choice among
several (negotiation.py) and any cryptography (gateway/rtp/srtp.py).

    "1 AES_CM_128_HMAC_SHA1_80 inline:<base64>|2^31" <--> CryptoAttribute(tag=1, suite=..., key=key || salt, ...)

Reading is in two steps. ``CryptoAttribute.parse`` raises MalformedDescription for a text that is no such attribute,
names a suite that is not implemented (NULL ones among them) or has a key of the wrong length. A parsed attribute may
still be unusable, ``is_usable``: it asks for an MKI, for a transform that is not implemented or for weaker protection.
Both kinds are skipped, as RFC 4568 section 7.1.2 asks for a line that "is not valid, or not understood".
Keys never appear in ``repr`` nor in an error; ``str`` is the wire form and does hold the key.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable

import attrs

from gateway.sdp.description import MalformedDescription

MAXIMUM_TAG = 999_999_999
MINIMUM_LIFETIME = 2**20
"""packets; 5.8 hours of 20 ms audio. A shorter life would need a new key within a call."""
MAXIMUM_LIFETIME = 2**48
"""packets: the most that SRTP allows under one key (RFC 3711 section 9.2)."""

_TAG = re.compile(r"[0-9]{1,9}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_POWER = re.compile(r"2\^([0-9]{1,2})")
_DECIMAL = re.compile(r"[0-9]{1,15}")
_MKI = re.compile(r"[0-9]{1,40}:[0-9]{1,3}")
_HARMLESS_PARAMETER = re.compile(r"WSH=[0-9]{1,9}|KDR=0|-.*", re.IGNORECASE)


@attrs.frozen
class Suite:
    """Sizes in bytes; ``tag_bytes`` is the authentication tag of an SRTP packet."""

    name: str
    key_bytes: int
    salt_bytes: int
    tag_bytes: int


SUITES = (
    Suite("AEAD_AES_256_GCM", 32, 12, 16),
    Suite("AEAD_AES_128_GCM", 16, 12, 16),
    Suite("AES_CM_128_HMAC_SHA1_80", 16, 14, 10),
    Suite("AES_CM_128_HMAC_SHA1_32", 16, 14, 4),
)
"""The suites implemented, strongest first."""
SUITE_NAMES = tuple(suite.name for suite in SUITES)

# Other spellings of the same transforms. AEAD_AES_128_GCM_8 is not among them: its tag is 8 bytes long.
_ALIASES = {
    "AES_128_CM_HMAC_SHA1_80": "AES_CM_128_HMAC_SHA1_80",
    "AES_128_CM_HMAC_SHA1_32": "AES_CM_128_HMAC_SHA1_32",
    "AES_128_CM_SHA1_80": "AES_CM_128_HMAC_SHA1_80",
    "AES_128_CM_SHA1_32": "AES_CM_128_HMAC_SHA1_32",
    "AEAD_AES_GCM_128": "AEAD_AES_128_GCM",
    "AEAD_AES_GCM_256": "AEAD_AES_256_GCM",
}
_BY_NAME = {suite.name: suite for suite in SUITES}


def suite_named(name: str) -> Suite | None:
    """The suite of that name or of a known other spelling, any case; None when it is not implemented."""
    upper = name.upper()
    return _BY_NAME.get(_ALIASES.get(upper, upper))


_LINE = re.compile(
    rb"^a=[ \t]*crypto[ \t]*:[ \t]*(?:[0-9]+[ \t]+)?([^ \t\r\n]*)[^\r\n]*(?:\r\n?|\n|\Z)", re.MULTILINE | re.IGNORECASE
)


def only_suites(sdp: bytes, suites: Iterable[str]) -> bytes:
    """A description without the keys of other suites than these: its writer might as well not have offered them."""
    allowed = frozenset(suites)

    def kept(line: re.Match[bytes]) -> bytes:
        suite = suite_named(line[1].decode("ascii", "replace"))
        return line[0] if suite is not None and suite.name in allowed else b""

    return _LINE.sub(kept, sdp)


@attrs.frozen
class CryptoAttribute:
    """One ``a=crypto`` line. ``suite`` is our name of it, ``spelling`` the peer's, which an answer echoes."""

    tag: int
    suite: str
    key: bytes = attrs.field(repr=False)
    """Master key followed by master salt."""
    lifetime: int | None = None
    """packets, or None when not said."""
    mki: str | None = None
    """"value:length", or "" when several keys were given without one."""
    parameters: tuple[str, ...] = ()
    spelling: str = attrs.field(default="", eq=False)

    @classmethod
    def parse(cls, value: str) -> "CryptoAttribute":
        """The attribute in the text after ``a=crypto:``; raises MalformedDescription."""
        fields = value.split()
        if len(fields) < 3 or not _TAG.fullmatch(fields[0]):
            raise MalformedDescription("a=crypto is not of the form tag suite key")
        suite = suite_named(fields[1])
        if suite is None:
            raise MalformedDescription("a=crypto names a suite that is not implemented")
        key, lifetime, mki = _key_parameters(fields[2])
        if len(key) != suite.key_bytes + suite.salt_bytes:
            raise MalformedDescription("a=crypto has a key of the wrong length for its suite")
        return cls(int(fields[0]), suite.name, key, lifetime, mki, tuple(fields[3:]), fields[1])

    def __str__(self) -> str:
        key = "inline:" + base64.b64encode(self.key).decode("ascii")
        if self.lifetime is not None:
            key += f"|{_lifetime_text(self.lifetime)}"
        if self.mki:
            key += f"|{self.mki}"
        return " ".join((str(self.tag), self.spelling or self.suite, key, *self.parameters))

    @property
    def is_usable(self) -> bool:
        """Whether it can be taken as it stands, at full strength.

        No MKI (pylibsrtp has none). No session parameter but a hint (WSH) or one marked optional by "-": KDR and FEC
        are not implemented, UNENCRYPTED_SRTP, UNENCRYPTED_SRTCP and UNAUTHENTICATED_SRTP weaken (RFC 4568 6.3), and an
        unknown one makes the line invalid (section 6.3.7). The lifetime must outlast a call and be one SRTP can keep.
        """
        lasting = self.lifetime is None or MINIMUM_LIFETIME <= self.lifetime <= MAXIMUM_LIFETIME
        return self.mki is None and lasting and all(_HARMLESS_PARAMETER.fullmatch(item) for item in self.parameters)


def generate(suite: str, tag: int, random: Callable[[int], bytes]) -> CryptoAttribute:
    """A new key for ``suite``; ``random`` gives that many unpredictable bytes. An unknown suite is ValueError."""
    sizes = suite_named(suite)
    if sizes is None or not 0 <= tag <= MAXIMUM_TAG:
        raise ValueError(f"no such suite or tag: {suite} {tag}")
    return CryptoAttribute(tag, sizes.name, random(sizes.key_bytes + sizes.salt_bytes))


def usable(values: Iterable[str]) -> tuple[CryptoAttribute, ...]:
    """Those of a media's ``a=crypto`` values that can be taken, in order; of several with one tag the first.

    A tag names one line in the answer (RFC 4568 section 5.1.2), so a second line with it could not be told apart.
    """
    found: dict[int, CryptoAttribute] = {}
    for value in values:
        try:
            attribute = CryptoAttribute.parse(value)
        except MalformedDescription:
            continue
        if attribute.is_usable:
            found.setdefault(attribute.tag, attribute)
    return tuple(found.values())


def _key_parameters(text: str) -> tuple[bytes, int | None, str | None]:
    """Key || salt, lifetime, MKI of a key-params field (RFC 4568 section 6.1)."""
    first, *others = text.split(";")
    method, _, info = first.partition(":")
    if method.lower() != "inline":
        raise MalformedDescription("a=crypto has a key method other than inline")
    encoded, *rest = info.split("|")
    lifetime, mki = _lifetime_and_mki(rest)
    # Several keys can only be told apart by MKI, which is not implemented.
    return _decoded(encoded), lifetime, "" if others and mki is None else mki


def _lifetime_and_mki(fields: list[str]) -> tuple[int | None, str | None]:
    mki = fields.pop() if fields and ":" in fields[-1] else None
    if len(fields) > 1 or (mki is not None and not _MKI.fullmatch(mki)):
        raise MalformedDescription("a=crypto has an unreadable lifetime or MKI")
    return (_lifetime(fields[0]) if fields else None), mki


def _lifetime(text: str) -> int:
    if power := _POWER.fullmatch(text):
        return int(2 ** int(power[1]))
    if _DECIMAL.fullmatch(text):
        return int(text)
    raise MalformedDescription("a=crypto has an unreadable lifetime")


def _lifetime_text(lifetime: int) -> str:
    is_power = lifetime > 1 and lifetime & (lifetime - 1) == 0
    return f"2^{lifetime.bit_length() - 1}" if is_power else str(lifetime)


def _decoded(encoded: str) -> bytes:
    bare = encoded.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if not _BASE64.fullmatch(encoded) or encoded not in (bare, padded):
        raise MalformedDescription("a=crypto has a key that is not base64")
    try:
        return base64.b64decode(padded, validate=True)
    except binascii.Error:
        raise MalformedDescription("a=crypto has a key that is not base64") from None


_KEY_LINE = re.compile(rb"^(?:a=(?:crypto|key-mgmt|3ge2ae):|k=)[^\r\n]*(?:\r?\n)?", re.MULTILINE | re.IGNORECASE)


def without_keys(sdp: bytes) -> bytes:
    """A description without the lines that hold keys (RFC 4568, RFC 4567, RFC 4566 section 5.12), to be kept where no
    key may be. Empty where one is left in a line that is none of these."""
    bare = _KEY_LINE.sub(b"", sdp)
    return b"" if b"inline:" in bare.lower() else bare


_SECTION = re.compile(rb"(?=^m=)", re.MULTILINE)
_MARK = re.compile(rb"^a=[ \t]*3ge2ae[^\r\n]*(?:\r\n?|\n|\Z)", re.MULTILINE | re.IGNORECASE)


def with_access_mark(sdp: bytes) -> bytes:
    """A description that says ``a=3ge2ae:requested`` in each m-line that has a key, and nowhere else: its keys are for
    media that are encrypted as far as the provider's edge (3GPP TS 24.229 section 7.5.2)."""
    head, *sections = _SECTION.split(without_access_mark(sdp))
    return head + b"".join(_marked(one) if _LINE.search(one) else one for one in sections)


def without_access_mark(sdp: bytes) -> bytes:
    """A description without any such mark, be it `requested` or the edge's `applied`."""
    return _MARK.sub(b"", sdp)


def _marked(section: bytes) -> bytes:
    return section + (b"" if section.endswith(b"\n") else b"\r\n") + b"a=3ge2ae:requested\r\n"
