"""Reading the configuration: values, defaults, and one line for each mistake."""

import re
from pathlib import Path

import attrs
import pytest

from gateway.config.load import load
from gateway.config.model import (
    Admin,
    Configuration,
    ConfigurationError,
    Domain,
    Downgrade,
    GatewaySection,
    Listener,
    Media,
    Nameserver,
    PortRange,
    Provider,
    Security,
    Side,
    Signalling,
    SrtpOffer,
)
from gateway.sdp.crypto import SUITE_NAMES
from tests.support.small_configuration import SMALLEST

# The example of the documentation, every key in it.
NAMESERVERS = (Nameserver("127.0.0.1", 5300), Nameserver("::1", 53), Nameserver("::1", 5300))

WHOLE = """
[gateway]
name = "gw1"
state_directory = "state"
nameservers = ["127.0.0.1:5300", "::1", "[::1]:5300"]

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "127.0.0.1"
port = 5060
advertised_host = "sip.example.com"

[[listener]]
name = "provider"
side = "provider"
transport = "tls"
address = "::1"
port = 5061
certificate = "gateway.pem"
private_key = "gateway.key"
client_trust = "ca.pem"
dscp = 26

[media]
relay = "workers"
address = "127.0.0.1"
ports = "20000-20999"
workers = 2
rtpengine = ["127.0.0.1:22222=3", "[::1]:22222"]
phone_address = "10.0.0.1"
provider_address = "::1"
phone_advertised = "192.0.2.1"
provider_advertised = "2001:db8::1"
dscp = 34
ng_listen = "127.0.0.1:2223"
plain_rtcp = ["phones"]
gather_us = 0
silence_seconds = 0
constant_ssrc = ["phones", "provider"]
rtp_from_anywhere = ["phones"]
follow_port = ["provider"]
sequence_restarts = ["phones"]

[[provider]]
name = "main"
uri = "sip:provider.example.com;transport=tls"
trust = "ca.pem"
certificate = "gateway.pem"
private_key = "gateway.key"
srtp_offer = "dual"
suites = ["AES_CM_128_HMAC_SHA1_80"]
fallback_uri = "sips:[::1]:5061"

[[domain]]
name = "Example.com."
provider = "main"
security = "required"
downgrade = "refuse"
challenge = ["INVITE", "NOTIFY"]
restricted_access_domains = "voiceip.com; VOICEIP1.com,voiceip.com;"
emergency_numbers = ["911", "+49112"]
credentials = "users.toml"

[admin]
address = "127.0.0.2"
port = 8081
"""

ALL_TABLES = (
    "acme, admin, alert, blocklist, cluster, defence, domain, gateway, hep, limit, limits, listener, media, network, "
    "number, phone, posture, provider, provisioning, resync, resync_make"
)


def read(directory: Path, text: str) -> Configuration:
    """The configuration in `text`, beside the files it names."""
    for name in ("gateway.pem", "gateway.key", "ca.pem", "users.toml"):
        (directory / name).touch(mode=0o600)
    file = directory / "gateway.toml"
    file.write_text(text)
    return load(file)


WEB = SMALLEST.replace('"udp"', '"wss"', 1).replace(
    "[[listener]]",
    '[[listener]]\ncertificate = "c.pem"\nprivate_key = "c.key"\norigins = ["https://a.example"]',
    1,
)


def mistakes(directory: Path, text: str) -> list[str]:
    """The lines for what is wrong with `text`, less the name of the file, which begins each."""
    with pytest.raises(ConfigurationError) as caught:
        read(directory, text)
    start = f"{directory / 'gateway.toml'}: "
    assert all(line.startswith(start) and "\n" not in line for line in caught.value.errors)
    return [line.removeprefix(start) for line in caught.value.errors]


def test_every_key_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    certificate, key, ca = tmp_path / "gateway.pem", tmp_path / "gateway.key", tmp_path / "ca.pem"
    assert read(tmp_path, WHOLE) == Configuration(
        gateway=GatewaySection("gw1", tmp_path / "state", 30, NAMESERVERS),
        listeners=(
            Listener("phones", Side.PHONES, "udp", "127.0.0.1", 5060, "sip.example.com"),
            Listener("provider", Side.PROVIDER, "tls", "::1", 5061, None, certificate, key, ca, dscp=26),
        ),
        media=Media(
            "127.0.0.1",
            "workers",
            PortRange(20000, 20999),
            2,
            ("127.0.0.1:22222=3", "[::1]:22222"),
            phone_address="10.0.0.1",
            provider_address="::1",
            phone_advertised="192.0.2.1",
            provider_advertised="2001:db8::1",
            dscp=34,
            gather_us=0,
            silence_seconds=0,
            ng_listen="127.0.0.1:2223",
            plain_rtcp=(Side.PHONES,),
            constant_ssrc=(Side.PHONES, Side.PROVIDER),
            rtp_from_anywhere=(Side.PHONES,),
            follow_port=(Side.PROVIDER,),
            sequence_restarts=(Side.PHONES,),
        ),
        providers=(
            Provider(
                name="main",
                uri="sip:provider.example.com;transport=tls",
                trust=ca,
                certificate=certificate,
                private_key=key,
                srtp_offer=SrtpOffer.DUAL,
                suites=("AES_CM_128_HMAC_SHA1_80",),
                fallback_uri="sips:[::1]:5061",
            ),
        ),
        domains=(
            Domain(
                name="example.com",
                provider="main",
                security=Security.REQUIRED,
                downgrade=Downgrade.REFUSE,
                challenge=("INVITE", "NOTIFY"),
                restricted_access_domains=("voiceip.com", "voiceip1.com"),
                emergency_numbers=("911", "+49112"),
                credentials=tmp_path / "users.toml",
            ),
        ),
        admin=Admin("127.0.0.2", 8081),
        source=tmp_path / "gateway.toml",
    )


def test_what_is_left_out_has_the_documented_default(tmp_path: Path) -> None:
    configuration = read(tmp_path, SMALLEST)
    assert configuration.gateway.state_directory == Path("/var/lib/gateway")
    assert configuration.media == Media("127.0.0.1", "workers", PortRange(20000, 29999), 0, ())
    assert configuration.admin == Admin("127.0.0.1", 8080)
    (provider,) = configuration.providers
    assert (provider.trust, provider.srtp_offer, provider.suites) == ("system", SrtpOffer.SAVP, SUITE_NAMES)
    (domain,) = configuration.domains
    assert (domain.security, domain.downgrade, domain.challenge) == (Security.PREFERRED, Downgrade.ALERT, ())
    assert (domain.restricted_access_domains, domain.emergency_numbers) == ((), ("112", "911"))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = (
        WHOLE.replace('name = "gw1"', "name = 5\ncolour = 'red'")
        .replace('side = "phones"', 'side = "phone"')
        .replace("port = 5061", "port = true")
        .replace('security = "required"', 'security = "sometimes"')
        .replace('suites = ["AES_CM_128_HMAC_SHA1_80"]', 'suites = ["AES_CM_128_HMAC_SHA1_80", "NULL"]')
        .replace("[admin]", "[adm1n]")
    )
    assert mistakes(tmp_path, text) == [
        "gateway.name: found 5, allowed: a name of letters, digits, '.', '_' and '-', 63 at most",
        f"gateway.colour: is no key here, allowed: {', '.join(field.name for field in attrs.fields(GatewaySection))}",
        'listener[0].side: found "phone", allowed: phones, provider',
        "listener[1].port: found true, allowed: a number from 0 to 65535",
        f'provider[0].suites[1]: found "NULL", allowed: {", ".join(SUITE_NAMES)}',
        'domain[0].security: found "sometimes", allowed: required, preferred, off',
        "adm1n: is no table here, allowed: " + ALL_TABLES,
    ]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ('name = "gw1"\n', "", "gateway.name: is missing"),
        (
            'name = "gw1"\n',
            'name = "gw1"\nkeep_calls = false\nstop = "keep"\n',
            'gateway.stop: found "keep", but keep_calls = false: nothing is kept to go on with',
        ),
        ("[media]\n", "[other]\n", "media: is missing: a table [media] is needed"),
        ("[gateway]", "gateway = 5\n[other]", "gateway: found 5, allowed: a table"),
        ('state_directory = "/', 'state_directory = 5 # "/', "gateway.state_directory: found 5, allowed: a file name"),
        ("port = 5060", "port = 65536", "listener[0].port: found 65536, allowed: a number from 0 to 65535"),
        ("port = 5060", 'port = "5060"', 'listener[0].port: found "5060", allowed: a number from 0 to 65535'),
        ('"udp"', '"TLS"', 'listener[0].transport: found "TLS", allowed: udp, tcp, tls'),
        ("127.0.0.1", "localhost", 'listener[0].address: found "localhost", allowed: an IP address'),
        ("[media]\n", '[media]\nports = "30000-20000"\n', "media.ports: found"),
        ("[media]\n", '[media]\nports = "20000-20002"\n', "media.ports: found"),
        ("[media]\n", '[media]\nports = "1-20000"\n', "media.ports: found"),
        ("[media]\n", '[media]\nports = "6666-6669"\n', 'media.ports: found "6666-6669", allowed: 2 pairs'),
        ("[media]\n", '[media]\nports = "6665-6671"\n', "media.ports: found"),
        ("[media]\n", '[media]\nports = "20001-20004"\n', "media.ports: found"),
        ("[media]\n", '[media]\nports = "20000-70000"\n', "media.ports: found"),
        ("[media]\n", '[media]\nng_listen = "host:2223"\n', 'media.ng_listen: found "host:2223", allowed: IP:PORT'),
        ("[media]\n", '[media]\nng_listen = "[::1]:65535"\n', 'media.ng_listen: found "[::1]:65535", allowed: a port'),
        (
            'name = "gw1"\n',
            'name = "gw1"\nnameservers = "::1"\n',
            'gateway.nameservers: found "::1", allowed: an array',
        ),
        (
            'name = "gw1"\n',
            'name = "gw1"\nnameservers = ["dns.example.com"]\n',
            'gateway.nameservers[0]: found "dns.example.com", allowed: IP or IP:PORT, such as 127.0.0.1:53',
        ),
        (
            'name = "gw1"\n',
            'name = "gw1"\nnameservers = ["127.0.0.1:0"]\n',
            'gateway.nameservers[0]: found "127.0.0.1:0", allowed: IP or IP:PORT',
        ),
        (
            'name = "gw1"\n',
            'name = "gw1"\nsession_interval = 89\n',
            "gateway.session_interval: found 89, allowed: a number from 90 to 86400",
        ),
        ("[media]\n", "[media]\ndscp = 64\n", "media.dscp: found 64, allowed: a number from 0 to 63"),
        ("[media]\n", '[media]\nphone_address = "host"\n', 'media.phone_address: found "host", allowed: an IP address'),
        (
            "[media]\n",
            '[media]\nphone_address = "::1"\nphone_advertised = "192.0.2.1"\n',
            'media.phone_advertised: found "192.0.2.1", allowed: the IP version of "::1"',
        ),
        (
            "[media]\n",
            '[media]\nprovider_address = "0.0.0.0"\n',
            'media.provider_advertised: is missing: nobody can send media to "0.0.0.0"',
        ),
        ("[media]\n", "[media]\nworkers = 257\n", "media.workers: found 257, allowed: a number from 0 to 256"),
        ("[media]\n", '[media]\nrtpengine = ["x"]\n', 'media.rtpengine[0]: found "x", allowed: HOST:PORT'),
        ("[media]\n", '[media]\nrtpengine = ["h:1=0"]\n', 'media.rtpengine[0]: found "h:1=0", allowed: HOST:PORT'),
        ("[media]\n", '[media]\nrtpengine = "h:1"\n', 'media.rtpengine: found "h:1", allowed: an array'),
        ("sip:provider", "sip:user@provider", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:provider.example.com:99999", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:h;transport=sctp", "provider[0].uri: found"),
        ("sip:provider.example.com", "sips:h;transport=udp", "provider[0].uri: found"),
        ("sip:provider.example.com", "tel:112", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:[::1", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:h?subject=x", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:h;", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:h;transport=", "provider[0].uri: found"),
        ("sip:provider.example.com", "sip:h:0", "provider[0].uri: found"),
        (
            'provider = "main"',
            'provider = "main"\nrestricted_access_domains = "a.example; b.example"\nchallenge_exempt = "c.example"',
            'domain[0].challenge_exempt: found "c.example", allowed: names of domain[0].restricted_access_domains',
        ),
        (
            'provider = "main"',
            'provider = "main"\nlocal_calls = true',
            "domain[0].local_calls: found true, without credentials",
        ),
        (
            'provider = "main"',
            'provider = "main"\nchallenge_algorithms = ["MD5", "MD5"]',
            "domain[0].challenge_algorithms: found none or one twice",
        ),
        (
            'provider = "main"',
            'provider = "main"\nchallenge_algorithms = ["MD4"]',
            'domain[0].challenge_algorithms[0]: found "MD4"',
        ),
        ('provider = "main"', 'provider = "main"\nchallenge = ["ACK"]', 'domain[0].challenge[0]: found "ACK"'),
        ('provider = "main"', 'provider = "main"\nchallenge = ["invite"]', 'domain[0].challenge[0]: found "invite"'),
        ('provider = "main"', 'provider = "main"\nrestricted_access_domains = "a b"', "domain[0].restricted_access_do"),
        ('provider = "main"', 'provider = "main"\nrestricted_access_domains = [5]', "domain[0].restricted_access_do"),
        (
            'provider = "main"',
            'provider = "main"\nemergency_numbers = ["one"]',
            "domain[0].emergency_numbers[0]: found",
        ),
        ('provider = "main"', 'provider = "main"\nsuites = []', "domain[0].suites: is no key here"),
        ('"example.com"', '"-example.com"', 'domain[0].name: found "-example.com", allowed: a host name or an IP'),
        (
            '[[domain]]\nname = "example.com"\nprovider = "main"',
            "",
            "domain: is missing: at least one table [[domain]]",
        ),
    ],
)
def test_a_wrong_value_is_one_line(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    assert old in SMALLEST
    lines = mistakes(tmp_path, SMALLEST.replace(old, new, 1))
    assert [line for line in lines if line.startswith(mistake)], lines


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("plain_rtcp", '["phones"]'),
        ("constant_ssrc", '["provider"]'),
        ("follow_port", '["provider"]'),
        ("sequence_restarts", '["phones"]'),
        ("ng_listen", '"127.0.0.1:2223"'),
        ("gather_us", "0"),
        ("silence_seconds", "0"),
    ],
)
def test_what_only_workers_do_is_refused_with_rtpengine(tmp_path: Path, key: str, value: str) -> None:
    media = f'[media]\nrelay = "rtpengine"\nrtpengine = ["127.0.0.1:22222"]\n{key} = {value}\n'
    lines = mistakes(tmp_path, SMALLEST.replace("[media]\n", media))
    assert lines == [f'media.{key}: is for relay = "workers", found "rtpengine"']
    assert read(tmp_path, SMALLEST.replace("[media]\n", media.replace(f"{key} = {value}", ""))).media.rtpengine


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (SMALLEST.replace('side = "phones"', 'side = "provider"'), 'listener: none has side = "phones"'),
        (SMALLEST.replace('transport = "udp"', 'transprot = "udp"', 1), "listener[0].transport: is missing"),
        (
            SMALLEST.replace('name = "provider"', 'name = "phones"'),
            'listener[1].name: found "phones", which listener[0]',
        ),
        (
            SMALLEST.replace("5070", "5060"),
            'listener[1].port: found "udp 127.0.0.1 5060", which listener[0] has already',
        ),
        (SMALLEST.replace("127.0.0.1", "0.0.0.0", 1), "listener[0].advertised_host: is missing: nobody can answer to"),
        (
            SMALLEST.replace('"udp"', '"tls"', 1),
            "listener[0].certificate: is missing: a tls listener needs certificate",
        ),
        (SMALLEST.replace("[media]", '[media]\nrelay = "rtpengine"'), "media.rtpengine: is missing: relay ="),
        (
            SMALLEST.replace("[media]", '[media]\nworkers = 2\nports = "20000-20006"'),
            "media.workers: found 2, allowed: 1",
        ),
        (
            SMALLEST.replace("[media]", '[media]\nworkers = 2\nports = "10076-10083"'),
            "media.workers: found 2, allowed: 1 at most, two pairs of ports for each",
        ),
        (SMALLEST.replace('example.com"\n\n[[d', 'example.com;transport=tls"\n\n[[d'), "provider[0].uri: found"),
        (SMALLEST + 'fallback_uri = "sip:h"\n', "domain[0].fallback_uri: is no key here"),
        (
            SMALLEST.replace('main"\nuri', 'main"\nfallback_uri = "sip:h;transport=tcp"\nuri'),
            "provider[0].fallback_uri: fo",
        ),
        (SMALLEST.replace('main"\nuri', 'main"\nsuites = []\nuri'), "provider[0].suites: found none or one twice"),
        (
            SMALLEST.replace('provider = "main"', 'provider = "other"'),
            'domain[0].provider: found "other", allowed: main',
        ),
        (SMALLEST + '[[domain]]\nname = "EXAMPLE.com"\nprovider = "main"\n', "domain[1].name: found"),
        (
            SMALLEST.replace('main"\nuri', 'main"\ncertificate = "gateway.pem"\nuri'),
            "provider[0].private_key: is missing",
        ),
        (
            SMALLEST.replace('main"\nuri', 'main"\nprivate_key = "gateway.key"\nuri'),
            "provider[0].certificate: is missing",
        ),
        (
            WHOLE.replace('client_trust = "ca.pem"', "require_client_certificate = true"),
            "listener[1].client_trust: is missing",
        ),
        (
            SMALLEST.replace("[[listener]]", '[[listener]]\ntls_minimum = "1.3"', 1),
            "listener[0].tls_minimum: is for tra",
        ),
        (SMALLEST.replace("[[listener]]", '[[listener]]\nciphers = "ECDHE+AESGCM"', 1), "listener[0].ciphers: is for"),
        (
            SMALLEST.replace("[[listener]]", "[[listener]]\nrequire_client_certificate = true", 1),
            "listener[0].require_client_certificate: is for transport",
        ),
        (
            SMALLEST.replace("[[listener]]", '[[listener]]\norigins = ["https://a.example"]', 1),
            'listener[0].origins: is for transport = "wss", found "udp"',
        ),
        (
            WEB.replace('origins = ["https://a.example"]\n', ""),
            "listener[0].origins: is missing: a wss listener lets in",
        ),
        (
            WEB.replace('"phones"', '"provider"', 2),
            'listener[0].side: found "provider", allowed with transport = "wss"',
        ),
        (
            WEB.replace("certificate =", "#").replace("private_key =", "#"),
            "listener[0].certificate: is missing: a wss listener needs certificate and private_key",
        ),
    ],
)
def test_tables_that_do_not_fit_each_other_are_one_line(tmp_path: Path, text: str, mistake: str) -> None:
    lines = mistakes(tmp_path, text)
    assert [line for line in lines if line.startswith(mistake)], lines


@pytest.mark.parametrize("key", ["certificate", "private_key", "client_trust", "trust", "credentials"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, key: str) -> None:
    text = "\n".join(f'{key} = "gone"' if line.startswith(f"{key} =") else line for line in WHOLE.splitlines())
    lines = mistakes(tmp_path, text)
    assert all(line.endswith(f".{key}: {tmp_path / 'gone'} is no file") for line in lines), lines


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o640])
def test_credentials_that_group_or_others_may_read_or_write_are_refused(tmp_path: Path, mode: int) -> None:
    read(tmp_path, WHOLE)
    (tmp_path / "users.toml").chmod(mode)
    users = tmp_path / "users.toml"
    allowed = "allowed: nothing for group or others (0600)"
    assert mistakes(tmp_path, WHOLE) == [f"domain[0].credentials: {users} has mode {mode:04o}, {allowed}"]


@pytest.mark.parametrize("table", ["listener", "provider"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('tls_minimum = "1.1"', 'found "1.1", allowed: 1.2, 1.3'),
        ('ciphers = "nonsense"', 'found "nonsense", allowed: a cipher list that OpenSSL understands'),
        ('ciphers = "TLS_AES_128_GCM_SHA256"', "leaves a cipher of TLS 1.2"),
        ('ciphers = "HIGH"', "ADH-AES256-GCM-SHA384"),
        ('ciphers = "ECDHE+AESGCM:eNULL:@SECLEVEL=0"', "no weak ciphers"),
        ("ciphers = 5", "found 5, allowed: a cipher list"),
    ],
)
def test_terms_of_tls_that_protect_from_nobody_are_refused(tmp_path: Path, table: str, line: str, told: str) -> None:
    found, *_ = mistakes(tmp_path, SMALLEST.replace(f"[[{table}]]", f"[[{table}]]\n{line}", 1))
    assert found.startswith(f"{table}[0].{line.split()[0]}: ")
    assert told in found


def test_terms_of_tls_that_are_good_are_taken(tmp_path: Path) -> None:
    listener = 'tls_minimum = "1.3"\nciphers = "HIGH:!aNULL:!eNULL"\nclient_trust'
    provider = 'tls_minimum = "1.3"\nallow_wildcards = true\ncommon_name = true\nuri'
    text = WHOLE.replace("client_trust", f"require_client_certificate = true\n{listener}", 1)
    configuration = read(tmp_path, text.replace("uri", provider, 1))
    own, peer = configuration.listeners[1], configuration.providers[0]
    assert (own.require_client_certificate, own.tls_minimum, own.ciphers) == (True, "1.3", "HIGH:!aNULL:!eNULL")
    assert (peer.tls_minimum, peer.ciphers, peer.allow_wildcards, peer.common_name) == ("1.3", None, True, True)


def test_a_wrong_provider_is_no_unknown_provider(tmp_path: Path) -> None:
    # One mistake, one line: the domain that names the provider is right.
    (line,) = mistakes(tmp_path, SMALLEST.replace("sip:provider.example.com", "tel:112"))
    assert line.startswith("provider[0].uri: ")


HIDDEN = (
    SMALLEST.replace('name = "phones"', 'name = "phones"\nprivate_key = "gone.key"\nnat_interval = -1', 1)
    .replace('name = "main"', 'name = "main"\nsuites = []\nsrtp_offer = "best"\ntrust = "gone.pem"', 1)
    .replace('provider = "main"', 'provider = "other"\nsecurity = "sometimes"\nchallenge_algorithms = []', 1)
    .replace("[media]", '[media]\nrelay = "rtpengine"\ndscp = 64\nfollow_port = ["phones"]\nworkers = 100000', 1)
)
"""Each table has a value that is wrong by itself, and others that are wrong only beside the rest."""


@pytest.mark.parametrize(
    "start",
    [
        "listener[0].nat_interval: found -1",
        "listener[0].certificate: is missing: certificate and private_key go together",
        "listener[0].private_key: ",
        "provider[0].srtp_offer: found",
        "provider[0].suites: found none",
        "provider[0].trust: ",
        "domain[0].security: found",
        'domain[0].provider: found "other", allowed: main',
        "domain[0].challenge_algorithms: found none",
        "media.dscp: found 64",
        "media.workers: found 100000",
        "media.rtpengine: is missing",
        "media.follow_port: is for relay",
    ],
)
def test_a_wrong_value_hides_no_other_mistake_of_its_table(tmp_path: Path, start: str) -> None:
    lines = mistakes(tmp_path, HIDDEN)
    assert len([line for line in lines if line.startswith(start)]) == 1, lines


def test_a_wrong_value_makes_no_mistakes_of_its_own(tmp_path: Path) -> None:
    text = WHOLE.replace('transport = "tls"', 'transport = "tlss"').replace('relay = "workers"', 'relay = "worker"')
    lines = mistakes(tmp_path, text.replace("sip:provider.example.com;transport=tls", "sip:provider.example.com"))
    assert [line.split(": found")[0] for line in lines if "fallback_uri" not in line] == [
        "listener[1].transport",
        "media.relay",
    ]


def test_encryption_is_not_required_of_a_provider_without_any(tmp_path: Path) -> None:
    """Nothing but emergency calls would ever be put through."""
    text = WHOLE.replace('transport = "tls"', 'transport = "udp"').replace(
        "sip:provider.example.com;transport=tls", "sip:provider.example.com;transport=udp"
    )
    lines = mistakes(tmp_path, text.replace('fallback_uri = "sips:[::1]:5061"', ""))
    assert [line for line in lines if line.startswith('domain[0].security: found "required", but provider main')], lines
    assert "transport=tls" in lines[-1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gateway\nname = 5", "line 1, column 9, table gateway: Expected ']'"),
        ("[media]\naddress = 192.0.2.1", 'line 2, column 16, key address: Expected newline or end of document.*"..."'),
        ("[gateway]\nname = gw1", r'line 2, column 8, key name: .*in quotes \(name = "..."\)'),
        ('[gateway]\nname = "gw1\nport = 5', "line 2, .*the quote that ends the text is missing"),
        ("a = True", "key a: .*small letters"),
        ("name = \u201cgw1\u201d", "straight quotes"),
        ("a = 1\na = 2\n[b]", "line 2, .*a stands twice"),
        ("a =\nb = 1", "a has no value"),
        ('a = "1" b = "2"', "nothing but a comment"),
        ("port 5060", "key = value"),
        ("[[domain]]\n[domain]", r"each of several \[\[name"),
        ("a = [1,", "end of the file"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place_and_a_hint(tmp_path: Path, text: str, told: str) -> None:
    (line,) = mistakes(tmp_path, text)
    assert line.startswith("is not TOML: ")
    assert re.search(told, line), line


def test_a_value_that_is_no_toml_is_not_shown(tmp_path: Path) -> None:
    """It may be a password that somebody wrote into the wrong file."""
    assert "s3cret" not in " ".join(mistakes(tmp_path, "[gateway]\nname = s3cret"))


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    read(tmp_path, WHOLE)
    file = tmp_path / "marked.toml"
    file.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load(file).gateway.name == "gw1"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        load(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe4"')
    with pytest.raises(ConfigurationError, match="is not UTF-8 at byte 8"):
        load(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("https://Intranet.Example.com", "https://intranet.example.com"),
        ("https://a.example:443", "https://a.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_rfc6454_6_1_origins_are_read_as_browsers_send_them(tmp_path: Path, written: str, read_as: str) -> None:
    for name in ("c.pem", "c.key"):
        (tmp_path / name).touch()
    assert read(tmp_path, WEB.replace("https://a.example", written)).listeners[0].origins == (read_as,)


@pytest.mark.parametrize(
    "written", ["*", "null", "a.example", "https://a.example/", "wss://a.example", "https://", "https://a.example:0x1"]
)
def test_origins_that_no_browser_sends_are_refused(tmp_path: Path, written: str) -> None:
    (line,) = [one for one in mistakes(tmp_path, WEB.replace("https://a.example", written)) if ".origins" in one]
    assert line.startswith(f'listener[0].origins[0]: found "{written}", allowed: the origin of a page')


@pytest.mark.parametrize(
    ("provider", "domain", "told"),
    [
        ('["PCMA", "pcma"]', "", "provider[0].codecs: found one twice, allowed: each once"),
        ('["telephone-event", "CN"]', "", "provider[0].codecs: has no codec to talk with, such as PCMA, beside"),
        (
            '["PCMA/8000"]',
            "",
            'provider[0].codecs[0]: found "PCMA/8000", allowed: the name of a codec without its clock',
        ),
        ('["PCMA", "rtx"]', "", 'provider[0].codecs[1]: found "rtx", allowed: a codec whose parameters name no other'),
        ('["PCMA", "CN"]', '["opus", "CN"]', "domain[0].codecs: has none of provider main, whose codecs are PCMA, CN"),
    ],
)
def test_a_list_of_codecs_leaves_one_to_talk_with(tmp_path: Path, provider: str, domain: str, told: str) -> None:
    text = SMALLEST.replace("\n[[domain]]", f"codecs = {provider}\n\n[[domain]]")
    found = mistakes(tmp_path, text + (f"codecs = {domain}\n" if domain else ""))
    assert any(line.startswith(told) for line in found), found


SECURE = SMALLEST.replace("sip:provider.example.com", "sip:provider.example.com;transport=tls").replace(
    'side = "provider"\ntransport = "udp"',
    'side = "provider"\ntransport = "tls"\ncertificate = "a.pem"\nprivate_key = "a.pem"',
)
SECOND = "sip:second.example.com;transport=tls"


@pytest.mark.parametrize(
    ("site", "keys", "told"),
    [
        (SECURE, f'more_uris = ["{SECOND}"]\ncontact_host = "SBC1.contoso.com"', ""),
        (SECURE, f'more_uris = ["{SECOND}", "{SECOND}"]', "provider[0].more_uris: found one twice"),
        (SECURE, 'more_uris = ["sip:second.example.com;transport=udp"]', "provider[0].more_uris[0]: found"),
        (SECURE, 'contact_host = "192.0.2.10"', 'provider[0].contact_host: found "192.0.2.10", allowed: a name'),
        (SMALLEST, 'contact_host = "gw.example.com"', "provider[0].contact_host: found"),
    ],
)
def test_further_servers_and_our_name_toward_them(tmp_path: Path, site: str, keys: str, told: str) -> None:
    (tmp_path / "a.pem").write_text("")
    if site is SMALLEST:
        site = SMALLEST.replace("sip:provider.example.com", "sip:provider.example.com;transport=udp")
    text = site.replace("\n[[domain]]", f"{keys}\n\n[[domain]]")
    if told:
        assert any(line.startswith(told) for line in mistakes(tmp_path, text))
        return
    (provider,) = read(tmp_path, text).providers
    assert (provider.more_uris, provider.contact_host) == ((SECOND,), "sbc1.contoso.com")
    assert provider.uris_for(Signalling.TLS) == (provider.uri, SECOND)
    assert provider.uris_for(Signalling.CLEAR) == ()
