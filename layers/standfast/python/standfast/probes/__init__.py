"""The ports to inference servers: the only package that imports httpx."""
