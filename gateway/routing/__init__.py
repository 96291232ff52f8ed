"""The next hop of a request and the way there: domains, providers, RFC 3263, health."""
