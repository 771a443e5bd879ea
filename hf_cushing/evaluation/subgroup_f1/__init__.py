"""A metric for `evaluate.load`, kept as the folder that goes to the Hub; nothing imports it."""
