"""SIP over WebSockets (RFC 7118): the upgrade, the frames, the connection."""
