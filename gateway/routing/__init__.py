"""To whom a request goes, and by which way: domains, providers, RFC 3263, health."""
