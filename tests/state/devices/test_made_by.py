"""Make, model, firmware and hardware address from what phones say, and nothing from nonsense."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.devices.made_by import Make, hardware_address, make_of


@pytest.mark.parametrize(
    ("user_agent", "make", "model", "firmware"),
    [
        ("Yealink SIP-T46G 28.83.0.30", "Yealink", "SIP-T46G", "28.83.0.30"),
        ("Yealink W60B 77.85.0.20 805ec0a1b2c3", "Yealink", "W60B", "77.85.0.20"),
        ("snom870/8.7.5.35", "snom", "870", "8.7.5.35"),
        ("snomD785/10.1.64.14", "snom", "D785", "10.1.64.14"),
        ("PolycomVVX-VVX_410-UA/5.9.5.0614", "Polycom", "VVX_410", "5.9.5.0614"),
        ("PolyEdge-Edge_E350-UA/8.0.1.1234", "Polycom", "Edge_E350", "8.0.1.1234"),
        ("Cisco/SPA504G-7.6.2c", "Cisco", "SPA504G", "7.6.2c"),
        ("Cisco/SPA112-1.4.1(002)_649ef3a0b1c2", "Cisco", "SPA112", "1.4.1(002)_649ef3a0b1c2"),
        ("Cisco-CP-8841-3PCC/11.3.1", "Cisco", "CP-8841-3PCC", "11.3.1"),
        ("Sipura/SPA3000-2.0.13(GWg)", "Sipura", "SPA3000", "2.0.13(GWg)"),
        ("Linksys/SPA962-6.1.5(a)", "Linksys", "SPA962", "6.1.5(a)"),
        ("Grandstream GXP2170 1.0.9.26", "Grandstream", "GXP2170", "1.0.9.26"),
        ("Fanvil X4 2.12.1.2 0c383e1f2a3b", "Fanvil", "X4", "2.12.1.2"),
        ("baresip v3.9.0 (x86_64/Linux)", "baresip", "", "3.9.0"),
        ("Linphone/3.12.0 (belle-sip/1.6.3)", "Linphone", "", "3.12.0"),
        ("Twinkle/1.10.2", "Twinkle", "", "1.10.2"),
        ("MicroSIP/3.21.3", "MicroSIP", "", "3.21.3"),
        ("Phone", "Phone", "", ""),
        ("", "", "", ""),
        ("1234", "", "", ""),
        ("\\x1b[2J", "", "", ""),
    ],
)
def test_makes_are_told_apart(user_agent: str, make: str, model: str, firmware: str) -> None:
    assert make_of(user_agent) == Make(make, model, firmware)


@pytest.mark.parametrize(
    ("user_agent", "instance", "address"),
    [
        ("Yealink W60B 77.85.0.20 805ec0a1b2c3", None, "805ec0a1b2c3"),
        ("Phone 80:5E:C0:A1:B2:C3", None, "805ec0a1b2c3"),
        ("Phone 80-5e-c0-a1-b2-c3 x", None, "805ec0a1b2c3"),
        ("snom870/8.7.5.35", "<urn:uuid:00000000-0000-1000-8000-000413ABCDEF>", "000413abcdef"),
        ("snom870/8.7.5.35", "<urn:uuid:00000000-0000-4000-8000-000413ABCDEF>", None),
        ("snom870/8.7.5.35", "<urn:uuid:00000000-0000-1000-8000-0104f2abcdef>", None),
        ("snom870/8.7.5.35", "<urn:uuid:00000000-0000-1000-8000-000000000000>", None),
        ("Phone 20231114221320", None, None),
        ("Phone 202311142213", None, None),
        ("Phone 805ec0a1b2c3d4", None, None),
        ("Phone 80:5e-c0:a1:b2:c3", None, None),
        ("Phone 01005e000001", None, None),
        ("", "", None),
    ],
)
def test_a_hardware_address_is_found_where_it_is_one(
    user_agent: str, instance: str | None, address: str | None
) -> None:
    assert hardware_address(user_agent, instance) == address


@given(st.text(max_size=400), st.none() | st.text(max_size=100))
def test_nothing_a_phone_says_does_harm(user_agent: str, instance: str | None) -> None:
    made = make_of(user_agent)
    assert len(made.make) + len(made.model) + len(made.firmware) <= 220
    address = hardware_address(user_agent, instance)
    assert address is None or len(address) == 12


@pytest.mark.parametrize(
    "piece", ["FRITZ!Box 1234 ", "Gigaset ", "a-", "a.", "Yealink a ", "Poly-", "AUDC-", "1(", "00:"]
)
def test_no_user_agent_takes_long(piece: str) -> None:
    began = time.thread_time()
    make_of(piece * 5000)
    hardware_address(piece * 5000, piece * 5000)
    assert time.thread_time() - began < 0.05
