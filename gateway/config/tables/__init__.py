"""Tables of the configuration that are of one feature each: their keys, ranges and mistakes."""
