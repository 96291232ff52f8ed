"""SIP messages as values (RFC 3261): parsing, rewriting and serialising, without any I/O."""
