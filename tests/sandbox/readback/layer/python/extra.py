"""A layer of its own."""
