"""The transport layer (RFC 3261 section 18): bytes to and from the network over UDP, TCP and TLS."""
