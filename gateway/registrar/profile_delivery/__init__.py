"""Profile delivery: a phone that knows nothing asks by multicast for the URL of its files (RFC 6080)."""
