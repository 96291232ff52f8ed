"""Phones registered through the gateway at their provider (RFC 3261 section 10), and where they are."""
