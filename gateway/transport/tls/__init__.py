"""TLS: contexts, certificates, identities, the channel."""
