"""Web phones: pages with SIP libraries in a real browser."""
