"""A gateway process as an operator starts it, small parties around it over UDP, and what can be done to its world."""
