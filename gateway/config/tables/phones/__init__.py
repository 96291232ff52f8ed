"""The tables [[phone]]: PBXs and trunks that do not register."""
