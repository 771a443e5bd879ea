"""``python -m hf_cushing.cli``."""

from hf_cushing.cli import main

main()
