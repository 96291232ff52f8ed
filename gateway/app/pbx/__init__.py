"""PBXs and trunks that do not register, joined: their place among phones, their health, their registrations."""
