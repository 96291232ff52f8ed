"""Readers of single values of the configuration, stricter than their TOML types.

Here: names, addresses, ports, SIP URIs, cipher lists, and the lists that vendors write as one string. A reader takes a
TOML value and returns ours, or raises `Unacceptable` with the words for the author of the file. Not here: the keys and
their readers (`model`).
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NoReturn, TypeAlias

import attrs
from OpenSSL import SSL

from gateway.base.media_ports import BLOCKED_BY_BROWSERS, LEAST_PAIRS, PortRange
from gateway.base.telephone_numbers import REGIONS
from gateway.config.structuring import Unacceptable
from gateway.sdp.codecs import WITHIN_OTHERS
from gateway.sip.errors import MalformedMessage
from gateway.sip.uri import Uri

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,10}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_NODE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+):(?P<port>\d{1,5})")

_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/\s]+)(?::(?P<port>\d{1,5}))?")

_BODY_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")

_WEAK = re.compile(r"NULL|^A(?:EC)?DH-|RC4|RC2|DES|MD5|^EXP|IDEA|SEED")
"""Ciphers that do not encrypt, do not authenticate the peer, or have been broken."""


Network: TypeAlias = IPv4Network | IPv6Network
_MAPPED_BITS: Final = 96
"""Bits before an IPv4 address in IPv6's spelling, ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2)."""


def name(value: object) -> str:
    """A name of ours: it appears in logs, metrics and commands."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Unacceptable(value, "a name of letters, digits, '.', '_' and '-', 63 at most")
    return value


def user(value: object) -> str:
    """A user of this machine, by name or by number."""
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise Unacceptable(value, "a user's name or number, as a text")
    return value


def user_source(value: object) -> str:
    """The only source of users there is."""
    if value != "local":
        raise Unacceptable(
            value, 'only "local": users of users.sqlite; this version asks no OpenID provider or directory'
        )
    return str(value)


def network(value: object) -> Network:
    """An address, or a network of them, such as 192.0.2.0/24. Of IPv4 addresses in IPv6's spelling those meant."""
    try:
        found = ip_network(value) if isinstance(value, str) else _no_network(value)
    except ValueError:
        return _no_network(value)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    return found if mapped is None else IPv4Network((int(mapped), found.prefixlen - _MAPPED_BITS))


def _no_network(value: object) -> NoReturn:
    raise Unacceptable(value, "an address or a network without bits beside its mask, such as 192.0.2.0/24")


def address(value: object) -> str:
    """An IPv4 or IPv6 address of this machine, without brackets."""
    if not isinstance(value, str) or not is_address(value):
        raise Unacceptable(value, "an IP address")
    return value


def host(value: object) -> str:
    """A host name or an IP address, without brackets."""
    if not isinstance(value, str) or not (is_address(value) or _DOMAIN.fullmatch(value)):
        raise Unacceptable(value, "a host name or an IP address")
    return value


def host_name(value: object) -> str:
    """A name that a certificate can be for, in lower case. Raises Unacceptable."""
    found = host(value)
    if ":" in found or re.fullmatch(r"[\d.]+", found):
        raise Unacceptable(value, "a name, no address")
    return found.lower().rstrip(".")


def domain(value: object) -> str:
    """A SIP domain, lower case (host names do not depend on case: RFC 3261 section 19.1.4), no final dot."""
    return host(value).lower().rstrip(".")


def domains(value: object) -> tuple[str, ...]:
    """Domains as phones write them: one string, separated by semicolons or commas; or an array."""
    parts = re.split(r"[;,]", value) if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise Unacceptable(value, "domains separated by semicolons or commas, or an array of them")
    return tuple(dict.fromkeys(domain(_stripped(part)) for part in parts if _stripped(part) != ""))


def port_range(value: object) -> PortRange:
    """ "20000-29999": an RTP and an RTCP port for each of two legs at least, that browsers do not block."""
    found = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", value) if isinstance(value, str) else None
    if found is None or not 1024 <= int(found[1]) <= int(found[2]) - 3 <= 65535 - 3:
        raise Unacceptable(value, 'a range of four ports or more from 1024 to 65535, written "20000-29999"')
    ports = PortRange(int(found[1]), int(found[2]))
    if len(ports.pairs) < LEAST_PAIRS:
        blocked = ", ".join(map(str, sorted(BLOCKED_BY_BROWSERS)))
        pairs = f"{LEAST_PAIRS} pairs of ports at least, an even one and the odd one above"
        raise Unacceptable(value, f"{pairs}, without those that browsers block ({blocked})")
    return ports


def sip_uri(value: object) -> str:
    """The SIP URI of a server: a host or a domain, with or without a port and a transport."""
    uri = _server(value)
    if not isinstance(value, str) or uri is None:
        raise Unacceptable(value, "a SIP URI without a user part, such as sip:provider.example.com;transport=tls")
    named = [text for name, text in uri.parameters if name.lower() == "transport" and text is not None]
    if named and named[0].lower() not in ("udp", "tcp", "tls"):
        raise Unacceptable(value, "transport=udp, transport=tcp or transport=tls")
    if uri.is_secure and uri.transport == "udp":
        raise Unacceptable(value, "a sips URI over tcp or tls (RFC 5630 section 3.1.3: never over UDP)")
    return value


def body_type(value: object) -> str:
    """A media type, in lower case, of which no body holds another whole message."""
    kind = value.strip().lower() if isinstance(value, str) else ""
    if not _BODY_TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/sip", "message/external")):
        raise Unacceptable(value, "a media type such as application/x-example+xml, no multipart and no message")
    if kind == "application/sdp":
        raise Unacceptable(value, "a media type that is no session description")
    return kind


def _server(value: object) -> Uri | None:
    """The SIP URI that leads to a server; None for anything else."""
    try:
        uri = Uri.parse(value) if isinstance(value, str) else Uri()
    except MalformedMessage:
        return None
    is_server = uri.user is None and not uri.headers and _is_host(uri.host) and uri.port != 0
    return uri if is_server else None


def uri_transport(text: str) -> str | None:
    """The transport that a valid URI settles by itself (RFC 3263 section 4.1), or None where DNS decides.

    A sips URI with transport=tcp is TLS: the scheme asks for TLS, the parameter names the transport below it.
    """
    uri = Uri.parse(text)
    if uri.is_secure:
        return "tls"
    return uri.transport or ("udp" if uri.port or is_address(uri.host) else None)


@attrs.frozen
class Nameserver:
    """Where DNS is asked."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def nameserver(value: object) -> Nameserver:
    """IP or IP:PORT of a DNS server; its port is 53 unless given. IPv6 with a port is in brackets."""
    if isinstance(value, str) and is_address(value):
        return Nameserver(value, 53)
    found = _NODE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not is_address(found["host"].strip("[]")) or not _is_port(found["port"]):
        raise Unacceptable(value, "IP or IP:PORT, such as 127.0.0.1:53")
    return Nameserver(found["host"].strip("[]"), int(found["port"]))


def relay_node(value: object) -> str:
    """HOST:PORT of an rtpengine's NG listener, and how many calls it takes beside others: HOST:PORT=WEIGHT."""
    node, _, weight = value.partition("=") if isinstance(value, str) else ("", "", "")
    found = _NODE.fullmatch(node)
    is_known = found is not None and _is_host(found["host"]) and _is_port(found["port"])
    if not isinstance(value, str) or not is_known or not re.fullmatch(r"[1-9]\d{0,2}", weight or "1"):
        raise Unacceptable(
            value, "HOST:PORT, such as 127.0.0.1:22222, or with a weight from 1 to 999: 127.0.0.1:22222=3"
        )
    return value


def ng_listener(value: object) -> str:
    """IP:PORT of this machine."""
    found = _NODE.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None or not is_address(found["host"].strip("[]")):
        raise Unacceptable(value, "IP:PORT, such as 127.0.0.1:2223")
    if not 1024 <= int(found["port"]) <= 65535 - 256:
        raise Unacceptable(value, "a port from 1024 to 65279: every worker has one of its own")
    return value


def method(value: object) -> str:
    """A SIP method that can be challenged: neither ACK nor CANCEL can (RFC 3261 section 22.1)."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3,20}", value) or value in ("ACK", "CANCEL"):
        raise Unacceptable(value, "a SIP method in capitals, except ACK and CANCEL")
    return value


def codec(value: object) -> str:
    """The name of a codec, as in a=rtpmap (RFC 8866 section 6.6)."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", value):
        raise Unacceptable(value, 'the name of a codec without its clock, such as "PCMA", "opus" or "telephone-event"')
    if value.lower() in WITHIN_OTHERS:
        raise Unacceptable(value, "a codec whose parameters name no other payload types")
    return value


def dialled_number(value: object) -> str:
    """A number as it is dialled."""
    if not isinstance(value, str) or not re.fullmatch(r"\+?[0-9*#]{2,15}", value):
        raise Unacceptable(value, 'a number as dialled, such as "112"')
    return value


def region(value: object) -> str:
    """A country by its two letters (ISO 3166-1), in capitals."""
    if not isinstance(value, str) or value.upper() not in REGIONS:
        raise Unacceptable(value, 'a country by its two letters, such as "DE" or "US"')
    return value.upper()


def share_of_calls(value: object) -> float:
    """A share of a whole, 0 to 1: a number, or a text in percent."""
    allowed = 'a share from 0 to 1, or a text such as "0.5%"'
    text = value.removesuffix("%").strip() if isinstance(value, str) and value.endswith("%") else value
    if isinstance(value, bool) or (isinstance(value, str) and text is value):
        raise Unacceptable(value, allowed)
    try:
        found = float(str(text)) / (100 if isinstance(value, str) else 1)
    except ValueError:
        raise Unacceptable(value, allowed) from None
    if not 0 <= found <= 1:
        raise Unacceptable(value, allowed)
    return found


def origin(value: object) -> str:
    """The origin of web pages as browsers send it (RFC 6454 section 6.1): scheme and host, and the port where it is not
    the scheme's own."""
    found = _ORIGIN.fullmatch(value.lower()) if isinstance(value, str) else None
    if found is None or not _is_host(found["host"]) or not _is_port(found["port"]):
        raise Unacceptable(value, 'the origin of a page, such as "https://intranet.example.com": no path, no *')
    is_usual = found["port"] in (None, "443" if found["scheme"] == "https" else "80")
    return f"{found['scheme']}://{found['host']}" + ("" if is_usual else f":{int(found['port'])}")


def _stripped(part: object) -> object:
    return part.strip() if isinstance(part, str) else part


def is_address(text: str) -> bool:
    """Whether a text is a numeric IPv4 or IPv6 address, without brackets."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    return is_address(text.strip("[]")) if text.startswith("[") else is_address(text) or bool(_DOMAIN.fullmatch(text))


def _is_port(text: str | None) -> bool:
    return text is None or 1 <= int(text) <= 65535


def cipher_list(value: object) -> str:
    """A list in OpenSSL's format, such as "ECDHE+AESGCM"."""
    if not isinstance(value, str) or not value.isascii():
        raise Unacceptable(value, 'a cipher list of OpenSSL, such as "ECDHE+AESGCM"')
    context = SSL.Context(SSL.TLS_METHOD)
    try:
        context.set_cipher_list(value.encode())
    except SSL.Error:
        raise Unacceptable(
            value, "a cipher list that OpenSSL understands and that leaves a cipher of TLS 1.2"
        ) from None
    weak = [name for name in SSL.Connection(context, None).get_cipher_list() if _WEAK.search(name)]
    if weak:
        raise Unacceptable(value, f"no weak ciphers, which {', '.join(weak[:3])} are: end it with :!aNULL:!eNULL:!LOW")
    return value
