"""Servers of phones' files: HTTPS and HTTP, TFTP, and the certificates that phones show."""
