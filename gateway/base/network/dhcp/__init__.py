"""The DHCP client: a process of its own, which alone may change addresses; the gateway asks it over a UNIX socket."""
