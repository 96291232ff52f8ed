"""Places to be attacked: networks of a test's own, a gateway with a provider, and strangers with their tools."""
