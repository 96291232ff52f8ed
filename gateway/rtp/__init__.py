"""RTP packets (RFC 3550) and their protection (SRTP, RFC 3711); pure, without I/O."""
