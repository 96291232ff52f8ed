"""Where phones are: the bindings that registrations made, in memory and kept across restarts."""
