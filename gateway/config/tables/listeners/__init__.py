"""The tables [[listener]]: the addresses and ports where SIP arrives."""
