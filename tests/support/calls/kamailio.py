"""Kamailio as the provider: a TLS registrar and proxy with digest, and a log of every message it received.

TLS is the only way in, unless told otherwise. REGISTER is challenged with 401, INVITE and SUBSCRIBE with 407 (MD5 or
SHA-256, one at a time). A SUBSCRIBE for waiting messages goes to the mailbox, which is the phone that registered as
carol. A registered contact is reached over the connection it registered from while that is open, and over a new one to
the contact's own address afterwards (connection reuse as in RFC 5923). Every message that comes in is logged in hex, so
that a test can read the SDP, and with it the agreed keys, from a witness that has no interest in them.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

import attrs

from tests.support.calls.certificates import Certificate
from tests.support.calls.hosts import is_listening
from tests.support.calls.processes import Program, find_program
from tests.support.calls.wire import SipMessage

MODULES = "tls tm tmx sl rr maxfwd usrloc registrar textops siputils xlog pv auth kex corex tcpops".split()

MAILBOX = "carol"  # who takes SUBSCRIBE for waiting messages

CONFIGURATION = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
# One: from glibc 2.37 on a line longer than 128 bytes is written in pieces, and two processes' would be mixed.
tcp_children=1
enable_tls=yes
listen=tls:@ADDRESS@:@PORT@
@CLEAR@
alias="@DOMAIN@"
auto_aliases=no
tcp_connection_lifetime=3605
tcp_connect_timeout=2
@MODULES@
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "@CHAIN@")
modparam("tls", "private_key", "@KEY@")
modparam("xlog", "buf_size", 200000)
modparam("auth", "algorithm", "@ALGORITHM@")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "append_branches", 0)
modparam("registrar", "gruu_enabled", 0)
modparam("tm", "fr_timer", 5000)

request_route {
    xlog("L_ALERT", "received $proto $si:$sp $(mb{s.encode.hexa})\\n");
    force_tcp_alias();
    if (!mf_process_maxfwd_header("20")) {
        sl_send_reply("483", "Too Many Hops");
        exit;
    }
    if (is_method("CANCEL")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) {
            if (t_check_trans()) t_relay();
            exit;
        }
        sl_send_reply("404", "Not Here");
        exit;
    }
    t_check_trans();
    $var(password) = "";
@PASSWORDS@
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {
        sl_send_reply("200", "OK");
        exit;
    }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("@DOMAIN@", "$var(password)", "0")) {
            www_challenge("@DOMAIN@", "1");
            exit;
        }
        if ($au != $tU) { sl_send_reply("403", "Not Your Name"); exit; }
        if (!save("location")) { sl_reply_error(); exit; }
        xlog("L_ALERT", "accepted REGISTER of $tU\\n");
        exit;
    }
    if (loose_route()) xlog("L_DBG", "preloaded route to ourselves removed\\n");
    if (is_method("@CHALLENGED@")) {
        if (!pv_proxy_authenticate("@DOMAIN@", "$var(password)", "0")) {
            proxy_challenge("@DOMAIN@", "1");
            exit;
        }
        if ($au != $fU) { sl_send_reply("403", "Not Your Name"); exit; }
        consume_credentials();
    }
    if (is_method("SUBSCRIBE") && $hdr(Event) =~ "^message-summary") $rU = "@MAILBOX@";
    record_route();
    if (!lookup("location")) {
        sl_send_reply("404", "Not Found");
        exit;
    }
    t_relay();
}

reply_route {
    xlog("L_ALERT", "received $proto $si:$sp $(mb{s.encode.hexa})\\n");
}
"""


@attrs.frozen
class ProviderTerms:
    """How the provider is set up."""

    address: str
    port: int
    domain: str
    passwords: Mapping[str, str]  # user -> password
    certificate: Certificate
    algorithm: str = "MD5"  # or SHA-256
    asks_callers: bool = True  # challenges INVITE, too
    clear: bool = False  # UDP at the same port, too: a provider that does not insist
    names_md5: bool = False  # says that its challenges are MD5, without which nmap's sip-brute fails


def kamailio_argv(configuration: Path) -> list[str]:
    """Kamailio in the foreground; its files are beside its configuration."""
    directory = str(configuration.parent)
    argv = [find_program("kamailio", "kamailio kamailio-tls-modules"), "-DD", "-E", "-f", str(configuration)]
    return [*argv, "-m", "64", "-M", "8", "-Y", directory, "-w", directory]


def filled(text: str, values: Mapping[str, str]) -> str:
    """A configuration with its values: each stands where its name between two @ was."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


class Kamailio:
    """A running provider."""

    def __init__(self, terms: ProviderTerms, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.terms = terms
        configuration = directory / "kamailio.cfg"
        configuration.write_text(_configuration(terms))
        self._argv = kamailio_argv(configuration)
        self._directory = directory
        self.program: Program
        self.start()

    def start(self) -> None:
        """Start it; after `stop` too. Who was registered is forgotten."""
        log = self._directory / "kamailio.log"
        so_far = len(log.read_text(errors="replace")) if log.exists() else 0
        self.program = Program(self._argv, log, cwd=self._directory)
        self.program.wait_for_line("Listening on", 5, after=so_far)
        self.program.wait_until("its TLS port is open", lambda: is_listening(self.terms.address, self.terms.port))

    @property
    def uri(self) -> str:
        """Where its users send what they have to say."""
        return f"sip:{self.terms.address}:{self.terms.port};transport=tls"

    def address_of_record(self, user: str) -> str:
        return f"sip:{user}@{self.terms.domain}"

    def messages(self) -> list[SipMessage]:
        """Every SIP message it received so far, oldest first."""
        received = re.finditer(r"received (\w+) ([\d.]+):(\d+) ([0-9a-f]+)", self.program.text())
        return [SipMessage.parse(m[2], int(m[3]), bytes.fromhex(m[4])) for m in received]

    def registered(self) -> set[str]:
        """Users whose REGISTER it accepted."""
        return set(re.findall(r"accepted REGISTER of (\S+)", self.program.text()))

    def ladder(self) -> str:
        """One line per received message: what a failed test shows."""
        return "\n".join(f"{message.source:>21}  {message.summary}" for message in self.messages())

    def kill(self) -> None:
        """As a crash does."""
        self.program.stop(first=signal.SIGKILL)

    def stop(self) -> None:
        self.program.stop(seconds=1)  # it is slow to end only while it starts; nothing of it is worth waiting for


def _configuration(terms: ProviderTerms) -> str:
    values = {
        "ADDRESS": terms.address,
        "PORT": str(terms.port),
        "DOMAIN": terms.domain,
        "MODULES": "\n".join(f'loadmodule "{module}.so"' for module in MODULES),
        "CHAIN": str(terms.certificate.chain),
        "KEY": str(terms.certificate.key),
        "MAILBOX": MAILBOX,
        "CHALLENGED": "INVITE|SUBSCRIBE" if terms.asks_callers else "SUBSCRIBE",
        "CLEAR": f"listen=udp:{terms.address}:{terms.port}" if terms.clear else "",
        "ALGORITHM": "" if terms.algorithm == "MD5" and not terms.names_md5 else terms.algorithm,
        "PASSWORDS": "\n".join(f'    if ($fU == "{u}") $var(password) = "{p}";' for u, p in terms.passwords.items()),
    }
    return filled(CONFIGURATION, values)
