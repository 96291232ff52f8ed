"""The configuration: TOML in, frozen values out, every mistake at once; switches on top."""
