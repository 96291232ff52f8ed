"""Bans in the kernel: named sets of nftables, filled by a process of its own."""
