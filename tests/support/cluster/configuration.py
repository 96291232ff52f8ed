"""The small configuration of one node, whose files are beside it."""

from __future__ import annotations

CONFIGURATION = """\
[gateway]
name = "gw1"
state_directory = "state"
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
port = 5080
[media]
address = "127.0.0.1"
ports = "20000-20999"
[[provider]]
name = "main"
uri = "sip:198.51.100.1:5060;transport=udp"
[[domain]]
name = "example.com"
provider = "main"
security = "off"
[cluster]
node = "a"
key_file = "cluster.key"
store = ["rediss://store.example.com"]
"""
