"""[defence]: its values, and the lists and figures that are refused."""

from ipaddress import ip_network
from pathlib import Path

import attrs
import pytest

from gateway.config.load import load
from gateway.config.model import Configuration, ConfigurationError, DefenceTerms
from tests.support.small_configuration import SMALLEST

NFT_WORDS = "family, table and name of a set, such as inet gateway banned4"


def loaded(tmp_path: Path, table: str) -> Configuration:
    path = tmp_path / "gateway.toml"
    path.write_text(f"{SMALLEST}\n{table}")
    return load(path)


def test_without_the_table_everything_has_its_default(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").defence == DefenceTerms()


def test_every_key(tmp_path: Path) -> None:
    table = """
[defence]
mode = "defend"
never_ban = ["192.0.2.0/24", "2001:db8::5", "::ffff:198.51.100.7", "::ffff:203.0.113.0/120"]
ban_minutes = 5
ban_most_days = 2
ban_by = "nftables"
nft_sets = ["inet filter bad4", "ip6 filter bad6"]
scanners = ["MyScanner"]
throttle_at = 10
ban_at = 30
known_days = 7
sources = 5000
"""
    assert loaded(tmp_path, table).defence == DefenceTerms(
        mode="defend",
        never_ban=tuple(map(ip_network, ("192.0.2.0/24", "2001:db8::5", "198.51.100.7", "203.0.113.0/24"))),
        ban_minutes=5,
        ban_most_days=2,
        ban_by="nftables",
        nft_sets=("inet filter bad4", "ip6 filter bad6"),
        scanners=("myscanner",),
        throttle_at=10,
        ban_at=30,
        known_days=7,
        sources=5000,
    )


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ('never_ban = ["0.0.0.0/0"]', "defence.never_ban: covers all of IPv4: nobody could be banned"),
        ('never_ban = ["0.0.0.0/1", "128.0.0.0/1"]', "defence.never_ban: covers all of IPv4: nobody could be banned"),
        ('never_ban = ["::/1", "8000::/1"]', "defence.never_ban: covers all of IPv6: nobody could be banned"),
        ("throttle_at = 50", "defence.throttle_at: found 50, allowed: less than ban_at (50)"),
        ('nft_sets = ["inet gateway banned4"]', "defence.nft_sets: found 1, allowed: two, for IPv4 and for IPv6"),
        (
            'nft_sets = ["inet g x; flush", "inet gateway banned6"]',
            'defence.nft_sets[0]: found "inet g x; flush", allowed: ' + NFT_WORDS,
        ),
        ('scanners = ["SIP"]', 'defence.scanners[0]: found "SIP", allowed: a part of a User-Agent, 4 to 60 characters'),
        ('mode = "on"', 'defence.mode: found "on", allowed: report, defend, off'),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, line: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, f"[defence]\n{line}\n")
    assert [one.partition(": ")[2] for one in refused.value.errors] == [mistake]


def test_half_of_the_addresses_may_be_spared(tmp_path: Path) -> None:
    assert attrs.asdict(loaded(tmp_path, '[defence]\nnever_ban = ["0.0.0.0/1"]').defence, recurse=False)["never_ban"]
