"""Phones of several makes as scripts: their own messages (tests/phones/messages), filled in.

Nothing of the gateway is used here.

    phone = ScriptedPhone(MAKES["snom"], FORMS["snom SRTP"], Place("192.0.2.11", 5071, "TLS"))
    invite = phone.invite("sip:bob@example.com")  # bytes
    phone.hears(answer)  # takes the tag and the target of the dialog
    bye = phone.within("bye")
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
from pathlib import Path
from string import Template
from typing import Final

import attrs

from tests.support.calls.wire import Crypto, SipMessage

MESSAGES: Final = Path(__file__).parents[1] / "phones" / "messages"
DOMAIN: Final = "example.com"
USER: Final = "alice"
SESSION_PORT: Final = 16_454

_KEY_BYTES: Final = {"AES_256_CM_HMAC_SHA1_80": 46, "AEAD_AES_256_GCM": 44, "AEAD_AES_128_GCM": 28}


@attrs.frozen
class Make:
    """How a make writes what its files leave open."""

    name: str
    call_id: str
    """A form: {hex}, {digits} and {address}."""
    tag: str = "{hex}"
    branch: str = "{hex}"
    first_cseq: int = 1
    callee: str = f"sip:bob@{DOMAIN}"
    credentials: str = ""
    """How it writes an answer to a challenge."""


_CISCO: Final = (
    'Digest username="{user}",realm="{realm}",nonce="{nonce}",uri="{uri}",algorithm=MD5,response="{response}",'
    'qop=auth,nc={count},cnonce="{cnonce}"'
)
_YEALINK: Final = (
    'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", algorithm=MD5, '
    'cnonce="{cnonce}", qop=auth, nc={count}'
)
_POLYCOM: Final = (
    'Digest username="{user}", realm="{realm}", nonce="{nonce}", qop=auth, cnonce="{cnonce}", nc={count}, '
    'opaque="{opaque}", uri="{uri}", response="{response}", algorithm=MD5'
)
_SNOM: Final = (
    'Digest username="{user}",realm="{realm}",nonce="{nonce}",uri="{uri}",qop=auth,nc={count},cnonce="{cnonce}",'
    'response="{response}",algorithm=MD5'
)
"""A SPA525G2 7.6.1's (a public SIP framework's documentation) and a VVX 350's (a public PBX's tests); the order of the
other two is composed."""

_AS_PHONE: Final = f"sip:bob@{DOMAIN};user=phone"

MAKES: Final = {
    make.name: make
    for make in (
        Make("cisco-spa", "{hex}-{hex}@{address}", "{hex}{hex}o0", "{hex}", 101, credentials=_CISCO),
        Make("sipura", "{hex}-{hex}@{address}", "{hex}{hex}o0", "{hex}", 101, credentials=_CISCO),
        Make("yealink", "0_{digits}@{address}", "{digits}", "{digits}", credentials=_YEALINK),
        Make("polycom", "{hex}{hex}{hex}{hex}", "{hex}-{hex}", "{hex}D70FF", 1, _AS_PHONE, _POLYCOM),
        Make("snom", "31343831{digits}-xehwxtcark7e", "te94a{hex}", "16gc{hex}", 1, _AS_PHONE, _SNOM),
        Make("plain", "{hex}{hex}", "{hex}", "{hex}{hex}"),
    )
}


@attrs.frozen
class Key:
    """One a=crypto line: keys with one number are the same key, as one make has them under two suites."""

    tag: int
    suite: str
    number: int
    more: str = ""


@attrs.frozen
class Form:
    """How a phone is configured to offer media."""

    profile: str
    keys: tuple[Key, ...] = ()
    is_dual: bool = False

    @property
    def wants_srtp(self) -> bool:
        return bool(self.keys)


_80: Final = "AES_CM_128_HMAC_SHA1_80"
_32: Final = "AES_CM_128_HMAC_SHA1_32"

RTP: Final = Form("RTP/AVP")
FORMS: Final = {
    "cisco-spa RTP": RTP,
    "cisco-spa s-descriptor": Form("RTP/SAVP", (Key(1, _32, 1), Key(2, _80, 1))),
    "sipura RTP": RTP,
    "yealink RTP": RTP,
    "yealink optional": Form("RTP/AVP", (Key(1, _80, 1), Key(2, _32, 2), Key(3, "F8_128_HMAC_SHA1_80", 3))),
    "yealink compulsory": Form("RTP/SAVP", (Key(1, _80, 1), Key(2, _32, 2), Key(3, "F8_128_HMAC_SHA1_80", 3))),
    "polycom RTP": RTP,
    "polycom required": Form("RTP/SAVP", (Key(8, _80, 1),)),
    "polycom offered": Form("RTP/SAVP", (Key(8, _80, 1),), is_dual=True),
    "polycom lax": Form(
        "RTP/SAVP",
        (Key(1, _80, 1, " UNENCRYPTED_SRTP"), Key(2, _80, 2, " UNAUTHENTICATED_SRTP"), Key(3, _80, 3), Key(4, _32, 4)),
    ),
    "snom RTP": RTP,
    "snom SRTP": Form("RTP/SAVP", (Key(1, "AES_256_CM_HMAC_SHA1_80", 1), Key(2, _80, 2), Key(3, _32, 3))),
    "snom tag 0": Form("RTP/SAVP", (Key(0, _80, 1), Key(1, _32, 2))),
    "snom optional": Form("RTP/SAVP", (Key(1, _32, 1), Key(2, _80, 2)), is_dual=True),
}
"""By make and setting. Sources: rtpengine issues 153 (Cisco SPA), 1613, 240 and 1489 (snom), freeswitch issue 1254
(Yealink), janus-gateway issue 214 (Polycom VVX), baresip issue 229 (tag 0). "lax" is a Polycom whose administrator
allows the session parameters of sec.srtp.sessionParams; what it writes then is composed after RFC 4568 section 6.3."""


@attrs.frozen
class Place:
    """Where a phone lives, and over what it speaks."""

    address: str
    port: int
    transport: str  # "UDP" | "TLS"


@attrs.define
class Dialog:
    """What a phone remembers of a call or a subscription."""

    call_id: str
    local_tag: str
    remote: str
    """To of its requests, with the tag once there is one."""
    target: str
    cseq: int
    invite_cseq: int = 0


class ScriptedPhone:
    """One phone: says what its make says, in the dialog that it is in."""

    def __init__(self, make: Make, form: Form, place: Place, domain: str = DOMAIN, user: str = USER) -> None:
        self.make = make
        self.form = form
        self.place = place
        self.domain = domain
        self.user = user
        self.port = SESSION_PORT
        self.dialog: Dialog | None = None
        self.sent: list[SipMessage] = []
        self._versions = itertools.count(173_522_214)
        self._keys = {key.number: secrets.token_bytes(_KEY_BYTES.get(key.suite, 30)) for key in form.keys}
        self._registrations = itertools.count(131_052)
        self._register_id = self._new(make.call_id)

    # -- what it says

    def register(self, authorization: str = "", expires: int = 600) -> bytes:
        """REGISTER, always with one Call-ID."""
        number = next(self._registrations)
        return self._say(
            "register", call_id=self._register_id, cseq=str(number), authorization=authorization, expires=str(expires)
        )

    def invite(self, uri: str = "") -> bytes:
        """INVITE: a new call."""
        self._begin(uri or self.make.callee)
        return self.offers("invite")

    def answers_challenge(self, challenge: SipMessage, password: str) -> str:
        """The line that answers a 401 to what was sent last, written as the make does (RFC 2617, MD5 and auth)."""
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge.header("www-authenticate")))
        sent = self.sent[-1]
        method, uri, _ = sent.first_line.split(" ")
        cnonce, count = secrets.token_hex(8), "00000001"
        ours = _md5(f"{self.user}:{fields['realm']}:{password}")
        response = _md5(f"{ours}:{fields['nonce']}:{count}:{cnonce}:auth:{_md5(f'{method}:{uri}')}")
        values = {"user": self.user, "uri": uri, "cnonce": cnonce, "count": count, "response": response, "opaque": ""}
        return "Authorization: " + self.make.credentials.format(**{**values, **fields})

    def offers(self, what: str, authorization: str = "") -> bytes:
        """An INVITE with its form of offer, of a file or of that file's twin for two m-lines."""
        form = self.form
        dialog = self._dialog
        dialog.cseq += 1
        dialog.invite_cseq = dialog.cseq
        name = f"{what}-dual" if form.is_dual else what
        crypto = self._offered()
        return self._within(name, dialog.cseq, profile=form.profile, crypto=crypto, authorization=authorization)

    def outside(self, what: str) -> bytes:
        """A request that begins a dialog of its own, or none: SUBSCRIBE, PUBLISH."""
        self._begin(f"sip:{self.user}@{self.domain}")
        return self.within(what)

    def within(self, what: str, **more: str) -> bytes:
        """A request inside the dialog, not INVITE."""
        self._dialog.cseq += 1
        return self._within(what, self._dialog.cseq, **more)

    def acknowledges(self) -> bytes:
        """The ACK of the INVITE that was answered last with 2xx."""
        return self._within("ack", self._dialog.invite_cseq)

    def answers(self, request: SipMessage, what: str) -> bytes:
        """A response of its make; the answer to an offer repeats its profile and takes one key of it where it can."""
        if request.method == "INVITE" and self.dialog is None:
            self._is_called(request)
        tag = self.dialog.local_tag if self.dialog is not None else self._new(self.make.tag)
        to = request.header("to")
        to = to if ";tag=" in to else f"{to};tag={tag}"
        profile, crypto = self._answer_to(request)
        vias = [f"Via: {value}" for name, value in request.headers if name == "via"]
        return self._say(
            what,
            via="\n".join(vias),
            to=to,
            call_id=request.call_id,
            cseq=request.cseq,
            profile=profile,
            crypto=crypto,
            **{"from": request.header("from")},
        )

    # -- what it hears

    def hears(self, response: SipMessage) -> None:
        """A 2xx or 18x to its INVITE or SUBSCRIBE: the dialog has a tag and a target now."""
        if self.dialog is None or response.call_id != self.dialog.call_id or ";tag=" not in response.header("to"):
            return
        self.dialog.remote = response.header("to")
        contact = response.header("contact").partition("<")[2].partition(">")[0]
        self.dialog.target = contact or self.dialog.target

    @property
    def keys(self) -> set[str]:
        """Every key that it wrote."""
        return {key for message in self.sent for key in keys_of(message.body)}

    # -- filling in

    def _is_called(self, invite: SipMessage) -> None:
        target = invite.header("contact").partition("<")[2].partition(">")[0]
        tag = self._new(self.make.tag)
        self.dialog = Dialog(invite.call_id, tag, invite.header("from"), target, self.make.first_cseq)

    @property
    def _dialog(self) -> Dialog:
        assert self.dialog is not None, "no call"
        return self.dialog

    def _begin(self, uri: str) -> None:
        make = self.make
        self.dialog = Dialog(self._new(make.call_id), self._new(make.tag), f"<{uri}>", uri, make.first_cseq - 1)

    def _within(self, what: str, cseq: int, **more: str) -> bytes:
        dialog = self._dialog
        head, _, tag = dialog.remote.partition(";tag=")
        odd = f"{head};user=phone" + (f";tag={tag}" if tag else "")
        values = {
            "target": dialog.target,
            "remote": dialog.remote,
            "remote_odd": odd,
            "local_tag": dialog.local_tag,
            "call_id": dialog.call_id,
            "cseq": str(cseq),
        }
        return self._say(what, **{**values, **more})

    def _say(self, what: str, **values: str) -> bytes:
        place = self.place
        is_tls = place.transport == "TLS"
        usual = {
            "user": self.user,
            "domain": self.domain,
            "host": f"{place.address}:{place.port}",
            "address": place.address,
            "transport": place.transport,
            "lower": place.transport.lower(),
            "suffix": ";transport=tls" if is_tls else "",
            "branch": self._new(self.make.branch),
            "local_tag": self._new(self.make.tag),
            "port": str(self.port),
            "session": "173522214",
            "version": str(next(self._versions)),
            "authorization": "",
            "crypto": "",
            "length": "0",
        }
        data = fill(MESSAGES / self.make.name / f"{what}.sip", {**usual, **values})
        self.sent.append(SipMessage.parse(place.address, place.port, data))
        return data

    def _offered(self) -> str:
        lines = [self._crypto(key.tag, key.suite, self._keys[key.number], key.more) for key in self.form.keys]
        return "\n".join(lines)

    def _answer_to(self, request: SipMessage) -> tuple[str, str]:
        audio = request.audio
        if audio is None:
            return "RTP/AVP", ""
        known = [key.suite for key in self.form.keys] or [_80]
        for crypto in audio.cryptos:
            if crypto.suite in known:
                return audio.profile, self._crypto(crypto.tag, crypto.suite, self._answer_key(crypto), "")
        return audio.profile, ""

    def _answer_key(self, crypto: Crypto) -> bytes:
        """The same key as long as the offer is the same."""
        return self._keys.setdefault(-crypto.tag - 1, secrets.token_bytes(_KEY_BYTES.get(crypto.suite, 30)))

    @staticmethod
    def _crypto(tag: int, suite: str, key: bytes, more: str) -> str:
        return f"a=crypto:{tag} {suite} inline:{base64.b64encode(key).decode()}{more}"

    def _new(self, form: str) -> str:
        def one(match: re.Match[str]) -> str:
            return {
                "hex": secrets.token_hex(4),
                "digits": str(secrets.randbelow(10**9)),
                "address": self.place.address,
            }[match[1]]

        return re.sub(r"\{(\w+)\}", one, form)


def fill(file: Path, values: dict[str, str]) -> bytes:
    """A message: comments and lines left empty are gone, lines end in CRLF, Content-Length is right."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    kept = [line for line in lines if not (re.fullmatch(r"\$\w+", line) and not values.get(line[1:], ""))]
    head, _, body = "\n".join(kept).partition("\n\n")
    content = _crlf(Template(body).substitute(values)) if body.strip() else ""
    values = {**values, "length": str(len(content.encode()))}
    return (_crlf(Template(head).substitute(values) + "\n") + "\r\n" + content).encode()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def keys_of(body: bytes) -> set[str]:
    """Every key of a body, in base64 without padding."""
    return {key.decode().rstrip("=") for key in re.findall(rb"inline:([A-Za-z0-9+/]+=*)", body)}


def _crlf(text: str) -> str:
    return text.rstrip("\n").replace("\n", "\r\n") + "\r\n"
