"""A machine whose addresses change: its network, a gateway, and a call that goes on talking."""
