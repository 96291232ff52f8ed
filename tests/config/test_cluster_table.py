"""[cluster]: its mistakes are told with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import ConfigurationError, WithoutStore
from tests.support.docs.files import make_named_files

GATEWAY = """\
[gateway]
name = "gw1"
state_directory = "state"
[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "192.0.2.10"
port = 5060
[media]
address = "192.0.2.10"
ports = "20000-20999"
[[provider]]
name = "main"
uri = "sip:198.51.100.1:5060;transport=udp"
[[domain]]
name = "example.com"
provider = "main"
security = "off"
[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "192.0.2.10"
port = 5080
"""
CLUSTER = '[cluster]\nnode = "a"\nkey_file = "cluster.key"\n'
STORE = 'store = ["rediss://store.example.com"]\n'


def loaded(directory: Path, more: str) -> object:
    path = directory / "gateway.toml"
    path.write_text(GATEWAY + more)
    make_named_files(GATEWAY + more, directory)
    return load(path).cluster


def test_a_small_table_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    text = GATEWAY + CLUSTER + STORE
    path.write_text(text)
    make_named_files(text, tmp_path)
    cluster = load(path).cluster
    assert cluster is not None
    (store,) = cluster.store
    assert (store.host, store.port, store.is_secure) == ("store.example.com", 6379, True)
    assert (cluster.without_store, cluster.lease_ms, cluster.address) == (WithoutStore.STOP, 3000, None)


def test_without_it_there_is_no_cluster(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (CLUSTER + STORE + 'mode = "active"\n', 'only "standby": one node is active'),
        (CLUSTER + 'store = ["rediss://user:secret@store"]\n', "without a user or a password"),
        (CLUSTER + "store = []\n", "cluster.store: is empty"),
        (CLUSTER + 'store = ["redis://192.0.2.5:6379"]\n', "is in clear: use rediss://, or set insecure = true"),
        (CLUSTER + 'store = ["rediss://a", "rediss://b"]\n', "found 2 places without sentinel"),
        (CLUSTER + 'sentinel = "m"\nstore = ["rediss://a", "redis://127.0.0.1"]\n', "redis:// beside rediss://"),
        (CLUSTER + STORE + 'without_store = "serve"\n', "without address: nothing but the floating address"),
        (CLUSTER + STORE + "lease_ms = 100\n", "from 500 to 60000"),
        (CLUSTER + STORE + '[network]\nmode = "dhcp"\ninterface = "eth0"\n', "the floating address is no leased one"),
        ('[cluster]\nnode = "a"\n' + STORE, "cluster.key_file"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, more)
    assert told in str(raised.value)


def test_a_store_on_this_machine_may_be_spoken_to_in_clear(tmp_path: Path) -> None:
    assert loaded(tmp_path, CLUSTER + 'store = ["redis://127.0.0.1:6380"]\n') is not None


def test_a_secret_that_others_may_read_is_a_mistake(tmp_path: Path) -> None:
    loaded(tmp_path, CLUSTER + STORE)
    (tmp_path / "cluster.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"cluster\.key_file.*0600"):
        load(tmp_path / "gateway.toml")
