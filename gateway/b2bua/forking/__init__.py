"""Several phones of one user: a call rings them, one answers; a MESSAGE goes to all."""
