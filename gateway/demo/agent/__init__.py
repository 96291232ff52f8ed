"""A small SIP user agent: accounts, registrations, calls and their sessions."""
