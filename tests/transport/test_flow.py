"""Addresses and keys as text, and the clocks of a connection."""

import pytest

from gateway.transport.flow import Address, FlowKey, Transport


@pytest.mark.parametrize(
    "address",
    [Address("127.0.0.1", 5060), Address("::1", 5061), Address("host.example.com", 1), Address("fe80::1%eth0", 9)],
)
def test_addresses_survive_as_text(address: Address) -> None:
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", ":5060", "host:port", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Address.parse(text)


@pytest.mark.parametrize("number", [0, 1, 2**60])
@pytest.mark.parametrize("listener", ["phones", "phones/second floor", "a#b"])
def test_flow_keys_survive_as_text(listener: str, number: int) -> None:
    key = FlowKey(listener, Transport.TLS, Address("::1", 5061), number)
    assert FlowKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", "main", "main/sctp/1.2.3.4:5", "main/tls/1.2.3.4:5#xyz"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        FlowKey.parse(text)


def test_default_ports() -> None:
    assert {transport.value: transport.default_port for transport in Transport} == {
        "udp": 5060,
        "tcp": 5060,
        "tls": 5061,
        "wss": 443,
    }
