"""Files of every make: settings of security, secrets, and values that would break a file."""

from __future__ import annotations

import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.device_file import MAKES, DeviceLine
from gateway.provisioning.answers_to_phones import Way
from gateway.provisioning.makes import MAKES_BY_NAME, FileKind, address_in, told_by
from gateway.provisioning.profiles import BUILT_IN, ProfileError, Templates
from tests.provisioning.support import OFF, OTHER, PASSWORD, PHONE, PLACE, PREFERRED, House, device
from tests.support.calls.processes import find_program

NASTY = '<a href="x">&amp;\'"]]>{{ 7 * 7 }}{% raw %}\u20ac#;'


def own_file(house: House) -> bytes:
    known = house.estate.find(PHONE)
    assert known is not None
    return house.estate.drawn_own(known)


@pytest.mark.parametrize("make", MAKES)
def test_a_full_file_has_every_line_and_its_password(make: str) -> None:
    lines = MAKES[make]
    data = own_file(House({PHONE: device(make, lines)}))
    assert data.count(PASSWORD.encode()) == lines
    assert b"not tried on a device" in data
    if make != "yealink":
        ElementTree.fromstring(data)


@pytest.mark.parametrize("make", MAKES)
def test_an_overlay_has_no_account_and_no_password(make: str) -> None:
    data = own_file(House({PHONE: device(make)}, attrs.evolve(PLACE, mode="overlay")))
    assert PASSWORD.encode() not in data
    assert b"101" not in data
    assert b"gw.example.com" in data


WORDS = {
    "cisco-spa": ("<SIP_Transport_1_ ua=\"na\">TLS<", "<SIP_Transport_1_ ua=\"na\">UDP<"),
    "cisco-mpp": ("<SIP_Transport_1_ ua=\"na\">TLS<", "<SIP_Transport_1_ ua=\"na\">UDP<"),
    "yealink": ("type = 2\naccount.1.srtp_encryption = 2", "type = 0\naccount.1.srtp_encryption = 0"),
    "polycom": ('sec.srtp.require="1"', 'reg.1.server.1.transport="UDPOnly"'),
    "snom": ("5061;transport=tls<", "5060;transport=udp<"),
    "grandstream": ("<P130>2</P130>\n    <P183>2</P183>", "<P130>0</P130>\n    <P183>0</P183>"),
}  # fmt: skip


@pytest.mark.parametrize("make", MAKES)
def test_the_protection_is_in_the_words_of_the_make(make: str) -> None:
    secure, plain = WORDS[make]
    assert secure in own_file(House({PHONE: device(make)})).decode()
    assert plain in own_file(House({PHONE: device(make, security=OFF)})).decode()
    preferred = own_file(House({PHONE: device(make, security=PREFERRED)}))
    assert preferred != own_file(House({PHONE: device(make, security=OFF)}))


@pytest.mark.parametrize("make", MAKES)
def test_first_files_hold_no_password_and_lead_to_the_own_file(make: str) -> None:
    house = House({PHONE: device(make)})
    house.estate.enrolment.open(PHONE, None, 60, 0)
    name = {"yealink": f"{PHONE}.cfg", "polycom": f"gateway-{PHONE}.cfg", "grandstream": f"cfg{PHONE}.xml"}.get(make)
    reply = house.ask(f"/{name or PHONE + '.xml'}", way=Way.HTTP)
    assert reply.status == 200
    known = house.estate.find(PHONE)
    assert known is not None
    assert (known.sealed_token if make == "cisco-spa" else known.token).encode() in reply.body
    assert PASSWORD.encode() not in reply.body
    assert b"not tried on a device" in reply.body
    if make == "polycom":
        assert f'CONFIG_FILES="gateway-{PHONE}.cfg"'.encode() in house.ask(f"/{PHONE}.cfg", way=Way.HTTP).body


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200).filter(lambda t: t == t.strip())
)
def test_any_password_is_read_back_as_it_is(password: str) -> None:
    for make, tag in (("snom", "user_pass"), ("cisco-mpp", "Password_1_")):
        made = attrs.evolve(device(make), lines=(DeviceLine("101", "example.com", password),))
        tree = ElementTree.fromstring(own_file(House({PHONE: made})))
        assert [one.text for one in tree.iter(tag)] == [password]
    made = attrs.evolve(device(), lines=(DeviceLine("101", "example.com", password),))
    text = own_file(House({PHONE: made})).decode()
    assert f"\naccount.1.password = {password}\n" in text


def test_a_value_with_a_line_break_is_refused_in_each_make() -> None:
    for make in MAKES:
        made = attrs.evolve(device(make), lines=(DeviceLine("101", "example.com", "a\nb"),))
        with pytest.raises(ProfileError, match="line break"):
            own_file(House({PHONE: made}))


@pytest.mark.parametrize("make", [make for make in MAKES if make != "yealink"])
def test_xmllint_takes_every_file(make: str, tmp_path: Path) -> None:
    made = device(make, 1, model=NASTY, options={"Some_Key": NASTY})
    made = attrs.evolve(made, lines=(DeviceLine("101", "example.com", NASTY, NASTY[:60]),))
    house = House({PHONE: made})
    file = tmp_path / "file.xml"
    file.write_bytes(own_file(house))
    argv = [find_program("xmllint", "libxml2-utils"), "--noout", "--nonet", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_template_says_that_no_device_tried_it() -> None:
    for file in BUILT_IN.iterdir():
        assert "not tried on a device" in file.read_text(), file


def test_own_templates_come_first_and_bad_ones_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "yealink.cfg").write_text("mine = {{ lines[0].user }}\n")
    assert own_file(House(directory=tmp_path)) == b"mine = 101\n"
    (tmp_path / "snom.xml").write_text("a\n{% if %}\n")
    with pytest.raises(ProfileError, match=r"snom\.xml: line 2"):
        Templates(tmp_path)
    with pytest.raises(ProfileError, match="no such template"):
        own_file(House({PHONE: device(template="nothing.cfg")}))


def test_a_missing_password_is_told_and_not_written_as_nothing() -> None:
    made = attrs.evolve(device(), lines=(DeviceLine("101", "example.com"),))
    with pytest.raises(ProfileError, match="line 1 has no password"):
        own_file(House({PHONE: made}))


def test_a_file_is_drawn_in_a_millisecond() -> None:
    house = House({PHONE: device("yealink", 2)})
    own_file(house)
    began = time.process_time()
    for _ in range(200):
        own_file(house)
    assert (time.process_time() - began) / 200 < 0.001


AGENTS = [
    ("Yealink SIP-T46S 66.85.0.5 80:5e:c0:11:22:33", ("yealink", "SIP-T46S", "66.85.0.5", "805ec0112233")),
    ("Cisco/SPA504G-7.5.5 (0002FDFF2103)(CBT141400UK)", ("cisco-spa", "SPA504G", "7.5.5", "0002fdff2103")),
    ("Linksys/SPA-942-6.1.5(a) (88019FA42805)", ("cisco-spa", "SPA-942", "6.1.5(a)", "88019fa42805")),
    ("FileTransport PolycomVVX-VVX_410-UA/5.9.0", ("polycom", "VVX_410", "5.9.0", "")),
    ("Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 000413922D24)", ("snom", "D785", "10.1.33.33", OTHER)),
    ("Grandstream Model HW GRP2614 SW 1.0.5 DevId c074ad0b63ee", ("grandstream", "GRP2614", "1.0.5", "c074ad0b63ee")),
    ("Cisco-CP-8841-3PCC/11.0 (00562b043615)", ("cisco-mpp", "CP-8841-3PCC", "11.0", "00562b043615")),
    ("curl/8.0", ("", "", "", "")),
    ("<script>" * 600, ("", "", "", "")),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "told"), AGENTS)
def test_a_phone_names_itself_over_http(agent: str, told: tuple[str, ...]) -> None:
    found = told_by(agent)
    assert (found.make, found.model, found.firmware, found.address) == told


def test_the_names_of_files() -> None:
    spa, mpp, polycom = (MAKES_BY_NAME[make] for make in ("cisco-spa", "cisco-mpp", "polycom"))
    assert spa.kind_of("spa504G.cfg") is FileKind.COMMON
    assert spa.kind_of(f"{PHONE}.xml") is FileKind.OWN
    assert mpp.kind_of("8841.xml") is mpp.kind_of("CP-8841-3PCC.xml") is FileKind.COMMON
    assert polycom.kind_of(f"{PHONE}.cfg") is FileKind.MASTER
    assert polycom.kind_of("000000000000-license.cfg") is None
    assert address_in(f"snomD785-{PHONE.upper()}.htm") == PHONE
    assert address_in(f"{PHONE}{PHONE}.cfg") is None
