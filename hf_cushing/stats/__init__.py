"""Statistics: numbers in, numbers out; numpy and scipy only."""

DRAWS = 2000
"""Of patients, for an interval, unless a caller asks for another number."""
