"""A patient's photographs over dated visits."""
