"""Core extensions of Maven: what cannot be told by arguments. They are compiled where they run."""
