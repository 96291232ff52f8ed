"""The provider's side: access list, digest challenge, passwords, rate limits."""
