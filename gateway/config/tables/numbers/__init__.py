"""The tables [[number]]: rules that rewrite numbers between phones and providers."""
