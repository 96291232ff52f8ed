"""Provisioning over HTTP: devices and the files that they fetched, windows, lines for DHCP; the page of it."""
