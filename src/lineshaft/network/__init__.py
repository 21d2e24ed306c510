"""How the plant speaks."""
