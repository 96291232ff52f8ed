"""Bodies of messages: parts of a multipart, and session descriptions under other names."""
