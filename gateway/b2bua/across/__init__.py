"""What crosses from one leg to the other."""
