"""A gateway process as an operator starts it, small parties around it over UDP, and blows to its world."""
