"""Pages of docs/ and the commands in them, tried on a machine made for it."""
