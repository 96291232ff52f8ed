"""Media streams: their two endpoints, and the way of a packet between them."""
