"""Studies over many runs: comparisons of models and methods."""
