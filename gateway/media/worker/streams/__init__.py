"""The ends of a media stream, and the way of a packet between them."""
