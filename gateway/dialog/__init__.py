"""Dialogs (RFC 3261 section 12), the 2xx of an INVITE until its ACK (13.3.1.4) and session timers (RFC 4028)."""
