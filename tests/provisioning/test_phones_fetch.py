"""Phones fetch their files from a running gateway: curl plays them over HTTPS, HTTP and TFTP."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.calls.capture import Capture
from tests.support.calls.hosts import Hosts
from tests.support.calls.processes import find_program, wait_until
from tests.support.phone_files import NAME, PASSWORD, POLYCOM, SNOM, SPA, STRANGER, YEALINK, PhoneFiles
from tests.support.tls_authority import Authority
from tests.support.written import written_in

SNOM_ASKS = """\
SUBSCRIBE sip:MAC%3a{mac}@224.0.1.75 SIP/2.0
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK-1
From: <sip:MAC%3a{mac}@224.0.1.75>;tag=a1
To: <sip:MAC%3a{mac}@224.0.1.75>
Call-ID: 1234@{host}
CSeq: 1 SUBSCRIBE
Event: ua-profile;profile-type="device";vendor="snom";model="snomD735";version="10.1.42.14"
Expires: 0
Accept: application/url
Contact: <sip:{host}:{port}>
Content-Length: 0

"""


@pytest.fixture(scope="module")
def files() -> Iterator[PhoneFiles]:
    directory, hosts = Path(tempfile.mkdtemp(prefix="phones-")), Hosts.claim()
    made = PhoneFiles(hosts, directory, more="pnp = true")
    try:
        made.begin()
        yield made
    finally:
        made.close()
        hosts.release()


def test_a_phone_with_its_makers_certificate_gets_its_file(files: PhoneFiles) -> None:
    got = files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK))
    assert got.status == 200
    assert "account.1.sip_server.1.transport_type = 2\n" in got.text
    assert "account.1.srtp_encryption = 2\n" in got.text
    assert f"account.1.password = {PASSWORD}\n" in got.text
    assert f"account.1.outbound_proxy.1.port = {files.tls}\n" in got.text
    assert "not tried on a device" in got.text
    assert got.fields["cache-control"] == "no-store"


def test_all_that_is_not_proved_gets_one_answer(files: PhoneFiles) -> None:
    other = Authority(files.directory, "Other CA")
    first = files.get(f"/{YEALINK}.cfg")
    assert first.status == 404
    answers = [
        files.get("/000000000000.cfg"),
        files.get(f"/{STRANGER}.cfg"),
        files.get("/index.html"),
        files.get("/"),
        files.get(f"/p/{'a' * 26}/{YEALINK}.cfg"),
        files.get(f"/e/{'a' * 26}/{YEALINK}.cfg"),
        files.get(f"/p//{YEALINK}.cfg"),
        files.get(f"//{YEALINK}.cfg"),
        files.get(f"/..%2f{YEALINK}.cfg"),
        files.get(f"/p/../{YEALINK}.cfg"),
        files.get(f"/{YEALINK}.cfg%00"),
        files.get("/" + "a" * 8000),
        files.get(f"/{YEALINK}.cfg", phone=files.phone(STRANGER)),
        files.get(f"/{YEALINK}.cfg", phone=files.phone(SNOM)),
        files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK, other)),
        files.get(f"/{YEALINK}.cfg", phone=files.makers.issue("generic", common_name="yealink.com")),
        files.get(f"/{YEALINK}.cfg", "-X", "DELETE"),
        files.get(f"/{YEALINK}.cfg", scheme="http"),
        files.get(f"/{YEALINK}-boot.log", "-X", "PUT", "--data-binary", "x" * 1000),
    ]
    for answer in answers:
        different = {key for key in {*first.fields, *answer.fields} if first.fields.get(key) != answer.fields.get(key)}
        assert (answer.status, answer.body) == (404, first.body)
        assert different <= {"date"}


def test_a_mismatch_is_told(files: PhoneFiles) -> None:
    assert files.get(f"/{POLYCOM}.cfg", phone=files.phone(SNOM)).status == 404
    wait_until("it is told", lambda: files.events("security.provisioning_mismatch") != [], 10)
    (event, *_) = [one for one in files.events("security.provisioning_mismatch") if one["who"] == SNOM]
    assert event["severity"] == "warning"


def test_a_token_opens_its_own_file_until_it_is_rotated(files: PhoneFiles) -> None:
    folder = files.url_of(files.get(f"/{SNOM}.xml", phone=files.phone(SNOM)).text)
    got = files.get(f"{folder}{SNOM}.xml")
    assert got.status == 200
    assert files.get(f"{folder}snomD785-{SNOM.upper()}.htm").body == got.body
    assert files.get(f"{folder}{YEALINK}.cfg").status == 404
    assert files.get(f"{folder}{SNOM}.xml", scheme="http").status == 404
    tree = ElementTree.fromstring(got.body)
    assert [one.text for one in tree.iter("user_pass")] == [PASSWORD]
    assert [one.text for one in tree.iter("user_savp")] == ["mandatory"]
    files.api(f"/{SNOM}/rotate")
    assert files.get(f"{folder}{SNOM}.xml").status == 404
    assert files.get(f"/{SNOM}.xml", phone=files.phone(SNOM)).status == 200


def test_a_file_that_a_phone_has_is_not_sent_again(files: PhoneFiles) -> None:
    phone = files.phone(POLYCOM)
    name = f"/gateway-{POLYCOM}.cfg"
    master = files.get(f"/{POLYCOM}.cfg", phone=phone)
    assert f'CONFIG_FILES="{name[1:]}"' in master.text
    head = files.get(name, "--head", phone=phone)
    assert head.status == 200
    assert head.body == b""
    assert files.api(f"/{POLYCOM}")["state"] == "never"
    got = files.get(name, "--range", "0-10", phone=phone)
    assert got.status == 200
    assert got.fields["etag"] == head.fields["etag"]
    assert len(got.body) == int(head.fields["content-length"])
    attributes = ElementTree.fromstring(got.body)[0].attrib
    assert attributes["reg.1.auth.password"] == PASSWORD
    assert attributes["sec.srtp.require"] == "1"
    again = files.get(name, "--header", f"If-None-Match: {got.fields['etag']}", phone=phone)
    assert again.status == 304
    assert again.body == b""
    assert files.api(f"/{POLYCOM}")["state"] == "current"
    log = files.get(f"/{POLYCOM}-boot.log", "-X", "PUT", "--data-binary", "x" * 60_000, phone=phone)
    assert log.status == 204


def test_a_new_phone_is_led_to_its_file_in_a_window_alone(files: PhoneFiles) -> None:
    assert files.get(f"/{SPA}.xml", scheme="http").status == 404
    assert posture(files) == {"EXP-4": "pass", "EXP-5": "pass", "EXP-7": "warn"}
    files.api("/enrol", device=SPA, seconds=60)
    assert posture(files) == {"EXP-4": "pass", "EXP-5": "warn", "EXP-7": "pass"}
    common = files.get("/spa504G.cfg", scheme="http")
    assert f"http://{NAME}:{files.http}/$MA.xml" in common.text
    assert files.get(f"/{YEALINK}.cfg", scheme="http").status == 404
    first = files.get(f"/{SPA}.xml", scheme="http")
    assert first.status == 200
    assert PASSWORD not in first.text
    rule = next(one.text or "" for one in ElementTree.fromstring(first.body).iter("Profile_Rule"))
    found = re.fullmatch(r"\[--key (\w{26})\]http://[^/]+(/e/\w{26}/)\$MA\.xml", rule)
    assert found
    sealed = files.get(f"{found[2]}{SPA}.xml", scheme="http")
    assert sealed.status == 200
    assert sealed.body.startswith(b"Salted__")
    opened = opened_with(found[1], sealed.body)
    assert next(one.text for one in ElementTree.fromstring(opened).iter("Password_1_")) == PASSWORD
    assert next(one.text for one in ElementTree.fromstring(opened).iter("SIP_Transport_1_")) == "TLS"
    assert files.get(f"/p/{found[2].split('/')[2]}/{SPA}.xml").status == 404
    assert files.get(f"/{SPA}.xml", scheme="http").status == 404  # it came, and needs no first file any more


def posture(files: PhoneFiles) -> dict[str, str]:
    """The results of the checks that are about phones' files."""
    found = json.loads(files.ctl("assess", "--format", "json"))["findings"]
    return {one["id"]: one["result"] for one in found if one["id"] in ("EXP-4", "EXP-5", "EXP-7")}


def opened_with(key: str, data: bytes) -> bytes:
    """A profile, opened by OpenSSL's own program."""
    argv = [find_program("openssl", "openssl"), "enc", "-d", "-aes-256-cbc", "-md", "md5", "-k", key]
    return subprocess.run(argv, input=data, capture_output=True, check=True, timeout=20).stdout


def test_tftp_gives_first_files_in_a_window_alone(files: PhoneFiles) -> None:
    url = f"tftp://{files.rig.hosts.gateway}:{files.tftp}"
    assert curl_tftp(f"{url}/{YEALINK}.cfg").returncode == 68  # error 1
    files.ctl("provision", "enrol", YEALINK, "--for", "1m")
    done = curl_tftp(f"{url}/{YEALINK}.cfg")
    assert done.returncode == 0
    folder = files.url_of(done.stdout.decode())
    assert PASSWORD.encode() not in done.stdout
    assert curl_tftp(f"{url}/spa504G.cfg").returncode == 0
    assert curl_tftp(f"{url}/{SNOM}.xml").returncode == 68
    assert curl_tftp(f"{url}/{YEALINK}.cfg", "--upload-file", str(files.devices)).returncode == 69  # error 2
    assert files.get(f"{folder}{YEALINK}.cfg").status == 200
    files.ctl("provision", "enrol", YEALINK, "--for", "1m")
    assert curl_tftp(f"{url}/{YEALINK}.cfg").returncode == 0
    assert "is closed" in files.ctl("provision", "close", YEALINK)
    assert curl_tftp(f"{url}/{YEALINK}.cfg").returncode == 68
    assert "No window is open" in files.ctl("provision", "close", YEALINK, fails=True)
    assert '"enrolment closed"' in (files.rig.state / "audit.jsonl").read_text()


def test_a_tftp_client_of_another_house_gets_it_and_nobody_on_the_way_reads_a_password(files: PhoneFiles) -> None:
    host = files.rig.hosts.gateway
    files.api(f"/{SPA}/rotate")
    files.api("/enrol", device=SPA, seconds=60)
    capture = Capture([host], files.directory / "capture")
    try:
        for mode in ("binary", "ascii"):
            got = files.directory / f"got-{mode}"
            argv = [find_program("tftp", "tftp-hpa"), "-m", mode, host, str(files.tftp), "-c", "get", f"{SPA}.xml"]
            subprocess.run([*argv, str(got)], capture_output=True, check=True, timeout=20)
            ElementTree.fromstring(got.read_bytes())
        rule = next(one.text or "" for one in ElementTree.fromstring(got.read_bytes()).iter("Profile_Rule"))
        folder = re.search(r"(/e/\w{26}/)", rule)
        assert folder
        assert files.get(f"{folder[1]}{SPA}.xml", scheme="http").status == 200
        assert files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK)).status == 200
        assert curl_tftp(f"tftp://{host}:{files.tftp}/{SPA}.xml").returncode == 68
    finally:
        capture.stop()
    data = capture.path.read_bytes()
    assert folder[1].encode() in data
    assert b"Salted__" in data
    for secret in (PASSWORD, "s3cret", "Reception"):
        assert secret.encode() not in data


def curl_tftp(url: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    argv = [find_program("curl", "curl"), "--silent", "--max-time", "10", *options, url]
    return subprocess.run(argv, capture_output=True, check=False, timeout=20)


def test_a_phone_that_asks_everybody_is_told_its_url_in_a_window_and_nothing_before(files: PhoneFiles) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as phone:
        host = files.rig.hosts.phone
        phone.bind((host, 0))
        phone.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(host))
        text = SNOM_ASKS.format(mac=SNOM.upper(), host=host, port=phone.getsockname()[1])
        asks = text.replace("\n", "\r\n").encode()
        phone.settimeout(0.7)
        phone.sendto(asks, ("224.0.1.75", 5060))
        with pytest.raises(TimeoutError):
            phone.recv(65_535)
        files.api("/enrol", device=SNOM, seconds=60)
        phone.settimeout(5)
        phone.sendto(asks, ("224.0.1.75", 5060))
        answer, (source, port) = phone.recvfrom(65_535)
        notify = phone.recv(65_535).decode()
    assert answer.startswith(b"SIP/2.0 200 ")
    assert (source, port == 5060) == (files.rig.hosts.gateway, False)
    assert notify.endswith(f"\r\n\r\nhttp://{NAME}:{files.http}/{{mac}}.xml")
    assert PASSWORD not in notify
    first = files.get(f"/{SNOM}.xml", scheme="http")
    assert first.status == 200
    assert files.url_of(first.text)


def test_a_device_that_is_not_known_is_seen_and_adopted(files: PhoneFiles) -> None:
    new = "805ec0445566"
    agent = f"Yealink SIP-T46S 66.85.0.5 {':'.join(re.findall('..', new))}"
    assert files.get(f"/{new}.cfg", "--user-agent", agent, phone=files.phone(new)).status == 404
    (seen,) = [one for one in files.api()["seen"] if one["device"] == new]
    assert (seen["make"], seen["model"], seen["is_certified"]) == ("yealink", "SIP-T46S", True)
    assert "no password" in files.ctl("provision", "adopt", new, "--user", "106@example.com", fails=True)
    files.ctl("provision", "adopt", new, "--user", "105@example.com")
    assert f"account.1.password = {PASSWORD}" in files.get(f"/{new}.cfg", phone=files.phone(new)).text
    assert PASSWORD not in files.api(f"/{new}/file")["text"]
    assert PASSWORD in files.ctl("provision", "render", new)
    assert files.api(f"/{new}")["users"] == ["105@example.com"]
    assert new in files.ctl("provision", "list")
    assert files.api(f"/{new}/drop") == {"device": new}
    assert files.get(f"/{new}.cfg", phone=files.phone(new)).status == 404
    for word in ("device adopted", "device rendered", "device dropped"):
        assert word in (files.rig.state / "audit.jsonl").read_text()


def test_the_page_shows_devices_and_their_states(files: PhoneFiles) -> None:
    files.get("/805ec0aabbcc.cfg", "--user-agent", "Yealink <b>T</b> 1 80:5e:c0:aa:bb:cc")
    files.api("/enrol", network="198.51.100.0/24", seconds=60)
    page = files.rig.fetch("/provisioning") or ""
    assert "Files of phones" in page
    assert "80:5e:c0:11:22:33" in page
    assert "80:5e:c0:aa:bb:cc" in page
    assert "198.51.100.0/24" in page
    assert "<b>T" not in page
    assert "Open a window" in page
    assert "Close the window for 198.51.100.0/24" in page
    for secret in (PASSWORD, "s3cret", "/p/", "--key"):
        assert secret not in page


def test_a_reload_reads_devices_again_and_a_mistake_changes_nothing(files: PhoneFiles) -> None:
    before, new = files.devices.read_text(), "805ec0778899"
    device = f'[device.{new}]\nmake = "yealink"\nlines = [{{ user = "107", domain = "example.com", password = "x" }}]\n'
    files.write(files.devices, before + device)
    files.ctl("reload")
    assert files.get(f"/{new}.cfg", phone=files.phone(new)).status == 200
    files.write(files.devices, before + device.replace("yealink", "htek"))
    told = files.ctl("reload", fails=True)
    assert f"devices.toml: device.{new}.make: found" in told
    assert files.get(f"/{new}.cfg", phone=files.phone(new)).status == 200
    files.write(files.devices, before)
    files.ctl("reload")
    assert files.get(f"/{new}.cfg", phone=files.phone(new)).status == 404


def test_tokens_and_adopted_devices_outlive_a_restart(files: PhoneFiles) -> None:
    adopted = "805ec0667788"
    files.ctl("provision", "adopt", adopted, "--user", "105@example.com", "--make", "yealink")
    folder = files.url_of(files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK)).text)
    files.api(f"/{YEALINK}/rotate")
    kept = files.url_of(files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK)).text)
    process = files.rig.process
    assert process is not None
    process.kill()
    process.wait()
    files.rig.log.unlink()
    files.begin()
    assert files.get(f"{kept}{YEALINK}.cfg").status == 200
    assert files.get(f"{folder}{YEALINK}.cfg").status == 404
    assert files.get(f"/{adopted}.cfg", phone=files.phone(adopted)).status == 200
    assert files.get(f"/{YEALINK}.cfg", scheme="http").status == 404  # a restart closes all windows


def test_nothing_of_a_password_or_token_is_in_the_log_or_the_state(files: PhoneFiles) -> None:
    folder = files.url_of(files.get(f"/{YEALINK}.cfg", phone=files.phone(YEALINK)).text)
    token = folder.split("/")[2]
    for file, data in ((files.rig.log, files.rig.log.read_bytes()), *written_in(files.rig.state)):
        assert PASSWORD.encode() not in data, file
        assert token.encode() not in data, file


def test_a_slow_client_and_one_that_says_nothing_cost_a_connection(files: PhoneFiles) -> None:
    with socket.create_connection((files.rig.hosts.gateway, files.https), 5) as silent:
        with socket.create_connection((files.rig.hosts.gateway, files.http), 5) as slow:
            slow.sendall(b"PUT /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
            assert b" 404 " in slow.recv(1000)
        assert files.get("/ca.pem").status == 200
        silent.close()
