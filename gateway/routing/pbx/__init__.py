"""PBXs and trunks that do not register: their addresses, their proof, their numbers, and their registration."""
