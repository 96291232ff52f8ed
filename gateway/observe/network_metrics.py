"""Metrics of this machine's addresses and clock, on which everything stands.

A part of the one table (`metrics`), with its rule: no label holds a text that a peer chose. Nor does one hold an
address: those of a machine that moves would be ever more series. `gatewayctl network` names them.

Parts count the changes as they happen, and are asked at a scrape for the state of this moment.
"""

from prometheus_client import Counter

from gateway.observe.figures import AskedRow
from gateway.observe.rows import Declared


class NetworkMetrics:
    """Rows of `Metrics` about this machine."""

    address_changes = Declared(
        Counter,
        "gateway_network_address_changes",
        "Changes of the addresses in use, by kind (lost: gone from this machine, back: there again, moved: the gateway "
        "went to its interface's new one, not_moved: it tried in vain).",
        ("change",),
    )
    lost_addresses = AskedRow(
        "gateway_network_lost_addresses",
        "Addresses in use that are gone from this machine, which calls wait for.",
    )
    moved_calls = Declared(
        Counter,
        "gateway_network_moved_calls",
        "Calls that were up as the gateway went to another address, and were offered it on both legs.",
    )
    clock_synchronized = AskedRow(
        "gateway_clock_synchronized",
        "1 while a time server sets the system's clock, 0 while none does; no series where nobody says.",
    )
    clock_jumps = Declared(
        Counter,
        "gateway_clock_jumps",
        "Jumps of the system's clock by more than 30 seconds, against the seconds that passed.",
    )
    dhcp_client_up = AskedRow(
        "gateway_dhcp_client_up",
        '1 while the DHCP client answers, 0 while it does not; no series but with mode = "dhcp" ([network]).',
    )
    dhcp_lease = AskedRow(
        "gateway_dhcp_lease_seconds",
        "Seconds until the lease of this machine's address ends; no series without a lease, or for one without an end.",
    )
    dhcp_renewals = AskedRow(
        "gateway_dhcp_renewals",
        "Renewals of the lease since the DHCP client's start, by cause (lease: its time had come, asked: the gateway "
        "or an operator did) and result (same, other: another address, refused, silent, ended).",
        ("cause", "result"),
        is_counter=True,
    )
    dhcp_other_servers = AskedRow(
        "gateway_dhcp_other_servers",
        "DHCP servers that answered beside the one that gave the lease, since the DHCP client's start; eight at most.",
    )
