"""A small SIP user agent."""
