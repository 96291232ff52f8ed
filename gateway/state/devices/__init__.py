"""The inventory of devices: phones by make, model and firmware, as their registrations tell."""
