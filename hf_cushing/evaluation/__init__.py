"""Metrics by subgroup from `predictions.parquet`; numpy and scipy only."""
