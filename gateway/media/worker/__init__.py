"""The relay worker: a process of its own that rewrites SDP and carries RTP and SRTP."""
