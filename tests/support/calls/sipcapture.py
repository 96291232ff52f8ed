"""Kamailio's sipcapture as the receiver of HEP, over TLS: an implementation that nobody here wrote, and its log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.calls.certificates import Certificate
from tests.support.calls.hosts import is_listening
from tests.support.calls.processes import Program, find_program

CONFIGURATION = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=1
enable_tls=yes
tcp_accept_hep3=yes
# It looks for the Content-Length of the packet before it knows that this is none of SIP.
tcp_accept_no_cl=yes
listen=tls:{address}:{port}
loadmodule "tls.so"
loadmodule "sipcapture.so"
loadmodule "db_text.so"
loadmodule "pv.so"
loadmodule "xlog.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{chain}")
modparam("tls", "private_key", "{key}")
modparam("xlog", "buf_size", 200000)
modparam("sipcapture", "db_url", "text://{directory}/db")
modparam("sipcapture", "capture_on", 1)
modparam("sipcapture", "hep_capture_on", 1)
modparam("sipcapture", "nonsip_hook", 1)
modparam("sipcapture", "insert_retries", 5)
modparam("sipcapture", "insert_retry_timeout", 10)
request_route {{ drop; }}
event_route[sipcapture:request] {{
    xlog("L_ALERT", "hep kind=$hep(0x00b) call=$hep(0x011) from=$hep(0x003):$hep(0x007) to=$hep(0x004):$hep(0x008) "
        + "id=$hep(0x00c) password=$hep(0x00e) payload=$(hep(0x00f){{s.encode.hexa}})\\n");
    drop;
}}
"""

LINE = re.compile(
    r"hep kind=(?P<kind>\d+) call=(?P<call>\S*) from=(?P<source>\S+) to=(?P<destination>\S+) id=(?P<id>\d+) "
    r"password=(?P<password>\S*) payload=(?P<payload>[0-9a-f]*)"
)


class Captured(NamedTuple):
    """One packet that sipcapture read."""

    kind: int
    call: str
    source: str
    destination: str
    id: int
    password: str
    payload: bytes


class Sipcapture:
    """A receiver that can be stopped and started again."""

    def __init__(self, address: str, port: int, certificate: Certificate, directory: Path) -> None:
        (directory / "db").mkdir(parents=True, exist_ok=True)
        (directory / "db" / "version").touch()
        self.to = f"tls:{address}:{port}"
        self._place = address, port
        self._directory = directory
        self._configuration = directory / "sipcapture.cfg"
        self._configuration.write_text(
            CONFIGURATION.format(
                address=address, port=port, chain=certificate.chain, key=certificate.key, directory=directory
            )
        )
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        argv = [find_program("kamailio", "kamailio"), "-f", str(self._configuration), "-DD", "-E", "-m", "64"]
        self.program = Program(argv, self._directory / "sipcapture.log", cwd=self._directory)
        self.program.wait_until("listening", lambda: is_listening(*self._place), 10)

    def stop(self) -> None:
        """End it."""
        self.program.stop()

    def packets(self) -> list[Captured]:
        """All that it read so far."""
        return [
            Captured(
                int(found["kind"]),
                found["call"],
                found["source"],
                found["destination"],
                int(found["id"]),
                found["password"],
                bytes.fromhex(found["payload"]),
            )
            for found in LINE.finditer(self.program.text())
        ]
