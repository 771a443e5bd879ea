"""From a clinic folder to an audited, split dataset."""
