"""The command `compare`: many models on one dataset."""
