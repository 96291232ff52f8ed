"""The tables [[phone]]: keys, and one line for each mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from types import FrameType

import pytest

from gateway.config.load import load
from gateway.config.model import ConfigurationError, FixedPhone
from gateway.config.tables.phones.block_index import BlockIndex
from gateway.config.tables.phones.number_block import NumberBlock
from gateway.config.tables.phones.phone_checks import OtherTables, phone_mistakes
from gateway.config.tables.phones.phone_table import PbxChoice, PbxProof
from tests.support.small_configuration import SMALLEST

GOOD = """
[[phone]]
name = "office"
domain = "example.com"
addresses = ["sip:192.0.2.50:5060"]
numbers = ["+49301234500-+49301234599"]
proof = "address"
"""
SECURE = GOOD.replace("sip:192.0.2.50:5060", "sip:pbx.example.net;transport=tls").replace('"address"', '"certificate"')
OTHER = GOOD.replace("office", "branch").replace("192.0.2.50", "192.0.2.60").replace("+493012345", "+493012346")


def read(tmp_path: Path, text: str, more: str = 'region = "DE"\n') -> tuple[FixedPhone, ...]:
    file = tmp_path / "gateway.toml"
    file.write_text(SMALLEST + more + text)
    return load(file).phones


def mistakes(tmp_path: Path, text: str, more: str = 'region = "DE"\n') -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text, more)
    return [line.removeprefix(f"{tmp_path / 'gateway.toml'}: ") for line in raised.value.errors]


def test_there_need_be_none(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ()


def test_every_key_is_read(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.toml"
    credentials.write_text('4930123450 = "Twelve-letters"\n')
    credentials.chmod(0o600)
    (phone,) = read(
        tmp_path,
        """
[[phone]]
name = "office"
domain = "Example.COM"
addresses = ["sip:192.0.2.50:5060", "sip:pbx.example.net:5070;transport=udp"]
numbers = ["+49301234500-+49301234599", "+49307*", "200-299", "+4930888"]
proof = "address"
sources = ["192.0.2.64/28"]
choice = "weight"
weights = [3, 1]
ping_seconds = 10
account = "4930123450"
register = true
register_seconds = 300
""",
        'region = "DE"\ncredentials = "credentials.toml"\n',
    )

    assert phone == FixedPhone(
        name="office",
        domain="example.com",
        addresses=("sip:192.0.2.50:5060", "sip:pbx.example.net:5070;transport=udp"),
        numbers=(
            NumberBlock("+49301234500", "+49301234599"),
            NumberBlock("+49307", "+49307", is_prefix=True),
            NumberBlock("200", "299"),
            NumberBlock("+4930888", "+4930888"),
        ),
        proof=PbxProof.ADDRESS,
        sources=(ip_network("192.0.2.64/28"),),
        choice=PbxChoice.WEIGHT,
        weights=(3, 1),
        ping_seconds=10,
        account="4930123450",
        register=True,
        register_seconds=300,
    )


TLS_LISTENER = """
[[listener]]
name = "phones-tls"
side = "phones"
transport = "tls"
address = "127.0.0.1"
port = 5061
certificate = "gateway.pem"
private_key = "gateway.pem"
"""


def test_over_tls_it_needs_a_listener_that_asks_for_certificates(tmp_path: Path) -> None:
    (tmp_path / "gateway.pem").write_text("")
    found = mistakes(tmp_path, TLS_LISTENER + SECURE)

    assert found == [
        (
            'phone[0].proof: found "certificate", but no listener with side = "phones" and transport = "tls" '
            "has client_trust: no client could show one"
        )
    ]
    (phone,) = read(tmp_path, TLS_LISTENER + 'client_trust = "gateway.pem"\n' + SECURE)
    assert phone.proof is PbxProof.CERTIFICATE


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            ('proof = "address"\n', ""),
            (
                'phone[0].proof: found "certificate", but a datagram bears none, allowed with addresses over udp: '
                '"address", if your network drops packets with forged sources'
            ),
        ),
        (
            ("sip:192.0.2.50:5060", "sip:192.0.2.50;transport=tcp"),
            (
                "phone[0].addresses: allowed: one or more addresses of one "
                "transport, each with transport=udp, or each with transport=tls: nothing proves a sender over tcp"
            ),
        ),
        (
            ("sip:192.0.2.50:5060", "sip:127.0.0.1:5060"),
            'phone[0].addresses: found "sip:127.0.0.1:5060", where this gateway listens: calls would go in a circle',
        ),
        (
            ("sip:192.0.2.50:5060", "sip:provider.example.com:5060"),
            (
                "phone[0].addresses: found "
                '"sip:provider.example.com:5060", which is a provider\'s: it would be taken for the PBX'
            ),
        ),
        (
            ('example.com"\naddresses', 'example.org"\naddresses'),
            'phone[0].domain: found "example.org", allowed: example.com',
        ),
        (
            ('"+49301234500-+49301234599"', '"030123456"'),
            'phone[0].numbers: found "030123456", which is +4930123456 in this domain: write it so',
        ),
        (('"+49301234500-+49301234599"', ""), "phone[0].numbers: found 0, allowed: 1 to 500"),
        (
            ('"+49301234500-+49301234599"', '"+4930*", "+49301*"'),
            'phone[0].numbers: found "+49301*", which "+4930*" has already',
        ),
        (
            ("proof", 'sources = ["192.0.0.0/16"]\nproof'),
            "phone[0].sources: found 192.0.0.0/16, allowed: networks of /24 or smaller",
        ),
        (("proof", "register = true\nproof"), "phone[0].account: is missing: register = true registers it"),
        (
            ("proof", 'account = "a"\nproof'),
            "phone[0].account: needs credentials in [[domain]] example.com: its password is read there",
        ),
        (("proof", "weights = [1]\nproof"), 'phone[0].weights: is for choice = "weight", found "order"'),
        (("proof", 'choice = "weight"\nproof'), "phone[0].weights: found 0, allowed: 1, one an address"),
        (
            ("proof", 'certificate_names = "pbx.example.net"\nproof'),
            "phone[0].certificate_names: is for addresses over tls, found udp",
        ),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, changed: tuple[str, str], said: str) -> None:
    assert changed[0] in GOOD
    assert mistakes(tmp_path, GOOD.replace(*changed)) == [said]


@pytest.mark.parametrize("block", ["+49-+48", "+12-+123", "12*", "*", "+4930a", "-5", "+49301234567890123"])
def test_a_block_of_numbers_that_is_none(tmp_path: Path, block: str) -> None:
    (found,) = mistakes(tmp_path, GOOD.replace("+49301234500-+49301234599", block))

    assert found.startswith(f'phone[0].numbers[0]: found "{block}", allowed: +4930123456,')


def test_a_network_of_sources_that_holds_the_provider_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("proof", 'sources = ["192.0.2.0/24"]\nproof')
    file = tmp_path / "gateway.toml"
    file.write_text(SMALLEST.replace("sip:provider.example.com", "sip:192.0.2.9") + 'region = "DE"\n' + text)
    with pytest.raises(ConfigurationError) as raised:
        load(file)

    assert "phone[0].sources: found 192.0.2.0/24, which has 192.0.2.9 in it, a provider's address" in str(raised.value)


def test_nothing_may_be_two_pbxs(tmp_path: Path) -> None:
    assert len(read(tmp_path, GOOD + OTHER)) == 2
    assert mistakes(tmp_path, GOOD + OTHER.replace("192.0.2.60", "192.0.2.50")) == [
        'phone[1].addresses: found 192.0.2.50:5060, which is phone "office"\'s already'
    ]
    assert mistakes(tmp_path, GOOD + OTHER.replace("+493012346", "+493012345")) == [
        (
            'phone[1].numbers: found "+49301234500-+49301234599", but phone "office" has "+49301234500-+49301234599": '
            "a call could be for both"
        )
    ]
    inside = OTHER.replace("proof", 'sources = ["192.0.2.48/28"]\nproof')
    assert mistakes(tmp_path, GOOD + inside) == [
        'phone[1].sources: found 192.0.2.48/28, which is phone "office"\'s already'
    ]


def test_an_account_is_one_pbxs_alone(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.toml"
    credentials.touch(0o600)
    credentials.write_text('trunk = "Twelve-letters"\n')
    domain = f'region = "DE"\ncredentials = "{credentials}"\n'

    def with_accounts(one: str, other: str) -> str:
        texts = (
            text.replace("proof", f'account = "{account}"\nproof') for text, account in ((GOOD, one), (OTHER, other))
        )
        return "".join(texts)

    assert len(read(tmp_path, with_accounts("trunk", "Trunk"), domain)) == 2, "user parts differ by case (19.1.4)"
    assert len(read(tmp_path, with_accounts("+49301234500", "4930123460"), domain)) == 2, "its own number"
    assert mistakes(tmp_path, with_accounts("trunk", "trunk"), domain) == [
        'phone[1].account: found "trunk", which is phone "office"\'s already'
    ]
    for number in ("+49301234501", "49301234501", "0301234501"):
        assert mistakes(tmp_path, with_accounts("trunk", number), domain) == [
            f'phone[1].account: found "{number}", which is phone "office"\'s already'
        ]
    assert mistakes(tmp_path, with_accounts("+49301234601", "trunk"), domain) == [
        'phone[0].account: found "+49301234601", which is phone "branch"\'s already'
    ]


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        ("+4930123*", "+49301234500-+49301234599", True),
        ("+4930124*", "+49301234500-+49301234599", False),
        ("+49301234550", "+49301234500-+49301234599", True),
        ("+4930123455", "+49301234500-+49301234599", False),
        ("200-299", "+200", False),
        ("200-299", "250", True),
        ("300*", "2999-3000", True),
    ],
)
def test_blocks_overlap_where_a_number_is_of_both(one: str, other: str, do: bool) -> None:
    first, second = NumberBlock.parse(one), NumberBlock.parse(other)

    assert (BlockIndex([(first, 1)]).overlap(second) == (first, 1)) is do
    assert (BlockIndex([(second, 2)]).overlap(first) == (second, 2)) is do


@pytest.mark.parametrize(
    ("number", "owner"),
    [
        ("+49301234500", "range"),
        ("+49301234599", "range"),
        ("+49301234600", None),
        ("+4930123450", None),
        ("49301234500", None),
        ("+493077712345678", "prefix"),
        ("+4930777123456789", None),
        ("+4930777", "prefix"),
        ("250", "extensions"),
        ("+250", None),
        ("+4930123450a", None),
        ("+4930777abc", None),
        ("25\N{ARABIC-INDIC DIGIT FOUR}", None),
        ("", None),
    ],
)
def test_a_number_is_of_the_block_that_it_lies_in_and_letters_are_of_none(number: str, owner: str | None) -> None:
    blocks = {"+49301234500-+49301234599": "range", "+4930777*": "prefix", "200-299": "extensions", "+4989": "else"}
    index = BlockIndex((NumberBlock.parse(text), name) for text, name in blocks.items())

    assert index.owner_of(number) == owner


def test_thousands_of_numbers_are_checked_without_a_look_at_each_pair() -> None:
    """Each pair of 5,000 blocks took twenty seconds, at each start and in each reload."""
    blocks = [NumberBlock.parse(f"+4930{number:07}") for number in range(5_000)]
    entries = [
        (f"phone[{at}]", FixedPhone(f"p{at}", "example.com", (f"sip:192.0.2.{at}",), tuple(blocks[at * 500 :][:500])))
        for at in range(10)
    ]

    assert calls_of(lambda: [*phone_mistakes(OtherTables([], [], []), entries)]) < 900_000


def calls_of(action: Callable[[], object]) -> int:
    """The functions of Python that an action calls."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"
        if count > 1_000_000:
            raise AssertionError("too many")

    sys.setprofile(counted)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count
