"""Kamailio as a PBX without registration: its own certificate is all that it shows, and it has no password.

TLS is the only way in. All that comes from the gateway goes to the one phone behind it, all else to the gateway.
"""

from __future__ import annotations

import signal
from pathlib import Path

import attrs

from tests.support.calls.certificates import Certificate
from tests.support.calls.hosts import is_listening
from tests.support.calls.kamailio import filled, kamailio_argv
from tests.support.calls.processes import Program

MODULES = "tls tm sl rr maxfwd textops siputils pv xlog".split()

CONFIGURATION = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=1
enable_tls=yes
listen=tls:@ADDRESS@:@PORT@
auto_aliases=no
tcp_connect_timeout=2
@MODULES@
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "@CHAIN@")
modparam("tls", "private_key", "@KEY@")
modparam("tm", "fr_timer", 5000)

request_route {
    if (!mf_process_maxfwd_header("20")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("OPTIONS") && $rU == $null) { sl_send_reply("200", "OK"); exit; }
    if (is_method("CANCEL")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if (has_totag()) {
        if (loose_route() || is_method("ACK")) t_relay();
        exit;
    }
    t_check_trans();
    if (is_method("INVITE")) xlog("L_ALERT", "called $ru from $si\\n");
    record_route();
    if ($si == "@GATEWAY_HOST@") $ru = "@PHONE@";
    else $du = "sip:@GATEWAY@;transport=tls";
    t_relay();
}
"""


@attrs.frozen
class PbxTerms:
    """How a PBX is set up."""

    address: str
    port: int
    certificate: Certificate
    gateway: str  # address:port of its listener for TLS
    phone: str  # the SIP URI of the phone behind it


class PbxKamailio:
    """A running PBX."""

    def __init__(self, terms: PbxTerms, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.terms = terms
        configuration = directory / "kamailio.cfg"
        configuration.write_text(_configuration(terms))
        self.program = Program(kamailio_argv(configuration), directory / "kamailio.log", cwd=directory)

    def wait_up(self) -> None:
        """Until it takes connections."""
        self.program.wait_until("its TLS port is open", lambda: is_listening(self.terms.address, self.terms.port))

    @property
    def proxy(self) -> str:
        """Where its phone sends everything: address:port."""
        return f"{self.terms.address}:{self.terms.port}"

    def calls(self) -> int:
        """How many INVITEs came in, from its phone or for it."""
        return self.program.text().count("called ")

    def kill(self) -> None:
        """As a crash does."""
        self.program.stop(first=signal.SIGKILL)

    def stop(self) -> None:
        self.program.stop(seconds=1)


def _configuration(terms: PbxTerms) -> str:
    values = {
        "ADDRESS": terms.address,
        "PORT": str(terms.port),
        "MODULES": "\n".join(f'loadmodule "{module}.so"' for module in MODULES),
        "CHAIN": str(terms.certificate.chain),
        "KEY": str(terms.certificate.key),
        "GATEWAY_HOST": terms.gateway.partition(":")[0],
        "GATEWAY": terms.gateway,
        "PHONE": terms.phone,
    }
    return filled(CONFIGURATION, values)
