"""Metrics of PBXs and trunks that do not register, and of the accounts that the gateway registers for them.

A part of the one table (`metrics`), with its rule: no label holds a text that a peer chose. The label is the name of a
table [[phone]]. A gateway without such tables has none of these series.

The part that keeps the PBXs is asked at a scrape; nothing is counted on the way of a call.

    gateway_pbx_places{phone="office",state="up"} 2          both addresses take calls
    gateway_pbx_lost_names{phone="office"} 0                 each name is found
    gateway_pbx_registered{phone="office"} 1                 the provider sends calls here
"""

from gateway.observe.figures import AskedRow


class PbxMetrics:
    """Rows of `Metrics` about PBXs."""

    pbx_places = AskedRow(
        "gateway_pbx_places",
        "Addresses that the table [[phone]] leads to, by state (up, down: it does not answer OPTIONS, or a call met "
        "silence there). Those that are never asked are up.",
        ("phone", "state"),
    )
    pbx_names = AskedRow(
        "gateway_pbx_lost_names",
        "Addresses of a table [[phone]] that lead nowhere now, since their name is not found.",
        ("phone",),
    )
    pbx_registered = AskedRow(
        "gateway_pbx_registered",
        "1 while the provider's grant for an account that the gateway registers holds, else 0.",
        ("phone",),
    )
    pbx_registration_failures = AskedRow(
        "gateway_pbx_registration_failures",
        "Registrations of an account that came to nothing.",
        ("phone",),
        is_counter=True,
    )
