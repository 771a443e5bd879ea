"""Statistics: numbers in, numbers out; numpy and scipy only."""

DRAWS = 2000
"""Of patients, for an interval, unless a caller asks for another number."""

POWER = 0.8
"""A difference is called detectable if a test at 5 % finds it this often."""
