"""Kamailio with its module rtpengine, asking a relay of ours; sipp calls and answers through it.

The parties' SDP is the test's, so that it holds the media sockets; the signalling is theirs.
"""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from tests.support.calls.hosts import is_bound
from tests.support.calls.processes import Program, find_program, wait_until

CONFIGURATION = """\
#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
listen=udp:@ADDRESS@:5060
auto_aliases=no
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:@NG@")
modparam("rtpengine", "rtpengine_disable_tout", 5)

request_route {
    if (is_method("BYE")) rtpengine_delete();
    if (has_totag()) {
        if (loose_route()) t_relay();
        exit;
    }
    if (is_method("INVITE")) {
        record_route();
        if (!rtpengine_offer("@FLAGS@")) { sl_send_reply("500", "No Relay"); exit; }
        t_on_reply("ANSWERED");
    }
    $du = "sip:@NEXT@:5060";
    t_relay();
}

onreply_route[ANSWERED] {
    if (has_body("application/sdp")) rtpengine_answer("replace-origin replace-session-connection ICE=remove");
}
"""

CALLER = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="caller">
  <send retrans="500"><![CDATA[
INVITE sip:callee@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=caller[call_number]
To: <sip:callee@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

@SDP@
]]></send>
  <recv response="100" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:caller@[local_ip]>;tag=caller[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <pause milliseconds="1500"/>
  <send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:caller@[local_ip]>;tag=caller[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
"""

CALLEE = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="callee">
  <recv request="INVITE" rrs="true"/>
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:];tag=callee[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:callee@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

@SDP@
]]></send>
  <recv request="ACK"/>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


@attrs.frozen
class Sides:
    """Addresses of the caller, the proxy and the callee; all use port 5060."""

    caller: str
    proxy: str
    callee: str


def kamailio(directory: Path, sides: Sides, ng: str, flags: str) -> Program:
    """The proxy, started. It asks the relay whether it is there before it takes calls."""
    file = directory / "kamailio.cfg"
    text = CONFIGURATION
    for name, value in (("ADDRESS", sides.proxy), ("NG", ng), ("FLAGS", flags), ("NEXT", sides.callee)):
        text = text.replace(f"@{name}@", value)
    file.write_text(text)
    argv = [find_program("kamailio", "kamailio"), "-DD", "-E", "-f", str(file), "-m", "64", "-M", "8"]
    program = Program([*argv, "-Y", str(directory), "-w", str(directory)], directory / "kamailio.log", cwd=directory)
    program.wait_until("its port is open", lambda: is_bound(sides.proxy, 5060))
    return program


def sipp(directory: Path, role: str, own: str, proxy: str, sdp: bytes) -> Program:
    """The caller or the callee of one call, whose SDP is `sdp`."""
    script = directory / f"{role}.xml"
    scenario = CALLER if role == "caller" else CALLEE
    script.write_text(scenario.replace("@SDP@", sdp.decode().replace("\r\n", "\n").rstrip()))
    argv = [find_program("sipp", "sip-tester"), proxy, "-sf", str(script), "-i", own, "-p", "5060", "-m", "1"]
    argv += ["-nostdin", "-nd", "-timeout", "20", "-trace_msg", "-message_file", str(directory / f"{role}.messages")]
    program = Program([*argv, "-mi", own, "-ci", own], directory / f"{role}.log", cwd=directory)
    if role == "callee":
        program.wait_until("its port is open", lambda: is_bound(own, 5060))
    return program


def received_sdp(directory: Path, role: str) -> bytes:
    """The SDP that came to the caller or callee, as soon as it came."""
    file = directory / f"{role}.messages"

    def found() -> list[str]:
        messages = re.split(r"^-{10,}.*$", file.read_text() if file.exists() else "", flags=re.M)
        return [part for part in messages if "message received" in part and "\nm=audio" in part.replace("\r", "")]

    wait_until(f"SDP at the {role}", lambda: bool(found()), 8)
    return re.sub(r"\r?\n", "\r\n", found()[0][found()[0].index("v=0") :]).encode()
