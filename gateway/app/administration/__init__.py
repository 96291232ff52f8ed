"""The administration, joined: accounts, pages, the state that an operator asks for, and the ports that answer."""
