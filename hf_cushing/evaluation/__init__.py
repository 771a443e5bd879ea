"""The command `evaluate`: metrics by subgroup, rebuilt from `predictions.parquet`."""
