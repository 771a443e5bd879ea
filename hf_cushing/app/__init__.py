"""Gradio pages: the Space and the reading room; layout only, hf_cushing does the work."""
