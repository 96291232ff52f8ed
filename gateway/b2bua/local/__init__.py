"""Calls between phones of one domain, without a provider: their protection, and the way to the phone that is called."""
