"""Publishing: cards from facts, the gate, and the way to the Hub."""
