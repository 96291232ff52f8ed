"""A gateway whose address is leased: its DHCP client beside it, and dnsmasq on the LAN of its provider and phones."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.network.dhcp_lan import CLIENT_USER, DhcpLan
from tests.support.network.lan import CABLE, FIRST, Lan

NETWORK = f"""\
[network]
mode = "dhcp"
interface = "{CABLE}"
helper = "{{socket}}"
helper_user = "{CLIENT_USER}"
renew_after_seconds = 10
"""


class LeasedLan(Lan):
    """The gateway, its client, its server, its provider."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, address="%")
        self.remove(FIRST)
        self.dhcp = DhcpLan(directory, self.networks, "gateway")
        written = self.configuration.read_text().replace("[network]\n", NETWORK.format(socket=self.dhcp.socket))
        self.configuration.write_text(written)

    def order(self, path: str) -> dict[str, Any]:
        """POST an empty change, as root of this machine."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:8080{path}", b"{}", {"Content-Type": "application/json"}, method="POST"
        )
        with self.networks.inside("gateway"), urllib.request.urlopen(asked, timeout=8) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def lease(self) -> dict[str, Any]:
        """The lease as the gateway tells of it."""
        return dict(self.json("/api/v1/network")["dhcp"])

    def close(self) -> None:
        """End everything, whatever came of it."""
        self.dhcp.close()
        super().close()
