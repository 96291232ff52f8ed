"""This machine under the gateway: its addresses in use, their moves, and its clock."""
