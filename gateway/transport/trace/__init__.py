"""Trace: messages in clear, without their secrets, for a HEP receiver and for pcapng files."""
