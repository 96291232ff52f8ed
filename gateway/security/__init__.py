"""Who may ask what from the provider's side: access list, digest challenge, passwords, rate limits."""
