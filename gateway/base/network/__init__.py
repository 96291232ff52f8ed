"""This machine as its kernel tells of it: addresses, read and watched, and whether a time server sets its clock."""
