"""The process: its options, its parts and their order, its start, end and reload."""
