"""Backbones, heads, and how a model is served."""
