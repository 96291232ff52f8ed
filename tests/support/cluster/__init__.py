"""A pair of gateways and the store between them, to be ill-treated."""
