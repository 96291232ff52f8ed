"""Configurations that name interfaces: placed, refused, and the list of addresses in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.network.presence import used_addresses
from gateway.config.load import load
from gateway.config.model import Configuration, ConfigurationError, NetworkMode
from gateway.config.placement import addresses_of, does_media_move, moved_listeners, placed
from gateway.config.places import NamedInterface, interface_of, is_ipv6
from tests.app.network.test_presence import FIRST, GivenKernel
from tests.support.small_configuration import SMALLEST

ETH0 = NamedInterface("eth0")


def loaded(tmp_path: Path, *changes: tuple[str, str], more: str = "") -> Configuration:
    text = SMALLEST
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "gateway.toml"
    path.write_text(f"{text}\n{more}")
    return load(path)


PHONES = ('address = "127.0.0.1"\nport = 5060', 'address = "%eth0"\nport = 5060')
MEDIA = ('[media]\naddress = "127.0.0.1"', '[media]\naddress = "%eth0"')


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("%eth0", ETH0),
        ("%eth0/4", ETH0),
        ("%eth0/6", NamedInterface("eth0", 6)),
        ("%br-lan.7", NamedInterface("br-lan.7")),
        ("%", NamedInterface("wan")),
        ("%/6", NamedInterface("wan", 6)),
        ("192.0.2.10", None),
        ("2001:db8::1", None),
    ],
)
def test_an_interface_is_read(written: str, place: NamedInterface | None) -> None:
    assert interface_of(written, "wan") == place


def test_the_version_of_ip_is_known_before_the_address_is() -> None:
    assert [is_ipv6(one) for one in ("%eth0", "%eth0/6", "192.0.2.1", "2001:db8::6")] == [False, True, False, True]


@pytest.mark.parametrize("written", ["%eth0/5", "%a-name-of-16-cha", "%eth 0", "eth0", "%eth0/", "%../x", "0.0.0.0/24"])
def test_other_texts_are_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigurationError, match=r"listener\[0\].address: found .*allowed: an IP address, or an inter"):
        loaded(tmp_path, (PHONES[0], PHONES[1].replace("%eth0", written)))


def test_interfaces_are_replaced_by_their_addresses(tmp_path: Path) -> None:
    written = loaded(tmp_path, PHONES, MEDIA)
    here = placed(written, GivenKernel(FIRST).first_address)
    assert [one.address for one in here.listeners] == [FIRST, "127.0.0.1"]
    assert here.media.address == FIRST
    assert addresses_of(written, here) == {ETH0: FIRST}
    followed, fixed = sorted(used_addresses(written, {ETH0: FIRST}), key=lambda used: used.interface is None)
    assert followed.users == ("listener phones", "media of phones", "media of the provider")
    assert (fixed.address, fixed.users, fixed.interface) == ("127.0.0.1", ("listener provider",), None)


def test_each_interface_is_asked_for_once_since_a_second_answer_may_be_another(tmp_path: Path) -> None:
    answers: list[str | None] = [FIRST, None, None, None]
    here = placed(loaded(tmp_path, PHONES, MEDIA), lambda *_: answers.pop(0))
    assert (here.listeners[0].address, here.media.address) == (FIRST, FIRST)
    assert len(answers) == 3


def test_a_configuration_without_interfaces_is_as_it_was(tmp_path: Path) -> None:
    written = loaded(tmp_path)
    assert placed(written, GivenKernel().first_address) == written


def test_a_start_without_the_address_fails_with_each_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        placed(loaded(tmp_path, PHONES, MEDIA), GivenKernel("2001:db8::1").first_address)
    told = "interface eth0 is not there, or has no global IPv4 address (ip address show)"
    source = tmp_path / "gateway.toml"
    assert caught.value.errors == (f"{source}: listener[0].address: {told}", f"{source}: media.address: {told}")


def test_the_interface_of_the_network_table(tmp_path: Path) -> None:
    changes = (PHONES[0], PHONES[1].replace("%eth0", "%"))
    with pytest.raises(ConfigurationError, match=r'found "%", but \[network\] has no interface'):
        loaded(tmp_path, changes)
    written = loaded(tmp_path, changes, more='[network]\ninterface = "eth0"')
    assert placed(written, GivenKernel(FIRST).first_address).listeners[0].address == FIRST


def test_an_address_for_all_of_this_machine_is_not_watched(tmp_path: Path) -> None:
    written = loaded(tmp_path, (PHONES[0], 'address = "0.0.0.0"\nadvertised_host = "gw.test"\nport = 5060'))
    assert [used.address for used in used_addresses(written, {})] == ["127.0.0.1"]


def test_only_things_at_the_interface_move(tmp_path: Path) -> None:
    written = loaded(tmp_path, PHONES)
    assert [one.name for one in moved_listeners(written, {ETH0: FIRST})] == ["phones"]
    assert moved_listeners(written, {NamedInterface("eth1"): FIRST}) == ()
    assert not does_media_move(written.media, None, {ETH0: FIRST})
    assert does_media_move(loaded(tmp_path, MEDIA).media, None, {ETH0: FIRST})


def test_dhcp_is_for_one_interface(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'network\.interface: is missing: mode = "dhcp"'):
        loaded(tmp_path, more='[network]\nmode = "dhcp"')
    terms = loaded(tmp_path, more='[network]\nmode = "dhcp"\ninterface = "eth0"\nhelper = "/run/x.sock"').network
    assert (terms.mode, terms.interface, terms.helper) == (NetworkMode.DHCP, "eth0", Path("/run/x.sock"))
    assert (terms.helper_user, terms.renew_after_seconds, terms.renew_interval) == ("gateway-network", 0, 300)


def test_a_wrong_interface_is_one_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        loaded(tmp_path, more='[network]\nmode = "dhcp"\ninterface = "a b"')
    assert len(refusal.value.errors) == 1


@pytest.mark.parametrize(
    "table",
    [
        'mode = "watch"',
        "hold_seconds = 0",
        'interface = "a b"',
        'mode = "dhcp"\ninterface = "eth0"\nrenew_interval = 299',
        'mode = "dhcp"\ninterface = "eth0"\nrenew_after_seconds = 9',
        "renew_after_seconds = 60",
        'mode = "static"\nrenew_after_seconds = 60',
    ],
)
def test_what_the_table_does_not_take(tmp_path: Path, table: str) -> None:
    with pytest.raises(ConfigurationError, match="network"):
        loaded(tmp_path, more=f"[network]\n{table}")
