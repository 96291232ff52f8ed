"""Each message's entry: gate, screening, the UAS core, overload."""
