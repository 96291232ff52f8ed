"""The smallest configuration that a gateway takes: one domain and its provider, all over UDP."""

from __future__ import annotations

SMALLEST = """
[gateway]
name = "gw1"
state_directory = "/var/lib/gateway"

[[listener]]
name = "phones"
side = "phones"
transport = "udp"
address = "127.0.0.1"
port = 5060

[[listener]]
name = "provider"
side = "provider"
transport = "udp"
address = "127.0.0.1"
port = 5070

[media]
address = "127.0.0.1"

[[provider]]
name = "main"
uri = "sip:provider.example.com"

[[domain]]
name = "example.com"
provider = "main"
"""
