"""A repository's protection on its server: what is set there, and setting it."""
