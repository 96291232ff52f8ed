"""Figures of the pages as SVG: charts, the ladder of a call, the wire drawn."""
