"""A browser's end of a stream: its ICE checks, its DTLS handshake, and the keys that come of it."""
