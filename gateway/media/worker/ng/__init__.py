"""NG commands of a worker: taken from a socket, carried out, answered."""
