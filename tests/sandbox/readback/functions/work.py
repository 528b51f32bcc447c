"""A function that is deployed and read back, never run."""
