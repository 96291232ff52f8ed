"""A PBX that does not register: Debian's Kamailio, with TLS and SRTP on both legs, and no password of its own."""

from __future__ import annotations

from tests.support.calls.pbx import PbxKamailio, PbxTerms
from tests.support.calls.stage import BOB, DOMAIN, PASSWORDS, Stage
from tests.support.calls.telephone import Line

NUMBER = "4930123450"

TABLES = """
[[listener]]
name = "pbxs"
side = "phones"
transport = "tls"
address = "{gateway}"
port = {port}
certificate = "{chain}"
private_key = "{key}"
client_trust = "{trust}"

[[phone]]
name = "office"
domain = "{domain}"
addresses = [{addresses}]
numbers = ["+{number}"]
trust = "{trust}"
certificate = "{chain}"
private_key = "{key}"
account = "{number}"
register = true
"""


def test_a_kamailio_calls_and_is_called_without_a_password_and_at_its_second_address(stage: Stage) -> None:
    """The provider challenges the gateway's registration and the PBX's call; the gateway answers (RFC 3261 section
    22.3). The PBX is known by its certificate. Its first address is killed, and calls go to the second."""
    line = stage.pbx_line(NUMBER)
    first, second = start_pbxs(stage, line)
    gateway = stage.gateway
    assert gateway is not None
    bob = stage.pjsua_far_end()
    bob.register()
    stage.wait_registered_at_provider(NUMBER)
    for pbx in (first, second):
        pbx.wait_up()
    office = stage.pbx_phone(line, second)

    office.call(BOB)
    bob.wait_ringing()
    bob.answer()
    office.wait_answered()
    stage.talk(1.2)
    office.hangup()
    bob.wait_ended()
    stage.assert_recording(bob, 0.6, of="alice")

    first.kill()
    bob.call(f"sip:{NUMBER}@{DOMAIN}")
    office.wait_ringing()
    office.answer()
    bob.wait_answered()
    bob.hangup()
    office.wait_ended()
    gateway.wait_idle()

    assert gateway.verdicts() == {"outbound": "ENCRYPTED", "inbound": "ENCRYPTED"}
    assert (first.calls(), second.calls()) == (0, 2)
    stage.judge_provider_side(stage.capture.stop()).assert_clean()
    stage.assert_gateway_is_well()


def start_pbxs(stage: Stage, line: Line) -> tuple[PbxKamailio, PbxKamailio]:
    """The gateway, and the two servers of one PBX."""
    hosts, gateway = stage.hosts, stage.scenery.certificates["gateway"]
    port, places = (
        hosts.port(hosts.gateway),
        [(hosts.host(number), hosts.port(hosts.host(number))) for number in (51, 52)],
    )
    servers = []
    for number, (address, its_port) in enumerate(places):
        terms = PbxTerms(
            address=address,
            port=its_port,
            certificate=stage.scenery.authority.issue(f"pbx{number}", address),
            gateway=f"{hosts.gateway}:{port}",
            phone=f"sip:{NUMBER}@{line.address}:{line.sip_port};transport=tls",
        )
        servers.append(stage.keep(PbxKamailio(terms, stage.directory / f"pbx{number}")))
    credentials = stage.directory / "credentials.toml"
    credentials.write_text(f'{NUMBER} = "{PASSWORDS[NUMBER]}"\n')
    credentials.chmod(0o600)
    stage.domain_keys = f'credentials = "{credentials}"\nregion = "DE"'
    stage.more = TABLES.format(
        gateway=hosts.gateway,
        port=port,
        chain=gateway.chain,
        key=gateway.key,
        trust=stage.scenery.authority.trust,
        domain=DOMAIN,
        number=NUMBER,
        addresses=", ".join(f'"sip:{address}:{its_port};transport=tls"' for address, its_port in places),
    )
    stage.start_gateway()
    return servers[0], servers[1]
