"""Each message's entry: gate, sender's rights, the UAS core, overload."""
