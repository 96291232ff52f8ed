"""Commands of gatewayctl that are of one feature each: their options, and the words of their answers."""
