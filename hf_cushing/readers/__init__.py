"""The command `readers`: the kit, its answers, and what they come to."""
