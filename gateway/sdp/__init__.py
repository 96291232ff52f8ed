"""Session descriptions (RFC 4566/8866) and their SDES keys (RFC 4568): pure values, no I/O."""
