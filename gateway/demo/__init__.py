"""The demonstration: a provider and a phone, built on the layers of this project, that call through a gateway."""
