"""The HTTP API: what programs and the page may ask, and what they get."""
