"""Reader studies: the kit, its answers, and what they come to."""
